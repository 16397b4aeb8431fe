"""Phone screens out of a COCO export: oil, scratches and stains with masks, and screens without any of them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from noescape.datasets.anomalygen_write import Example, Mask, write_anomalygen
from noescape.datasets.binary_mask import read_binary_mask
from noescape.datasets.coco import draw_annotations, parse_coco
from noescape.datasets.folder import find_images
from noescape.files import contained
from noescape.imaging import read_picture
from noescape.records import DataError, ImageError, PathEscapeError

TEXTURE = "Phone"
KINDS = ("oil", "scratch", "stain")
TERMS = "Not stated here: those under which the archive was given to you."
_COPY = re.compile(r"\.rf\.[0-9a-zA-Z]+$")  # exports name augmented copies of one photo <name>.rf.<hash>


@dataclass(frozen=True, kw_only=True)
class _Sight:
    """One type in one picture: the file of its mask, or its outlines."""

    picture: Path
    record: Mapping[str, Any]
    outlines: list[dict[str, Any]]
    mask: Path | None


@dataclass
class _Found:
    """Pictures by type with what draws their masks, pictures of good screens, and what was passed over."""

    shapes: dict[str, dict[str, _Sight]] = field(default_factory=lambda: defaultdict(dict))
    clean: dict[str, Path] = field(default_factory=dict)
    passed: dict[str, int] = field(default_factory=lambda: defaultdict(int))


def take_screens(
    folder: Path,
    out: Path,
    *,
    masks: Path | None = None,
    per_type: int = 20,
    clean: int = 20,
    seed: int = 42,
) -> dict[str, Any]:
    """Write examples of each type and clean screens of the unpacked COCO export at `folder` to `out`.

    The mask of a type in a picture is the file `<stem>_mask.png` or `<stem>.png` below `masks` (in a folder named as
    the type, where it has such), else the union of the type's polygons or run lengths. A box alone is no mask: such
    pictures are passed over and counted. Of copies of one photo that an export made, one is used. Pictures without any
    annotation are clean. DataError when a type, or clean pictures, cannot be had at all, with what there was instead.
    """
    if per_type < 1 or clean < 1:
        raise DataError(f"expected at least 1 image of each, got {per_type} and {clean}")
    given = _index(masks)
    found = _Found()
    for coco in _coco_files(folder):
        _take(coco, given, found)
    rng = np.random.default_rng(seed)
    examples = {kind: _examples(found, kind, per_type, rng) for kind in KINDS}
    lost = [kind for kind, items in examples.items() if not items] + ([] if found.clean else ["clean screens"])
    if lost:
        raise DataError(_lost(folder, lost, found, masks))
    names = sorted(found.clean)
    chosen = sorted(names[k] for k in rng.permutation(len(names))[:clean])
    counts = write_anomalygen(
        out,
        TEXTURE,
        examples,
        [found.clean[name] for name in chosen],
        source={"name": "mobile screen", "terms": TERMS, "seed": seed, "masks": "files" if given else "polygons"},
    )
    return {"images": counts, "passed_over": dict(sorted(found.passed.items()))}


def _coco_files(folder: Path) -> list[Path]:
    found = sorted(folder.rglob("*.coco.json")) or sorted(folder.rglob("*.json"))
    if not found:
        raise DataError(f"{folder}: expected a COCO export with _annotations.coco.json; there is no .json file in it")
    return found


def _take(coco: Path, given: Mapping[tuple[str, str], Path], found: _Found) -> None:
    images, shapes, names = parse_coco(coco)
    for key in sorted(images, key=lambda k: str(images[k]["file_name"])):
        record = images[key]
        try:
            path = contained(coco.parent, record["file_name"])
        except PathEscapeError as error:
            raise DataError(f"{coco}: {error}") from None
        if not path.is_file():
            found.passed["named, but not in the archive"] += 1
            continue
        base = _COPY.sub("", path.stem)
        mine = shapes.get(key, [])
        if not mine:
            found.clean.setdefault(base, path)
        kinds = _by_kind(mine, names, found)
        for kind, own in kinds.items():
            outlines = [shape for shape in own if shape.get("segmentation")]
            mask = _given(given, kind, path, alone=len(kinds) == 1)
            if outlines or mask:
                sight = _Sight(picture=path, record=record, outlines=outlines, mask=mask)
                found.shapes[kind].setdefault(base, sight)
            else:
                found.passed[f"{kind} with a box and no outline"] += 1


def _by_kind(
    shapes: Sequence[dict[str, Any]], names: Mapping[Any, str], found: _Found
) -> dict[str, list[dict[str, Any]]]:
    """The shapes of each known type; others are counted as passed over."""
    own: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for shape in shapes:
        own[names[shape["category_id"]].strip().lower()].append(shape)
    for name in sorted(own.keys() - set(KINDS)):
        found.passed[f"category {name!r}"] += 1
    return {kind: own[kind] for kind in KINDS if kind in own}


def _examples(found: _Found, kind: str, count: int, rng: np.random.Generator) -> list[Example]:
    """Up to `count`, drawn in an order of their own, those whose masks are sound."""
    own = found.shapes[kind]
    names = sorted(own)
    taken: dict[str, Example] = {}
    for name in (names[k] for k in rng.permutation(len(names))):
        try:
            taken[name] = Example(image=own[name].picture, mask=_mask(own[name]))
        except ImageError as error:
            found.passed[f"{kind}: {error.code}"] += 1
        if len(taken) == count:
            break
    return [taken[name] for name in sorted(taken)]


def _mask(sight: _Sight) -> Mask:
    """The mask, of the picture's size and not blank, or ImageError."""
    path = sight.picture
    mask = read_binary_mask(sight.mask) if sight.mask else draw_annotations(path, sight.record, sight.outlines)
    picture = read_picture(path)
    if mask.shape != (picture.height, picture.width):
        raise ImageError(sight.mask or path, "size", "the mask is of another size than its picture")
    if not mask.any():
        raise ImageError(path, "blank", "the mask marks nothing")
    return mask


def _index(masks: Path | None) -> dict[tuple[str, str], Path]:
    """Mask files by (type or "", stem without _mask)."""
    if masks is None:
        return {}
    found = find_images(masks)
    if not found:
        raise DataError(f"{masks}: expected masks, <name of the picture>_mask.png; there is no image in it")
    out: dict[tuple[str, str], Path] = {}
    for _, path in found:
        kinds = [part.lower() for part in path.relative_to(masks).parts[:-1] if part.lower() in KINDS]
        out.setdefault((kinds[-1] if kinds else "", path.stem.removesuffix("_mask")), path)
    return out


def _given(given: Mapping[tuple[str, str], Path], kind: str, picture: Path, *, alone: bool) -> Path | None:
    """The mask file of this type; one in no type's folder counts where the picture shows nothing else."""
    kinds = (kind, "") if alone else (kind,)
    stems = (picture.stem, _COPY.sub("", picture.stem))
    return next((given[key] for key in ((k, stem) for stem in stems for k in kinds) if key in given), None)


def _lost(folder: Path, lost: Sequence[str], found: _Found, masks: Path | None) -> str:
    passed = "; ".join(f"{what}: {count}" for what, count in sorted(found.passed.items())) or "nothing was passed over"
    boxed = any("no outline" in what for what in found.passed)
    mend = "; give a folder of masks" if boxed and masks is None else ""
    return f"{folder}: no usable {', '.join(lost)} ({passed}){mend}"
