"""Write generated images as a scene of NVIDIA TAO's Dataset Annotation Format (DAFT, metropolis-v3.0).

raw/                   the defect images and the clean ones
contextual/image_*     one file per image: size and format
contextual/instances_noescape.json    every defect: type, numbers, in which image
contextual/objects_noescape.json      every defect's tight box and outline
task/bcq.json          is there a defect in this image, yes or no, with where and what
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from noescape.datasets.labelled import LabelledImage, clean_images, copy_to, regions, whole_folder
from noescape.datasets.outlines import polygon
from noescape.files import dump_json
from noescape.imaging import read_picture

VERSION = "metropolis-v3.0"
SCENE = "generated"
INSTANCES = "instances_noescape.json"
QUESTION = "Is there a defect on the part in this image?"


def write_daft(items: Sequence[LabelledImage], out: Path) -> dict[str, object]:
    """Write `items` as the one scene of a data set at `out`; the clean surfaces answer the question with No.

    The outline is one flat polygon x, y, x, y, … in pixels, as the format's own example has it.
    """
    return whole_folder(out, "daft", lambda part: _fill(items, part / SCENE))


def _fill(items: Sequence[LabelledImage], scene: Path) -> dict[str, object]:
    kinds = sorted({item.anomaly_type for item in items})
    instances: dict[str, Any] = {}
    frames: dict[str, Any] = {}
    answers: list[dict[str, Any]] = []
    for number, item in enumerate(items):
        height, width = _picture(scene, item.name, item.image)
        rows = []
        for region in regions(item):
            key = f"defect_{len(instances):06d}"
            instances[key] = {
                "object_type": item.anomaly_type, "instance_id": len(instances) + 1,
                "semantic_id": kinds.index(item.anomaly_type) + 1, "images": [item.name],
            }  # fmt: skip
            x0, y0, x1, y1 = region.box
            outline = [round(v, 1) for point in polygon(region.mask) for v in point]
            cut = x0 == 0 or y0 == 0 or x1 == width or y1 == height
            rows.append(
                {"object_id": key, "bounding_box_2d_tight": [x0, y0, x1, y1], "mask": outline, "truncated": cut}
            )  # fmt: skip
        frames[item.name] = {"format": "png", "frame_number": number, "instances": rows}
        places = ", ".join(str(row["bounding_box_2d_tight"]) for row in rows[:5])
        reason = f"{len(rows)} region(s) of type {item.defect} on {item.texture}, at [xmin, ymin, xmax, ymax] {places}."
        answers.append({"image_id": item.name, "question": QUESTION, "answer": "Yes", "reasoning": reason})
    for name, path in clean_images(items).items():
        key = f"clean_{Path(name).stem}"
        _picture(scene, key, path)
        answers.append({"image_id": key, "question": QUESTION, "answer": "No"})
    _write(scene / "contextual" / INSTANCES, "instances", {"instances": instances})
    _write(scene / "contextual" / "objects_noescape.json", "objects", {"instances_source": INSTANCES, "frames": frames})
    _write(scene / "task" / "bcq.json", "bcq", {"items": answers})
    return {"file": SCENE, "images": len(items), "instances": len(instances), "classes": kinds, "format": VERSION}


def _picture(scene: Path, key: str, path: Path) -> tuple[int, int]:
    copy_to(path, scene / "raw" / f"{key}.png")
    picture = read_picture(path)
    fields = {"image_id": key, "format": "png", "height": picture.height, "width": picture.width}
    _write(scene / "contextual" / f"image_{key}.json", "image", fields)
    return picture.height, picture.width


def _write(path: Path, kind: str, fields: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    head = {"version": VERSION, "metadata": {"type": kind, "description": "generated defects"}}
    path.write_text(dump_json({**head, **fields}), "utf-8")
