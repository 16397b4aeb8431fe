"""Draw masks (uint8 0/255, `[H, W]`) from the shapes that annotation files hold: boxes, polygons, run lengths."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import cv2
import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.uint8]

FAR = 1e6  # coordinates are clipped to this before they meet OpenCV's 32-bit integers


def draw_boxes(boxes: Iterable[tuple[float, float, float, float]], height: int, width: int) -> Mask:
    """Fill boxes `(x0, y0, x1, y1)` in pixels; parts outside of the image are cut off; a pixel touched counts."""
    mask = np.zeros((height, width), np.uint8)
    for x0, y0, x1, y1 in boxes:
        left, right = sorted((_clip(x0, width), _clip(x1, width)))
        top, bottom = sorted((_clip(y0, height), _clip(y1, height)))
        mask[math.floor(top) : math.ceil(bottom), math.floor(left) : math.ceil(right)] = 255
    return mask


def draw_polygons(polygons: Iterable[Sequence[float]], height: int, width: int) -> Mask:
    """Fill polygons `[x, y, x, y, …]` of at least three points, each by itself; overlaps stay filled.

    Coordinates are continuous: the first pixel spans 0..1. ValueError for odd or too short lists.
    """
    mask = np.zeros((height, width), np.uint8)
    for flat in polygons:
        points = np.asarray(flat, dtype=np.float64)
        if points.ndim != 1 or len(points) < 6 or len(points) % 2 or not np.isfinite(points).all():
            raise ValueError("a polygon needs at least three points x, y of finite numbers")
        corners = np.rint(np.clip(points, -FAR, FAR).reshape(-1, 2) - 0.5).astype(np.int32)
        cv2.fillPoly(mask, [corners], 255)
    return mask


def draw_run_lengths(counts: Sequence[int] | str, height: int, width: int) -> Mask:
    """COCO run lengths (columns first, background first), as a list or in COCO's compressed text form.

    ValueError unless the runs fill the image exactly.
    """
    runs = _unpack(counts, height * width) if isinstance(counts, str) else [int(c) for c in counts]
    if any(run < 0 for run in runs) or sum(runs) != height * width:
        raise ValueError(f"run lengths must be at least 0 and add up to {height} x {width} pixels")
    values = (np.arange(len(runs)) % 2 * 255).astype(np.uint8)
    return np.ascontiguousarray(np.repeat(values, runs).reshape(width, height).T)


def _unpack(text: str, pixels: int) -> list[int]:
    """Each number is a chain of characters: 5 bits each, lowest first, bit 6 = more follows, the last one's fifth bit
    is the sign; from the fourth number on, the difference to the number two places before."""
    runs: list[int] = []
    value = shift = 0
    for char in text:
        bits = ord(char) - 48
        if not 0 <= bits < 64 or shift > 60:
            raise ValueError("the compressed run lengths hold a character that does not belong there")
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        runs.append(value + runs[-2] if len(runs) > 2 else value)
        if not 0 <= runs[-1] <= pixels:
            raise ValueError("the compressed run lengths hold a run outside of the image")
        value = shift = 0
    if shift:
        raise ValueError("the compressed run lengths end inside a number")
    return runs


def _clip(value: float, extent: int) -> float:
    if not math.isfinite(value):
        raise ValueError("box coordinates must be finite numbers")
    return min(max(float(value), 0.0), float(extent))
