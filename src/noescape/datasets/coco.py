"""COCO detection or segmentation files: annotated images are defective, images without annotation are good."""

from __future__ import annotations

import functools
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from noescape.datasets.masks import Mask, draw_boxes, draw_polygons, draw_run_lengths
from noescape.datasets.splits import check_split, draw_training
from noescape.datasets.write import ImportResult, Placement, refuse_overlap, write_mvtec
from noescape.files import contained, dump_row, safe_name
from noescape.imaging import is_image_name, read_picture
from noescape.records import GOOD_TYPE, UNCERTAIN_TYPE, DataError, ImageError, PathEscapeError

MAX_JSON_BYTES = 1 << 30
MAX_LISTED = 20
TERMS = "Not stated in the file: ask the owner of the images."


def read_coco(
    annotations: Path, images: Path, *, split: str = "group", seed: int = 42, train_fraction: float = 0.6
) -> list[Placement]:
    """What each image of the COCO file `annotations` is and where it would go; file names are relative to `images`.

    Images without annotation are good: `train_fraction` of them is drawn for training. If all image records carry a
    field `group` (an extension: the part or panel shown), groups with a defect are tested and the draw is by group.
    The defect type is the name of the category with most annotations in the image; the mask unites all of them:
    polygons, run lengths (plain or compressed), else the filled box. Raises DataError listing what is wrong.
    """
    check_split(split=split, fraction=train_fraction)
    images_by_id, shapes, names = parse_coco(annotations)
    groups = {i: str(r["group"]) for i, r in images_by_id.items() if r.get("group") is not None}
    grouped = split == "group" and len(groups) == len(images_by_id)
    good = [i for i in images_by_id if i not in shapes]
    unit = groups if grouped else {i: str(r["file_name"]) for i, r in images_by_id.items()}
    flawed = {unit[i] for i in shapes}
    weights = Counter(unit[i] for i in good if unit[i] not in flawed)
    if not weights:
        raise DataError(f"{annotations}: no image without annotations, so there is nothing good to train on")
    drawn = draw_training(weights, seed=seed, fraction=train_fraction)
    placements, problems = [], []
    for i, record in images_by_id.items():
        try:
            source = contained(images, record["file_name"])
        except PathEscapeError as error:
            problems.append(str(error))
            continue
        mine = shapes.get(i, [])
        placements.append(
            Placement(
                source=source,
                split="train" if i not in shapes and unit[i] in drawn else "test",
                kind=_kind(mine, names),
                name=source.name,
                group=groups.get(i),
                mask=functools.partial(draw_annotations, source, record, mine) if mine else None,
                mask_note=dump_row({"shapes": mine}) if mine else "",
            )
        )
    _refuse(annotations, problems)
    return placements


def import_coco(
    src: Path,
    out: Path,
    *,
    images: Path | None = None,
    category: str | None = None,
    split: str = "group",
    seed: int = 42,
    train_fraction: float = 0.6,
    progress: Callable[[int, int], None] | None = None,
) -> ImportResult:
    """Import the COCO file `src` to `<out>/<category>`.

    `src` may also be a folder with exactly one JSON file in it or in its `annotations/`. `images` is the folder
    that file names are relative to; by default `images/` beside or above the file, else the file's own folder.
    `category` names the result (default: the name of the JSON file).
    """
    annotations = _find_json(src)
    base = images or _find_images_dir(annotations)
    refuse_overlap(base, out)
    placements = read_coco(annotations, base, split=split, seed=seed, train_fraction=train_fraction)
    by_group = split == "group" and all(p.group is not None for p in placements)
    name = category or safe_name(annotations.stem)
    info = {
        "name": f"COCO {annotations.stem}",
        "category": name,
        "terms": TERMS,
        "source": annotations.name,
        "split": "group" if by_group else "random",
        "seed": seed,
        "train_fraction": train_fraction,
        "group": "field 'group' of the image records" if by_group else None,
        "masks": "drawn from polygons, run lengths or, where there is nothing finer, filled boxes",
    }
    notes = ["the file states no terms of use: ask the owner of the images"]
    if not by_group:
        notes.append("split by image, as no groups are known: pictures of one part may lie on both sides")
    return write_mvtec(out, name, placements, info=info, notes=notes, progress=progress)


