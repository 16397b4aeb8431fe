"""Defect pictures on disk, real or generated, as one kind of row whatever layout they lie in."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from noescape.datasets import category_folder, scan_mvtec
from noescape.datasets.anomalygen import read_anomalygen
from noescape.datasets.binary_mask import read_binary_mask
from noescape.datasets.folder import find_images, printable
from noescape.files import read_csv
from noescape.imaging import read_picture
from noescape.records import DataError, ImageError

U8 = npt.NDArray[np.uint8]
IMAGES, MASKS, CLEAN = "reconstructed_image", "original_mask", "original_image"
RESULT = "SDG_result.csv"
PROVENANCE = "provenance.jsonl"
LEVELS = ("", "inference", "anomaly", "anomaly/inference")  # where a run's folder keeps its output tree
_NUMBERED = re.compile(r"(.+)_\d{5,}")


@dataclass(frozen=True, kw_only=True, slots=True)
class DefectPicture:
    """One picture of a defect: its files, and what is known of where it comes from.

    `kind` is the type as its layout names it. `clean` is the picture before the defect came (None for real ones).
    `group` names what is one physical part. `exemplars` are the names of the examples it was made from, `reach` how far
    beyond its mask (pixels) its generator may change it.
    """

    name: str
    kind: str
    image: Path
    mask: Path | None
    clean: Path | None = None
    group: str | None = None
    exemplars: tuple[str, ...] = ()
    reach: int | None = None
    source: str = "original"


@dataclass(frozen=True, kw_only=True)
class Shelf:
    """All that was found at `root`: `defects` with a mask, `good` pictures, and `left_out` rows with the reason."""

    root: Path
    defects: tuple[DefectPicture, ...]
    good: tuple[Path, ...]
    left_out: tuple[str, ...] = ()

    @property
    def kinds(self) -> tuple[str, ...]:
        """The types, sorted."""
        return tuple(sorted({p.kind for p in self.defects}))


@dataclass(frozen=True, kw_only=True, eq=False)
class Loaded:
    """The pixels of one picture: `rgb` uint8 [H, W, 3], `mask` bool [H, W] that marks something, `clean` or None."""

    rgb: U8
    mask: npt.NDArray[np.bool_]
    clean: U8 | None


def read_shelf(root: Path, category: str | None = None) -> Shelf:
    """What lies at `root`: the output tree of `noescape defects generate`, an AnomalyGen or an MVTec AD data set.

    Decodes nothing. DataError where none of the three is there, or where no defect has a mask.
    """
    if not root.is_dir():
        raise DataError(f"{root}: expected a folder, but there is no such folder")
    for level in LEVELS:
        if (root / level / IMAGES).is_dir():
            shelf = _output_tree(root / level)
            break
    else:
        shelf = _anomalygen(root) if any(root.glob("*/anomaly_image")) else _mvtec(root, category)
    if not shelf.defects:
        why = "".join(f"\n  - {printable(line)}" for line in shelf.left_out[:20])
        raise DataError(
            f"{root}: no defect picture with a mask; expected {IMAGES}/ and {MASKS}/ (generated), "
            f"<TEXTURE>/anomaly_image/<TYPE>/ and mask/<TYPE>/, or test/<type>/ and ground_truth/<type>/{why}"
        )
    return shelf


def load(picture: DefectPicture) -> Loaded:
    """Decode one row. ImageError where a file cannot be read, sizes differ, or the mask marks nothing."""
    rgb = read_picture(picture.image).rgb
    if picture.mask is None:
        raise ImageError(picture.image, "mask_missing", "has no mask")
    mask = read_binary_mask(picture.mask) > 0
    clean = read_picture(picture.clean).rgb if picture.clean is not None else None
    for path, size in ((picture.mask, mask.shape), (picture.clean, None if clean is None else clean.shape[:2])):
        if path is not None and size != rgb.shape[:2]:
            raise ImageError(path, "size", f"is {size[1]}x{size[0]}, its image {rgb.shape[1]}x{rgb.shape[0]}")  # type: ignore[index]
    if not mask.any():
        raise ImageError(picture.mask, "mask_blank", "marks nothing")
    return Loaded(rgb=rgb, mask=np.asarray(mask, np.bool_), clean=clean)


def same_types(generated: Sequence[DefectPicture], real: Iterable[str]) -> tuple[DefectPicture, ...]:
    """The generated rows with the names that the real types have: "Metal+Crack" is the "crack" of an MVTec folder.

    Equal names first, then without regard to case, then by the part after "+" where only one real type has it. What
    matches nothing keeps its name.
    """
    names = tuple(real)
    found = {kind: _match(kind, names) for kind in {p.kind for p in generated}}
    return tuple(replace(p, kind=found[p.kind]) for p in generated)


def _match(kind: str, names: Sequence[str]) -> str:
    folded = kind.casefold()
    last = folded.rpartition("+")[2]
    for fits in (
        [n for n in names if n == kind],
        [n for n in names if n.casefold() == folded],
        [n for n in names if n.casefold().rpartition("+")[2] == last],
    ):
        if len(fits) == 1:
            return fits[0]
    return kind


def _output_tree(root: Path) -> Shelf:
    told, provenance = _table(root / RESULT), _provenance(root / PROVENANCE)
    rows, left_out = [], []
    for key, path in find_images(root / IMAGES):
        row, origin = told.get(path.name, {}), provenance.get(path.name, {})
        numbered = _NUMBERED.fullmatch(path.stem)
        kind = row.get("anomaly_type") or (numbered[1] if numbered else path.stem)
        mask, clean = (_beside(root / folder, path) for folder in (MASKS, CLEAN))
        if mask is None:
            left_out.append(f"{IMAGES}/{key}: no mask of this name in {MASKS}/")
            continue
        parts = origin.get("parts")
        used = [p.get("exemplar") for p in parts if isinstance(p, dict)] if isinstance(parts, list) else []
        reach = origin.get("widening_px")
        rows.append(
            DefectPicture(
                name=key, kind=kind, image=path, mask=mask, clean=clean,
                exemplars=tuple(dict.fromkeys(str(u) for u in used if u)),
                reach=reach if isinstance(reach, int) and 0 <= reach < 10_000 else None,
                source=row.get("source") or "original",
            )
        )  # fmt: skip
    return Shelf(root=root, defects=tuple(rows), good=(), left_out=tuple(left_out))


def _beside(folder: Path, image: Path) -> Path | None:
    for name in (image.name, f"{image.stem}.png", f"{image.stem}_mask.png"):
        if (folder / name).is_file():
            return folder / name
    return None


def _table(path: Path) -> dict[str, dict[str, str]]:
    """Rows of SDG_result.csv by the name of the picture; nothing where there is no such file."""
    if not path.is_file():
        return {}
    return {Path(row.get("output_filename", "")).name: row for row in read_csv(path)}


def _provenance(path: Path) -> dict[str, dict[str, Any]]:
    """What the generator told of each picture, by its name; a torn line costs what is known of one picture."""
    found: dict[str, dict[str, Any]] = {}
    for text in path.read_text("utf-8", "replace").split("\n") if path.is_file() else []:
        try:
            row = json.loads(text) if text.strip() else None
        except (ValueError, RecursionError):
            continue
        if isinstance(row, dict):
            found[Path(str(row.get("output_filename"))).name] = row
    return found


def _anomalygen(root: Path) -> Shelf:
    dataset = read_anomalygen(root, decode=False)
    rows = [
        DefectPicture(name=f"{kind.key}/{image.name}", kind=kind.key, image=image, mask=mask)
        for kind in dataset.types
        for image, mask in kind.pairs
    ]
    lost = [str(p) for p in dataset.problems if p.code.startswith("unpaired")]
    good = tuple(path for paths in dataset.clean.values() for path in paths)
    return Shelf(root=root, defects=tuple(rows), good=good, left_out=tuple(lost))


def _mvtec(root: Path, category: str | None) -> Shelf:
    layout = scan_mvtec(category_folder(root, category), to_learn=False)
    samples: Mapping[str, Any] = {s.key: s for s in (*layout.train, *layout.test)}
    rows = [
        DefectPicture(name=s.key, kind=s.defect_type, image=s.image, mask=s.mask, group=s.group)
        for s in samples.values()
        if s.label == 1 and s.mask is not None
    ]
    lost = [f"{s.key}: no mask" for s in samples.values() if s.label == 1 and s.mask is None]
    good = tuple(s.image for s in samples.values() if s.label == 0)
    return Shelf(root=layout.root, defects=tuple(rows), good=good, left_out=(*lost, *layout.problems))
