"""Sizes: shrink by area (no aliasing), enlarge linearly; masks keep every defect that they had."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float32]
U8 = npt.NDArray[np.uint8]


def resize_rgb(rgb: U8, height: int, width: int) -> U8:
    """Resize an image `[H, W, 3]` or `[H, W]`; the aspect ratio is not kept."""
    h, w = rgb.shape[:2]
    if (h, w) == (height, width):
        return rgb
    how = cv2.INTER_AREA if height <= h and width <= w else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(rgb, (width, height), interpolation=how), dtype=np.uint8)


def fit_within(rgb: U8, longest: int) -> U8:
    """Shrink, keeping the aspect ratio, until the longer side is at most `longest`; never enlarge."""
    h, w = rgb.shape[:2]
    scale = longest / max(h, w)
    if scale >= 1:
        return rgb
    return resize_rgb(rgb, max(1, round(h * scale)), max(1, round(w * scale)))


def resize_map(values: Float, height: int, width: int) -> Float:
    """Resize a score map bilinearly."""
    if values.shape == (height, width):
        return values
    return np.asarray(cv2.resize(values, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.float32)


def resize_mask(mask: U8, height: int, width: int) -> U8:
    """Resize a pixel truth by nearest neighbour to 0/255. A mask that is not empty never becomes empty:
    where nearest sampling would lose it, any touched pixel counts."""
    binary = (mask > 0).astype(np.uint8)
    if binary.shape == (height, width):
        return binary * np.uint8(255)
    out = cv2.resize(binary, (width, height), interpolation=cv2.INTER_NEAREST)
    if binary.any() and not out.any():
        out = (cv2.resize(binary.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA) > 0).astype(
            np.uint8
        )
        if not out.any():
            ys, xs = np.nonzero(binary)
            out[int(ys[0] * height / binary.shape[0]), int(xs[0] * width / binary.shape[1])] = 1
    return np.asarray(out * np.uint8(255), dtype=np.uint8)


def blur_map(values: Float, sigma: float) -> Float:
    """Gaussian blur of a map; kernel radius 4 sigma (PatchCore and PaDiM use sigma 4), edges mirrored."""
    if sigma <= 0:
        return values
    size = 2 * int(4 * sigma + 0.5) + 1
    blurred = cv2.GaussianBlur(values, (size, size), sigma, borderType=cv2.BORDER_REFLECT)
    return np.asarray(blurred, dtype=np.float32)