def draw_annotations(image: Path, record: Mapping[str, Any], shapes: list[dict[str, Any]]) -> Mask:
    """The union of `shapes` as a mask of the size of `image`. ImageError when they do not fit the picture."""
    picture = read_picture(image)
    height, width = picture.height, picture.width
    stated = (record.get("height", height), record.get("width", width))
    if stated != (height, width):
        raise ImageError(image, "size", f"is {width}x{height}, the COCO file says {stated[1]}x{stated[0]}")
    mask = draw_boxes([], height, width)
    for shape in shapes:
        try:
            mask |= _draw(shape, height, width)
        except (ValueError, TypeError, KeyError, OverflowError) as error:
            raise ImageError(image, "labels", f"has an annotation that cannot be drawn ({error})") from None
    return mask


def _draw(shape: dict[str, Any], height: int, width: int) -> Mask:
    outline = shape.get("segmentation")
    if isinstance(outline, dict):
        if list(outline["size"]) != [height, width]:
            raise ValueError(f"run lengths of size {outline['size']} in an image of [{height}, {width}]")
        return draw_run_lengths(outline["counts"], height, width)
    if outline:
        return draw_polygons(outline, height, width)
    x, y, w, h = (float(v) for v in shape["bbox"])
    return draw_boxes([(x, y, x + w, y + h)], height, width)


def _kind(shapes: list[dict[str, Any]], names: Mapping[Any, str]) -> str:
    if not shapes:
        return GOOD_TYPE
    counts = Counter(shape["category_id"] for shape in shapes)
    name = safe_name(names[min(counts, key=lambda c: (-counts[c], str(c)))])
    return f"defect_{name}" if name in (GOOD_TYPE, UNCERTAIN_TYPE) else name


def parse_coco(path: Path) -> tuple[dict[Any, dict[str, Any]], dict[Any, list[dict[str, Any]]], dict[Any, str]]:
    """Images by id, shapes by image id, names by category id; all cross-references checked. DataError: all problems."""
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise ValueError(f"larger than {MAX_JSON_BYTES} bytes")
        data = json.loads(path.read_text(encoding="utf-8-sig"))
        images = {r["id"]: r for r in data["images"]}
        names = {r["id"]: str(r["name"]) for r in data.get("categories", [])}
        rows = list(data.get("annotations", []))
        count = len(data["images"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        what = "expected a COCO file (JSON with images, annotations, categories)"
        raise DataError(f"{path}: {what}, but {type(error).__name__}: {error}") from None
    problems = [f"{count - len(images)} image id(s) are given twice"] if len(images) != count else []
    for i, record in images.items():
        if not isinstance(record.get("file_name"), str) or not is_image_name(record["file_name"]):
            problems.append(f"image {i!r}: expected the file_name of an image, got {record.get('file_name')!r}")
    shapes: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    for number, row in enumerate(rows):
        if not _known(row, "image_id", images) or not _known(row, "category_id", names):
            problems.append(f"annotation {number}: its image_id or category_id is not in the file")
        else:
            shapes[row["image_id"]].append({k: row.get(k) for k in ("category_id", "segmentation", "bbox")})
    _refuse(path, problems)
    return images, dict(shapes), names


def _known(row: Any, field: str, table: Mapping[Any, Any]) -> bool:
    key = row.get(field) if isinstance(row, dict) else None
    return isinstance(key, (int, str)) and key in table


def _refuse(path: Path, problems: list[str]) -> None:
    if problems:
        more = [f"  - … and {len(problems) - MAX_LISTED} more"] if len(problems) > MAX_LISTED else []
        raise DataError("\n".join([f"{path} cannot be used:", *(f"  - {p}" for p in problems[:MAX_LISTED]), *more]))


def _find_json(src: Path) -> Path:
    if src.is_file():
        return src
    found = sorted(src.glob("*.json")) or sorted(src.glob("annotations/*.json"))
    if len(found) != 1:
        names = ", ".join(p.name for p in found[:5]) or "none"
        raise DataError(f"{src}: expected one COCO JSON file there or in annotations/ (found: {names}); name the file")
    return found[0]


def _find_images_dir(annotations: Path) -> Path:
    for folder in (annotations.parent / "images", annotations.parent.parent / "images"):
        if folder.is_dir():
            return folder
    return annotations.parent
