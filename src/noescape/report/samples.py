"""What a run folder has to show: for each stage that left pictures, rows of files that belong together.

Known trees below a run: crops of a board (`usd2roi-components/crop`, `usd2roi-day1/crop`), their restyled twins
(`augment`), generated defects (`anomaly/inference`), structural defects (`structural_defect/cropped`, their twins in
`structural_defect_edited`), pairs (a folder with `pairs.csv`). A part of a run, given by itself, is found too.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from noescape.files import contained
from noescape.imaging import is_image_name
from noescape.records import PathEscapeError

CROPS = ("usd2roi-components/crop", "usd2roi-day1/crop", "crop")
RESTYLED = ("augment/crop", "augment", "usd2roi-day1-augment/crop", "usd2roi-day1-augment")
RESULTS = ("anomaly/inference", "anomaly", "inference", ".")
STRUCTURAL = ("structural_defect/cropped", "cropped")
EDITED = ("structural_defect_edited/cropped", "structural_defect_edited")
TABLE, PAIRS = "SDG_result.csv", "pairs.csv"
BRIDGE = "bridge"
MASKS = frozenset({"CAD mask", "mask", "label"})  # columns without shades: shown pixel by pixel
MAX_BYTES = 64 << 20


@dataclass(frozen=True, kw_only=True)
class Row:
    """One sample: `files` by column, paths relative to the run; None where there is none."""

    name: str
    note: str
    files: Mapping[str, str | None]

    @property
    def whole(self) -> bool:
        """Every column is there."""
        return all(self.files.values())


@dataclass(frozen=True, kw_only=True)
class Section:
    """The samples of one stage, sorted by name; all have the same columns."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


def find_sections(run: Path) -> list[Section]:
    """Every stage of `run` that left pictures, in the order of the work; [] if there is none."""
    crops, restyled = _first(run, CROPS, "*/**/normal_img"), _first(run, RESTYLED)
    results = next((p for p in RESULTS if (run / p / TABLE).is_file()), None)
    out = []
    if results is not None:
        out.append(_generated(run, results, crops, restyled))
    elif crops is not None:
        out.append(_crops(run, crops, restyled))
    structural = _first(run, STRUCTURAL, "*/rgb")
    if structural is not None:
        out.append(_structural(run, structural, _first(run, EDITED)))
    for table in sorted({*run.glob(PAIRS), *run.glob(f"*/{PAIRS}"), *run.glob(f"*/*/{PAIRS}")}):
        out.append(_pairs(run, table))
    return [section for section in out if section.rows]


def spread(rows: Sequence[Row], most: int) -> list[Row]:
    """Every ceil(N / most)-th row: the same ones each time, from everywhere."""
    return list(rows[:: max(1, math.ceil(len(rows) / most))])


def _generated(run: Path, results: str, crops: str | None, restyled: str | None) -> Section:
    """Generated defects. With crops of a board: what was rendered and restyled for each; else its clean image."""
    made = [row for row in _csv(run / results / TABLE) if row.get("output_filename")]
    rendered = _columns(crops, restyled) if crops else ("original image",)
    columns = (*rendered, *(["defect", "label"] if crops else ["mask", "defect"]))
    rows = []
    for row in sorted(made, key=lambda r: r["output_filename"]):
        name, kind = Path(row["output_filename"]).name, row.get("anomaly_type", "")
        files = {
            "original image": _file(run, f"{results}/original_image/{name}"),
            "mask": _file(run, f"{results}/original_mask/{name}"),
            "label": _file(run, f"{results}/original_mask/{name}"),
            "defect": _file(run, f"{results}/reconstructed_image/{name}"),
        }
        if crops:
            stem = Path(row.get("image_filename", "")).stem
            files |= _origin(run, crops, restyled, kind.partition("+")[0], stem)
        rows.append(Row(name=Path(name).stem, note=kind, files={c: files.get(c) for c in columns}))
    return Section(title="Generated defects", columns=columns, rows=tuple(rows))


def _origin(run: Path, crops: str, restyled: str | None, texture: str, stem: str) -> dict[str, str | None]:
    """The crop that a clean image `<cell>__<number>` or `<number>` was made from."""
    cell, _, number = stem.rpartition("__")
    paired = number.startswith(f"{BRIDGE}_")
    number = number.removeprefix(f"{BRIDGE}_") if paired else number
    try:
        folder = contained(run, f"{crops}/{BRIDGE if paired else texture}/{cell}".rstrip("/"))
    except PathEscapeError:
        return {}
    home = folder.relative_to(run).as_posix()
    at = home.removeprefix(f"{crops}/")
    return {
        _columns(crops, restyled)[0]: _file(run, f"{home}/normal_img/{number}"),
        "CAD mask": _file(run, f"{home}/cad_mask/{number}_cad_mask") or _file(run, f"{home}/cad_mask/{number}"),
        "restyled": _twin(run, restyled, at, number),
    }


