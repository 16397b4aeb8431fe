"""Small data sets in the AnomalyGen layout: brushed surfaces with spots and notches, boards with CAD masks."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from noescape.imaging import png_bytes

PAD, SOLDER, CAPACITOR = (255, 0, 0), (0, 255, 0), (0, 0, 255)
LABELS = {
    "(0, 0, 0, 0)": {"class": "BACKGROUND"},
    "(255, 0, 0, 255)": {"class": "pad"},
    "(0, 255, 0, 255)": {"class": "solder"},
    "(0, 0, 255, 255)": {"class": "capacitor"},
}


def write_png(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png_bytes(pixels.astype(np.uint8)))
    return path


def surface(seed: int, height: int = 96, width: int = 128) -> np.ndarray:
    rng = np.random.default_rng(seed)
    grey = 120 + 8 * rng.standard_normal((1, width)) + 3 * rng.standard_normal((height, width))
    return np.repeat(np.clip(grey, 0, 255)[..., None], 3, axis=2).astype(np.uint8)


def spot_mask(seed: int, height: int = 96, width: int = 128) -> np.ndarray:
    rng = np.random.default_rng(seed + 1000)
    y, x = np.mgrid[:height, :width]
    cy, cx, r = rng.uniform(25, height - 25), rng.uniform(25, width - 25), rng.uniform(5, 8)
    return (((y - cy) ** 2 + (x - cx) ** 2 < r * r) * 255).astype(np.uint8)


def notch_mask(seed: int, height: int = 96, width: int = 128) -> np.ndarray:
    """At the left border."""
    mask = np.zeros((height, width), np.uint8)
    y = 20 + 7 * (seed % 5)
    for k in range(14):
        mask[y + k // 2 : y + 18 - k // 2, k] = 255
    return mask


def make_surface_set(root: Path, *, examples: int = 4, clean: int = 5, texture: str = "metal") -> Path:
    for kind, draw in (("spot", spot_mask), ("notch", notch_mask)):
        for n in range(examples):
            image, mask = surface(n + (100 if kind == "spot" else 200)), draw(n)
            image[mask > 0] = 40
            write_png(root / texture / "anomaly_image" / kind / f"e {n}.png", image)
            write_png(root / texture / "mask" / kind / f"e {n}_mask.png", mask)
    for n in range(clean):
        write_png(root / texture / "clean_image" / f"c{n}.png", surface(n))
    return root


def board(parts: int = 1) -> np.ndarray:
    """A CAD mask [120, 160, 3]: capacitors between two pads each, with solder at their ends."""
    cad = np.zeros((120, 160, 3), np.uint8)
    for n in range(parts):
        y = 20 + 45 * n
        cad[y : y + 24, 30:60] = PAD
        cad[y : y + 24, 90:120] = PAD
        cad[y : y + 24, 55:62] = SOLDER
        cad[y : y + 24, 88:95] = SOLDER
        cad[y : y + 24, 62:88] = CAPACITOR
    return cad


def pads() -> np.ndarray:
    """A CAD mask of three bare pads in a row, with solder at their upper ends."""
    cad = np.zeros((120, 160, 3), np.uint8)
    for x in (30, 62, 94):
        cad[40:80, x : x + 20] = PAD
        cad[32:42, x : x + 20] = SOLDER
    return cad


def make_board_set(root: Path, kinds: tuple[str, ...] = ("missing", "bridge", "excess_solder", "less_solder")) -> Path:
    for kind in kinds:
        for n in range(2):
            mask = np.zeros((120, 160), np.uint8)
            mask[50:62, 60 : 90 + 4 * n] = 255
            write_png(
                root / "PCB" / "anomaly_image" / kind / f"{n}.png", surface(300 + n + 10 * kinds.index(kind), 120, 160)
            )
            write_png(root / "PCB" / "mask" / kind / f"{n}_mask.png", mask)
    for n, cad in enumerate((board(), board(2), pads())):
        write_png(root / "PCB" / "clean_image" / f"b{n}.png", surface(n, 120, 160))
        write_png(root / "PCB" / "cad_mask" / f"b{n}.png", cad)
    (root / "semantic_segmentation_labels.json").write_text(json.dumps(LABELS), "utf-8")
    write_spec(root, {f"PCB+{kind}": "cad" for kind in kinds})
    return root


def write_spec(root: Path, dependencies: dict[str, str], prompt: str = "") -> Path:
    rows = [{"defect_type": key, "spatial_dependency": value} for key, value in dependencies.items()]
    if prompt:
        rows = [{**row, "roi_prompt_defect_location": prompt} for row in rows]
    path = root / "defect_spec.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path
