"""What a moving camera does to a picture: a share of it smeared along a line."""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

from noescape.board.scene.draws import Blur

U8 = npt.NDArray[np.uint8]


def blurred(rgb: U8, blur: Blur) -> U8:
    """`rgb` [H, W, 3], smeared as `blur` says; masks are never blurred."""
    if blur.alpha <= 0 or blur.kernel <= 1:
        return rgb
    sharp = rgb.astype(np.float32)
    smeared = cv2.filter2D(sharp, -1, line(blur.kernel, blur.angle), borderType=cv2.BORDER_REPLICATE)
    return np.asarray(np.clip(np.rint(sharp + (smeared - sharp) * np.float32(blur.alpha)), 0, 255), np.uint8)


def line(length: int, degrees: float) -> npt.NDArray[np.float32]:
    """A kernel that sums to 1: a line through the middle, `length` px long, counter-clockwise from the right."""
    reach = (length - 1) / 2
    side = 2 * math.ceil(reach) + 1
    out = np.zeros((side, side))
    along = np.linspace(-reach, reach, 4 * length + 1)
    columns = side // 2 + along * math.cos(math.radians(degrees))
    rows = side // 2 - along * math.sin(math.radians(degrees))
    for column, row in zip(columns, rows, strict=True):
        left, top = math.floor(column), math.floor(row)
        for y, x, weight in (
            (top, left, (1 - column + left) * (1 - row + top)),
            (top, left + 1, (column - left) * (1 - row + top)),
            (top + 1, left, (1 - column + left) * (row - top)),
            (top + 1, left + 1, (column - left) * (row - top)),
        ):
            if 0 <= y < side and 0 <= x < side:
                out[y, x] += weight
    return np.asarray(out / out.sum(), np.float32)