def _columns(crops: str, restyled: str | None) -> tuple[str, ...]:
    return ("photo" if "day1" in crops else "render", "CAD mask", *(["restyled"] if restyled else []))


def _twin(run: Path, restyled: str | None, at: str, number: str) -> str | None:
    if restyled is None:
        return None
    return _file(run, f"{restyled}/{at}/normal_img/{number}") or _file(run, f"{restyled}/{at}/{number}")


def _crops(run: Path, crops: str, restyled: str | None) -> Section:
    columns = _columns(crops, restyled)
    rows = []
    for folder in sorted((run / crops).glob("*/**/normal_img")):
        for path in _images(folder):
            at = folder.parent.relative_to(run / crops).as_posix()
            files = {
                columns[0]: _file(run, path.relative_to(run).as_posix()),
                "CAD mask": _file(run, f"{crops}/{at}/cad_mask/{path.stem}_cad_mask")
                or _file(run, f"{crops}/{at}/cad_mask/{path.stem}"),
                "restyled": _twin(run, restyled, at, path.stem),
            }
            rows.append(Row(name=f"{at}/{path.stem}", note="", files={c: files[c] for c in columns}))
    return Section(title="Crops of the board", columns=columns, rows=tuple(rows))


def _structural(run: Path, cropped: str, edited: str | None) -> Section:
    columns = ("render", "CAD mask", *(["restyled"] if edited else []))
    rows = []
    for folder in sorted((run / cropped).glob("*/rgb")):
        mode = folder.parent.name
        for path in _images(folder):
            files = {
                "render": _file(run, path.relative_to(run).as_posix()),
                "CAD mask": _file(run, f"{cropped}/{mode}/semantic_segmentation/{path.stem}"),
                "restyled": _file(run, f"{edited}/{mode}/rgb/{path.stem}") if edited else None,
            }
            rows.append(Row(name=path.stem, note=mode, files={c: files[c] for c in columns}))
    return Section(title="Structural defects", columns=columns, rows=tuple(rows))


def _pairs(run: Path, table: Path) -> Section:
    columns = ("golden", "input", "mask")
    home = table.parent.relative_to(run).as_posix()
    rows = []
    for row in _csv(table):
        if not row.get("object_name") or not row.get("input_path") or row.get("label") == "PASS":
            continue
        name = _named(table.parent, row["object_name"])
        files = {
            "golden": _file(run, f"{home}/{row.get('golden_path', '')}/{name}"),
            "input": _file(run, f"{home}/{row['input_path']}/{name}"),
            "mask": _file(run, f"{home}/mask/{name}"),
        }
        rows.append(Row(name=row["object_name"], note=row.get("label", ""), files=files))
    rows.sort(key=lambda r: r.name)
    return Section(title="Pairs", columns=columns, rows=tuple(rows))


def _named(folder: Path, name: str) -> str:
    """The name with the light that its picture has."""
    lights = ("SolderLight", "WhiteLight", "LowAngleLight", "UniformLight")
    return next((f"{name}_{light}" for light in lights if (folder / "golden" / f"{name}_{light}.png").is_file()), name)


def _file(run: Path, name: str) -> str | None:
    """A picture of the run by its path with or without suffix; None where there is none, or it lies elsewhere."""
    try:
        path = contained(run, name)
    except PathEscapeError:
        return None
    if path.is_file() and is_image_name(path.name):
        return name
    if not path.parent.is_dir():
        return None
    for suffix in (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"):
        twin = path.with_name(path.name + suffix)
        if twin.is_file():
            return _file(run, f"{name}{suffix}")
    return None


def _images(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if is_image_name(p.name))


def _first(run: Path, places: Sequence[str], holds: str = "*") -> str | None:
    """The first of the folders that is there and holds something."""
    for place in places:
        try:
            folder = contained(run, place)
        except PathEscapeError:
            continue
        if folder.is_dir() and next(folder.glob(holds), None) is not None:
            return place
    return None


def _csv(path: Path) -> Iterator[dict[str, str]]:
    """Rows of a CSV of at most 64 MiB; nothing where it cannot be read."""
    try:
        if path.stat().st_size > MAX_BYTES:
            return
        text = path.read_text("utf-8-sig", errors="replace")
        for row in csv.DictReader(io.StringIO(text, newline="")):
            yield {key: value for key, value in row.items() if isinstance(key, str) and isinstance(value, str)}
    except (OSError, csv.Error):
        return
