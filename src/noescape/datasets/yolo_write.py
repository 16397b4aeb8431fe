"""Write generated images for YOLO segmentation: images/, labels/ with one polygon a line, data.yaml."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from noescape.datasets.labelled import LabelledImage, clean_images, copy_to, regions, whole_folder
from noescape.datasets.outlines import hole_count, polygon
from noescape.files import dump_yaml

VAL_EVERY = 5  # every fifth clean surface, with all that is drawn on it, is for validation


def write_yolo(items: Sequence[LabelledImage], out: Path) -> dict[str, object]:
    """Write `items` to `out`: `class x y x y …`, relative to width and height, per connected part of a label.

    The format knows no holes; they are kept by a bridge of no width (see `outlines.polygon`). Clean images have an
    empty label file. Surfaces are split, not images: a surface and its twins are on one side.
    """
    return whole_folder(out, "yolo-seg", lambda part: _fill(items, part))


def _fill(items: Sequence[LabelledImage], part: Path) -> dict[str, object]:
    kinds = sorted({item.anomaly_type for item in items})
    surfaces = sorted({(item.texture, item.group) for item in items})
    kept_back = set(surfaces[VAL_EVERY - 1 :: VAL_EVERY])
    of_clean = {item.clean: (item.texture, item.group) for item in items}
    holes = instances = 0
    for item in items:
        side = "val" if (item.texture, item.group) in kept_back else "train"
        copy_to(item.image, part / "images" / side / f"{item.name}.png")
        lines = []
        for region in regions(item):
            height, width = region.mask.shape
            points = polygon(region.mask)
            holes += hole_count(region.mask)
            lines.append(" ".join([str(kinds.index(item.anomaly_type)), *(_at(p, width, height) for p in points)]))
        instances += len(lines)
        _write(part / "labels" / side / f"{item.name}.txt", "".join(f"{line}\n" for line in lines))
    for name, path in clean_images(items).items():
        side = "val" if of_clean[path] in kept_back else "train"
        copy_to(path, part / "images" / side / f"clean-{name}")
        _write(part / "labels" / side / f"clean-{Path(name).stem}.txt", "")
    val = "images/val" if kept_back else "images/train"
    data = {"path": ".", "train": "images/train", "val": val, "names": dict(enumerate(kinds))}
    (part / "data.yaml").write_text(dump_yaml(data), "utf-8")
    told: dict[str, object] = {"file": "data.yaml", "images": len(items), "instances": instances, "classes": kinds}
    return told | {"holes": holes, "validation_surfaces": len(kept_back)}


def _at(point: tuple[float, float], width: int, height: int) -> str:
    return f"{point[0] / width:.6f} {point[1] / height:.6f}"


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
