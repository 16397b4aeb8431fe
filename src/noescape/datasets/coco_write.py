"""Write generated images as a COCO data set: images/ and coco_annotations.json, clean images without annotation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from noescape.datasets.labelled import LabelledImage, clean_images, copy_to, regions, whole_folder
from noescape.datasets.outlines import run_lengths
from noescape.files import dump_json
from noescape.imaging import read_picture

FILE = "coco_annotations.json"


def write_coco(items: Sequence[LabelledImage], out: Path) -> dict[str, object]:
    """Write `items` to `out`; each connected part of a label is one annotation.

    `segmentation` compressed run lengths, `bbox` x, y, width, height, `area` in pixels, the category named by the
    type key "TEXTURE+TYPE". File names are relative to `images/`. `import_coco` reads it.
    """
    return whole_folder(out, "coco", lambda part: _fill(items, part))


def _fill(items: Sequence[LabelledImage], part: Path) -> dict[str, object]:
    kinds = sorted({item.anomaly_type for item in items})
    ids = {kind: number for number, kind in enumerate(kinds, 1)}
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for item in items:
        copy_to(item.image, part / "images" / f"{item.name}.png")
        images.append(_image(len(images) + 1, f"{item.name}.png", item.image))
        for region in regions(item):
            x0, y0, x1, y1 = region.box
            size = [images[-1]["height"], images[-1]["width"]]
            annotations.append(
                {"id": len(annotations) + 1, "image_id": images[-1]["id"], "category_id": ids[item.anomaly_type],
                 "segmentation": {"size": size, "counts": run_lengths(region.mask)},
                 "bbox": [x0, y0, x1 - x0, y1 - y0], "area": region.area, "iscrowd": 0}
            )  # fmt: skip
    for name, path in clean_images(items).items():
        copy_to(path, part / "images" / "clean" / name)
        images.append(_image(len(images) + 1, f"clean/{name}", path))
    categories = [{"id": ids[k], "name": k, "supercategory": k.partition("+")[0]} for k in kinds]
    data = {
        "info": {"description": "generated defects"}, "licenses": [], "images": images, "annotations": annotations,
        "categories": categories,
    }  # fmt: skip
    (part / FILE).write_text(dump_json(data), "utf-8")
    (part / "classes.txt").write_text("".join(f"{kind}\n" for kind in kinds), "utf-8")
    return {"file": FILE, "images": len(images), "instances": len(annotations), "classes": kinds}


def _image(number: int, name: str, path: Path) -> dict[str, Any]:
    picture = read_picture(path)
    return {"id": number, "file_name": name, "width": picture.width, "height": picture.height}
