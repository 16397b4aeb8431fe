"""Pictures with edges and texture for tests of appearance: a board-like scene, and the same under another camera."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Rgb = npt.NDArray[np.uint8]


def scene(rng: np.random.Generator, height: int = 128, width: int = 160, *, grey: bool = False) -> Rgb:
    """Rectangles of many sizes and colours on a ground, slightly soft, with a little noise."""
    out = np.full((height, width, 3), (60, 90, 70), np.float32)
    for _ in range(22):
        x, y = int(rng.integers(0, width)), int(rng.integers(0, height))
        w, h = (int(v) for v in rng.integers(6, width // 5, 2))
        cv2.rectangle(out, (x, y), (x + w, y + h), [float(v) for v in rng.integers(20, 235, 3)], -1)
    out = cv2.GaussianBlur(out, (0, 0), 0.7) + rng.normal(0, 2, out.shape)
    rgb = np.clip(out, 0, 255).astype(np.uint8)
    return np.repeat(rgb[..., :1], 3, axis=2) if grey else rgb


def other_camera(rgb: Rgb, rng: np.random.Generator) -> Rgb:
    """Every channel through a curve that is not even monotone, and noise: what only mutual information survives."""
    g = rgb.astype(np.float32)
    out = np.stack([255 - np.abs(g[..., 0] * 2 - 255), 128 + 80 * np.sin(g[..., 1] / 25), g[..., 2] ** 1.5 / 16], -1)
    return np.clip(out + rng.normal(0, 8, out.shape), 0, 255).astype(np.uint8)


def photo(rgb: Rgb, rng: np.random.Generator) -> Rgb:
    """Brighter, warmer, softer and noisier: an ordinary camera."""
    g = cv2.GaussianBlur(rgb.astype(np.float32), (0, 0), 1.1)
    out = 40 + 0.75 * g * np.array([1.1, 0.95, 0.7])
    noise = rng.normal(0, 4, out.shape[:2])[..., None]
    return np.clip(out + noise, 0, 255).astype(np.uint8)
