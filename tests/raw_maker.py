"""Small raw sets as people have them: magnetic tiles in their public layout, and mobile_screen.zip, a COCO export."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import cv2
import numpy as np

from dataset_maker import U8, put, texture

SIZE = (80, 72)
TYPES = ("MT_Blowhole", "MT_Break", "MT_Crack", "MT_Fray", "MT_Uneven")


def make_tiles(root: Path, *, per_type: int = 4, good: int = 6, captures: int = 3) -> Path:
    """`per_type` tiles of each defect and `good` ones without, each shot `captures` times; masks beside defects."""
    tile = 0
    for kind, count in [*((kind, per_type) for kind in TYPES), ("MT_Free", good)]:
        for _ in range(count):
            tile += 1
            for e in range(1, captures + 1):
                _capture(root / kind / "Imgs" / f"exp{e}_num_{1000 * tile + 20 * e}", kind, tile, e)
    return root


def _capture(stem: Path, kind: str, tile: int, exposure: int) -> None:
    rng = np.random.default_rng([tile, exposure])
    lit = texture(tile, *SIZE, sigma=1.2).astype(np.float32) * (0.6 + 0.1 * exposure) + rng.normal(0, 2, SIZE)
    mask = np.zeros(SIZE, np.uint8)
    if kind != "MT_Free":
        cv2.circle(mask, (20 + 3 * (tile % 10), 30 + 2 * exposure), 7, 255, -1)
    lit[mask > 0] *= 0.4
    put(stem.with_suffix(".jpg"), np.clip(lit, 0, 255).astype(np.uint8))
    put(stem.with_suffix(".png"), mask)


def screen(seed: int) -> U8:
    """A dark screen in colour with a little light on it."""
    rng = np.random.default_rng([7, seed])
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    light = 40 + 30 * np.exp(-(((y - 30) / 40) ** 2) - ((x - 40) / 40) ** 2)
    return np.clip(light[..., None] * (0.9, 1.0, 1.1) + rng.normal(0, 2, (*SIZE, 3)), 0, 255).astype(np.uint8)


def make_screens(folder: Path, *, examples: int = 3, clean: int = 4, outlines: bool = True) -> Path:
    """The export as a folder: train/ with oil, scratch and stain in polygons (or boxes alone), and good screens."""
    home, names = folder / "train", ("mobile-screen", "oil", "scratch", "stain")
    images, shapes = [], []
    for k in range(3 * examples + clean):
        kind = 1 + k % 3 if k < 3 * examples else 0
        picture, name = screen(k), f"{names[kind]}_{k:04d}_jpg.rf.{k:032x}.jpg"
        if kind:
            x, y, side = 15 + k, 20 + k, 14
            picture[y : y + side, x : x + side] = (120, 110, 60 * kind)
            corners = [x, y, x + side, y, x + side, y + side, x, y + side]
            shape = {"id": k, "image_id": k, "category_id": kind, "bbox": [x, y, side, side]}
            shapes.append(shape | {"segmentation": [corners] if outlines else []})
        put(home / name, picture)
        images.append({"id": k, "file_name": name, "height": SIZE[0], "width": SIZE[1]})
    categories = [{"id": i, "name": name, "supercategory": "none"} for i, name in enumerate(names)]
    record = {"images": images, "annotations": shapes, "categories": categories}
    (home / "_annotations.coco.json").write_text(json.dumps(record), "utf-8")
    (folder / "README.dataset.txt").write_text("made for a test\n", "utf-8")
    return folder


def zipped(folder: Path, archive: Path) -> Path:
    """All files of the folder as a zip."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                out.write(path, path.relative_to(folder).as_posix())
    return archive
