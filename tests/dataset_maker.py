"""Small data sets on disk for tests: images from seeds, in the layouts that the readers know."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from noescape.imaging import jpeg_bytes, png_bytes

U8 = npt.NDArray[np.uint8]


def texture(seed: int, height: int = 48, width: int = 64, sigma: float = 2.0) -> U8:
    """A grey random texture of its own: no two seeds look alike."""
    noise = np.random.default_rng(seed).normal(size=(height, width)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), sigma)
    return np.clip(128 + 40 * smooth / smooth.std(), 0, 255).astype(np.uint8)


def put(path: Path, pixels: U8) -> Path:
    """Write `pixels` as PNG or JPEG by the suffix of `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = png_bytes(pixels) if path.suffix.lower() == ".png" else jpeg_bytes(pixels, quality=92)
    path.write_bytes(data)
    return path


def spot(height: int = 48, width: int = 64) -> U8:
    """A mask with one square of 255."""
    mask = np.zeros((height, width), np.uint8)
    mask[10:20, 20:30] = 255
    return mask


def mvtec(root: Path, *, train: int = 4, good: int = 2, scratch: int = 2) -> Path:
    """A whole category in the MVTec AD layout under `root`; returns it."""
    for i in range(train):
        put(root / "train" / "good" / f"{i:03d}.png", texture(i))
    for i in range(good):
        put(root / "test" / "good" / f"{i:03d}.png", texture(100 + i))
    for i in range(scratch):
        put(root / "test" / "scratch" / f"{i:03d}.png", texture(200 + i))
        put(root / "ground_truth" / "scratch" / f"{i:03d}_mask.png", spot())
    return root


def tree(root: Path) -> dict[str, bytes]:
    """Every file under `root` by its relative name, hidden ones too."""
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}
