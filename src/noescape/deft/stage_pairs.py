"""Stage generated pairs as a change classifier reads them, one row each; a pair that cannot be used costs its row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from noescape.changenet.rows import Files
from noescape.datasets.changenet_write import COLUMNS
from noescape.deft.hardstop import HardStop
from noescape.deft.ledger import Dropped, account
from noescape.deft.places import joined
from noescape.deft.pregen import Pair
from noescape.files import write_bytes
from noescape.imaging import jpeg_bytes, png_bytes, read_picture
from noescape.records import ImageError, UsageError

REAL, SDG = "real", "sdg"
POOL_COLUMNS = (*COLUMNS, "provenance", "filepath")
JPEG_QUALITY = 95
ALIKE = {".jpeg": ".jpg", ".tiff": ".tif"}
NG_FOLDER, OK_FOLDER = "synth_ng", "synth_ok"
SYNTHETIC = "synthetic"  # project of such rows


@dataclass(frozen=True, kw_only=True)
class Staged:
    """`rows` with the columns POOL_COLUMNS; `skipped` pairs with the reason; `converted`: files encoded anew."""

    rows: tuple[dict[str, str], ...]
    skipped: tuple[Dropped, ...]
    converted: int

    def labels(self) -> dict[str, int]:
        """Rows per label."""
        return dict(sorted(Counter(row["label"] for row in self.rows).items()))


def stage_pairs(pairs: Sequence[Pair], folder: Path, named: str, files: Files) -> Staged:
    """Write the pictures of `pairs` to `folder`/synth_{ng,ok}/ under the name that the spec's light and suffix ask for.

    `named` is what rows call `folder`: its path in the workspace. A pair with a picture that cannot be read, or whose
    two pictures are the same, is skipped with its reason. UsageError for a spec of several lights: a generated pair is
    one picture. Two decodes per pair.
    """
    if len(files.lights) != 1:
        raise UsageError(f"generated pairs have one picture each; the spec asks for {len(files.lights)} lights")
    if files.ext and _form(files.ext) not in (".jpg", ".png"):
        raise UsageError(f"image_ext {files.ext}: generated pairs can be staged as .jpg, .jpeg or .png")
    rows: dict[str, dict[str, str]] = {}
    skipped, converted = [], 0
    for pair in pairs:
        try:
            name = _object_name(pair, files.lights[0], rows)
            own = {_form(path.suffix) for path in (pair.ng, pair.ok)}
            suffix = files.ext or (own.pop() if len(own) == 1 else ".png")
            converted += _stage(pair, folder, _stem(name, files.lights[0]), suffix)
        except ImageError as error:
            skipped.append(Dropped(row=pair.stem, reason=error.reason))
            continue
        rows[name] = _row(pair, named, name, _stem(name, files.lights[0]) + suffix)
    account("staging of generated pairs", (p.stem for p in pairs), (r["description"] for r in rows.values()), skipped)
    return Staged(rows=tuple(rows.values()), skipped=tuple(skipped), converted=converted)


def _stage(pair: Pair, folder: Path, stem: str, suffix: str) -> int:
    ng, ok = read_picture(pair.ng).rgb, read_picture(pair.ok).rgb
    if ng.shape == ok.shape and bool((ng == ok).all()):
        raise ImageError(pair.ng, "same", "shows nothing that its clean partner does not: no defect was generated")
    count = 0
    for path, rgb, side in ((pair.ng, ng, NG_FOLDER), (pair.ok, ok, OK_FOLDER)):
        if _form(path.suffix) == _form(suffix):
            data = path.read_bytes()
        else:
            data = jpeg_bytes(rgb, quality=JPEG_QUALITY) if _form(suffix) == ".jpg" else png_bytes(rgb)
            count += 1
        write_bytes(folder / side / f"{stem}{suffix}", data, sync=False)
    return count


def _object_name(pair: Pair, light: str | None, taken: Collection[str]) -> str:
    """The stem without the light that the file name will end with."""
    try:
        pair.stem.encode()
    except UnicodeEncodeError:
        raise ImageError(pair.ng, "name", "has a name that is no text") from None
    name = pair.stem.removesuffix(f"_{light}") if light else pair.stem
    if not name.strip() or name in taken:
        raise ImageError(pair.ng, "name", f"would be staged as {name!r}, which is empty or taken by another pair")
    return name


def _stem(name: str, light: str | None) -> str:
    return name if light is None else f"{name}_{light}"


def _form(suffix: str) -> str:
    """Suffixes of one format as one."""
    return ALIKE.get(suffix.lower(), suffix.lower())


def _row(pair: Pair, named: str, name: str, file: str) -> dict[str, str]:
    row = dict.fromkeys(POOL_COLUMNS, "")
    return row | {
        "input_path": joined(named, NG_FOLDER), "golden_path": joined(named, OK_FOLDER), "label": pair.kind,
        "object_name": name, "project": SYNTHETIC, "mpass_mfail": "MFAIL", "is_valid": "1", "comp_name": name,
        "description": pair.stem, "provenance": SDG, "filepath": joined(named, NG_FOLDER, file),
    }  # fmt: skip


def require_rows(rows: Sequence[object], where: Path) -> None:
    """HardStop pregen_empty where not one pair is left."""
    if not rows:
        raise HardStop("pregen_empty", f"{where}: not one pair of pictures can be used; see what was skipped and why")
