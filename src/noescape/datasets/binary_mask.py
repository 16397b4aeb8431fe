"""Read a mask file as 0/255, or say why it cannot be one."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from noescape.imaging import MAX_PIXELS, read_picture
from noescape.records import ImageError

Mask = npt.NDArray[np.uint8]

SOFT_EDGE_PX = 3
DARK, LIGHT = 32, 223  # what is left of 0 and 255 after a lossy or smoothing program
MAX_GREY = 1e-3  # share of the picture. Masks of the magnetic tiles, which are soft at their edges: at most 2e-4


def read_binary_mask(path: Path, *, max_pixels: int = MAX_PIXELS) -> Mask:
    """The mask at `path`, uint8 0/255 `[H, W]`.

    Two values of which one is 0 (0/1, 0/255, one colour on black): what is not 0 is marked. More values are taken,
    marked over 127, when the grey ones lie along edges, as a lossy or smoothing program leaves them.
    ImageError: as in reading an image, or `not_binary` (grey away from any edge: a photograph, a probability, several
    classes in one file). A mask that marks nothing is returned as it is. About 2 ms for 512 x 512.
    """
    rgb = read_picture(path, max_pixels=max_pixels).rgb
    values = np.maximum.reduce(cv2.split(rgb))  # 20 times as fast as rgb.max(axis=2)
    levels = np.flatnonzero(np.bincount(values.ravel(), minlength=256))
    if len(levels) <= 2 and levels[0] == 0:
        return np.where(values > 0, np.uint8(255), np.uint8(0))
    marked = (values > 127).astype(np.uint8)
    around = np.ones((2 * SOFT_EDGE_PX + 1,) * 2, np.uint8)
    grey = (values < LIGHT) & (cv2.erode(marked, around) > 0) | (values > DARK) & (cv2.dilate(marked, around) == 0)
    if float(grey.mean()) > MAX_GREY:
        reason = f"is no binary mask: {len(levels)} values, {grey.mean():.1%} of its pixels grey away from any edge"
        raise ImageError(path, "not_binary", f"{reason}; draw the defect in white on black")
    return np.where(marked > 0, np.uint8(255), np.uint8(0))
