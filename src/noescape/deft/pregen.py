"""Pre-generated pairs as they were delivered: reconstructed_image/ (NG) and original_image/ (OK), matched by stem.

The type of a defect is, in this order: the row of SDG_result.csv for that file, the name itself
(`TEXTURE+TYPE_00012.png`), a type of defect_spec.jsonl that the name starts with, or else `ng`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from noescape.datasets.anomalygen_spec import SPEC_FILE, read_spec
from noescape.deft.hardstop import HardStop, examples
from noescape.files import read_csv, sha256_file, sha256_named
from noescape.imaging import is_image_name

NG_DIR, OK_DIR, TABLE = "reconstructed_image", "original_image", "SDG_result.csv"
UNKNOWN = "ng"
_NAMED = re.compile(r"[^+]+\+(?P<kind>.+?)(?:[_-]\d+)*")


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """One generated picture and its clean twin; `kind` is the type of the defect, lower case, or `ng`."""

    stem: str
    ng: Path
    ok: Path
    kind: str


def find_pairs(folder: Path) -> list[Pair]:
    """All pairs in `folder`, by stem. HardStop pregen_missing, pregen_empty or pregen_unpaired where that is not whole.

    Extensions of partners may differ; two pictures of one stem in one folder cannot be told apart and count as
    unpaired.
    """
    ng, ok = _by_stem(folder / NG_DIR), _by_stem(folder / OK_DIR)
    lonely = sorted(
        [f"{NG_DIR}/{stem}" for stem in ng.keys() - ok.keys()] + [f"{OK_DIR}/{stem}" for stem in ok.keys() - ng.keys()]
    )
    if lonely:
        raise HardStop(
            "pregen_unpaired",
            f"{folder}: {len(lonely)} picture(s) have no partner of the same name (extensions may differ): "
            f"{examples(lonely)}. Add the partners or take them out",
        )
    kinds = _kinds(folder)
    return [Pair(stem=stem, ng=ng[stem], ok=ok[stem], kind=kinds.of(stem)) for stem in sorted(ng)]


def is_absent(folder: Path) -> bool:
    """Whether neither of the two folders is there."""
    return not (folder / NG_DIR).exists() and not (folder / OK_DIR).exists()


def listing(folder: Path) -> dict[str, object]:
    """What the pictures in `folder` are: how many, and a digest over names and contents."""
    files = [p for side in (NG_DIR, OK_DIR) if (folder / side).is_dir() for p in sorted((folder / side).iterdir())]
    named = [(p.relative_to(folder).as_posix(), sha256_file(p)) for p in files if is_image_name(p.name) and p.is_file()]
    return {"files": len(named), "sha256": sha256_named(named)}


def _by_stem(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise HardStop("pregen_missing", f"{folder}: expected the folder of pre-generated pictures; it is not there")
    files = sorted(p for p in folder.iterdir() if is_image_name(p.name) and p.is_file())
    if not files:
        raise HardStop("pregen_empty", f"{folder}: expected pictures (.png, .jpg, …); there is none")
    out: dict[str, Path] = {}
    for path in files:
        if path.stem in out:
            both = f"{out[path.stem].name!r} and {path.name!r}"
            raise HardStop("pregen_unpaired", f"{folder}: {both} have the same stem, so their partner cannot be told")
        out[path.stem] = path
    return out


@dataclass(frozen=True, kw_only=True)
class _Kinds:
    by_stem: dict[str, str]
    listed: tuple[str, ...]

    def of(self, stem: str) -> str:
        if stem in self.by_stem:
            return self.by_stem[stem]
        named = _NAMED.fullmatch(stem)
        if named:
            return plain_kind(named["kind"])
        lower = stem.lower()
        fitting = [kind for kind in self.listed if re.match(re.escape(kind) + r"(?![a-z0-9])", lower)]
        return max(fitting, key=len) if fitting else UNKNOWN


def _kinds(folder: Path) -> _Kinds:
    table = folder / TABLE
    by_stem = {}
    for row in read_csv(table) if table.is_file() else ():
        name, kind = row.get("output_filename", ""), row.get("anomaly_type", "")
        if name and kind.strip():
            by_stem[Path(name).stem] = plain_kind(kind)
    listed = read_spec(folder / SPEC_FILE, lambda code, what: None) if (folder / SPEC_FILE).is_file() else {}
    return _Kinds(by_stem=by_stem, listed=tuple(sorted(plain_kind(key) for key in listed)))


def plain_kind(key: str) -> str:
    """`IC+Bridge ` as `bridge`."""
    return key.rpartition("+")[2].strip().lower() or UNKNOWN
