"""The square around a mask that the model sees, and the way back: what lies beyond the widened mask stays as it was."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from noescape.defects.placement.testcase import TestCase
from noescape.imaging import resize_mask, resize_rgb

LEAST_SIDE = 32  # a window of fewer pixels has no surroundings worth continuing
U8 = npt.NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Window:
    """A square of `side` pixels with its left upper corner at (x, y); it may reach beyond the picture."""

    x: int
    y: int
    side: int


def window_around(mask: U8, side: int) -> Window:
    """A square of at least `side` pixels centred on the mask's box and holding all of it, moved into the picture as far
    as it fits there. ValueError for an empty mask."""
    x0, y0, x1, y1 = box_of(mask)
    side = max(side, x1 - x0, y1 - y0, LEAST_SIDE)
    height, width = mask.shape
    return Window(x=_start(x0, x1, side, width), y=_start(y0, y1, side, height), side=side)


def window_of_case(mask: U8, case: TestCase) -> Window:
    """The window that a test case asks for: `crop_ratio` times the larger side of the mask's box; without it a cell of
    the crop grid; without crop_and_paste, or with neither, the whole picture."""
    x0, y0, x1, y1 = box_of(mask)
    height, width = mask.shape
    side = max(height, width)
    if case.crop_and_paste and case.crop_ratio is not None:
        side = min(side, int(max(x1 - x0, y1 - y0) * case.crop_ratio))
    elif case.crop_and_paste:
        cells = (1 if c == "none" else int(c) for c in (case.crop_grid_X, case.crop_grid_Y))
        side = max(-(-full // count) for full, count in zip((width, height), cells, strict=True))
    return window_around(mask, side)


def random_window(mask: U8, ratio_range: tuple[float, float], rng: np.random.Generator) -> Window:
    """A window whose side is 1.5 to 8 times (or what `ratio_range` says, evenly in the logarithm) that of the mask's
    box, which lies anywhere in it; not larger than the picture's shorter side unless the mask is."""
    x0, y0, x1, y1 = box_of(mask)
    height, width = mask.shape
    longest = max(x1 - x0, y1 - y0)
    ratio = float(np.exp(rng.uniform(*np.log(ratio_range))))
    side = max(min(int(longest * ratio), min(height, width)), longest, LEAST_SIDE)
    x, y = (_anywhere(a, b, side, full, rng) for a, b, full in ((x0, x1, width), (y0, y1, height)))
    return Window(x=x, y=y, side=side)


def cut(picture: U8, window: Window) -> U8:
    """The pixels of the window, [side, side(, 3)]; beyond the border the picture is mirrored."""
    height, width = picture.shape[:2]
    left, top = max(0, -window.x), max(0, -window.y)
    right, bottom = max(0, window.x + window.side - width), max(0, window.y + window.side - height)
    inside = picture[max(0, window.y) : window.y + window.side, max(0, window.x) : window.x + window.side]
    if not (left or top or right or bottom):
        return np.ascontiguousarray(inside)
    return np.asarray(cv2.copyMakeBorder(inside, top, bottom, left, right, cv2.BORDER_REFLECT), np.uint8)


def cut_pair(image: U8, mask: U8, window: Window, size: int) -> tuple[U8, U8]:
    """Image and mask (0/255) of a window, both `size` x `size`; a mask that marks something still does."""
    return resize_rgb(cut(image, window), size, size), resize_mask(cut(mask, window), size, size)


def paste(image: U8, drawn: U8, mask: U8, window: Window, *, poisson: bool = False) -> U8:
    """`image` with what was drawn into its window, through the widened mask; everything else is the same to the bit.

    `drawn` is RGB of any square size. The weight is 1 in the mask and fades to 0 at `widening(window)` pixels from it.
    `poisson` keeps the surroundings' light and only takes the drawn gradients, which pales most defects. On a grey
    picture the drawn one is made grey.
    """
    patch = resize_rgb(drawn, window.side, window.side)
    under = cut(image, window)
    if bool((image == image[:, :, :1]).all()):
        patch = np.repeat(cv2.cvtColor(patch, cv2.COLOR_RGB2GRAY)[:, :, None], 3, axis=2).astype(np.uint8)
    weight = cut(mask, window) > 0
    if poisson:
        patch = _poisson(patch, under, weight)
    alpha = _soft(weight, widening(window))[:, :, None]
    mixed = np.rint(under + (patch.astype(np.float32) - under) * alpha).astype(np.uint8)
    out = image.copy()
    height, width = image.shape[:2]
    y0, x0 = max(0, window.y), max(0, window.x)
    y1, x1 = min(height, window.y + window.side), min(width, window.x + window.side)
    rows, columns = slice(y0 - window.y, y1 - window.y), slice(x0 - window.x, x1 - window.x)
    touched = alpha[rows, columns, 0] > 0
    out[y0:y1, x0:x1][touched] = mixed[rows, columns][touched]
    return out


def widening(window: Window) -> int:
    """No pixel this far from the mask, or farther, changes: enough to hide the seam of the model's coarser grid."""
    return 2 + round(window.side / 64)


def box_of(mask: U8) -> tuple[int, int, int, int]:
    """The half-open box around what a mask marks. ValueError where it marks nothing."""
    ys, xs = np.nonzero(mask)
    if not len(ys):
        raise ValueError("the mask marks nothing")
    return int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1


def _start(low: int, high: int, side: int, full: int) -> int:
    start = (low + high - side) // 2
    if side >= full:  # it holds all of the picture
        return (full - side) // 2
    return min(max(0, start), full - side)


def _anywhere(low: int, high: int, side: int, full: int, rng: np.random.Generator) -> int:
    first, last = high - side, low
    start = int(rng.integers(first, last + 1))
    return (full - side) // 2 if side >= full else min(max(0, start), full - side)


def _soft(mask: npt.NDArray[np.bool_], wide: int) -> npt.NDArray[np.float32]:
    """1 in the mask, falling evenly to 0 at a distance of `wide` pixels."""
    away = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(np.clip(1 - away / wide, 0, 1), np.float32)


def _poisson(patch: U8, under: U8, mask: npt.NDArray[np.bool_]) -> U8:
    inside = np.pad(mask, 2).astype(np.uint8) * 255
    edge = [(2, 2), (2, 2), (0, 0)]
    source, target = np.pad(patch, edge, "edge"), np.pad(under, edge, "edge")
    x, y, w, h = cv2.boundingRect(inside)
    if min(w, h) < 3:  # no inside to solve for
        return patch
    done = cv2.seamlessClone(source, target, inside, (x + w // 2, y + h // 2), cv2.NORMAL_CLONE)
    return np.asarray(done[2:-2, 2:-2], np.uint8)
