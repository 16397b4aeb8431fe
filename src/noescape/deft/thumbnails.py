"""Small square pictures for people: the whole picture, never stretched, on grey."""

from __future__ import annotations

import base64
from pathlib import Path

import numpy as np
import numpy.typing as npt

from noescape.files import write_bytes
from noescape.imaging import fit_within, jpeg_bytes

SIDE = 128  # px
GREY = 128
U8 = npt.NDArray[np.uint8]


def thumbnail(rgb: U8, side: int = SIDE) -> U8:
    """`rgb` inside a grey square `[side, side, 3]`; pictures that are smaller stay as they are in its middle."""
    small = fit_within(rgb, side)
    height, width = small.shape[:2]
    out = np.full((side, side, 3), GREY, np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    out[top : top + height, left : left + width] = small
    return out


def write_thumbnail(path: Path, rgb: U8 | None) -> str:
    """Write a JPEG of `SIDE` x `SIDE`; its name as `<folder>/<file>`, or nothing where there is no picture."""
    if rgb is None:
        return ""
    write_bytes(path, jpeg_bytes(thumbnail(rgb)), sync=False)
    return f"{path.parent.name}/{path.name}"


def data_uri(rgb: U8, side: int = SIDE) -> str:
    """The same as text that a page can hold."""
    return "data:image/jpeg;base64," + base64.b64encode(jpeg_bytes(thumbnail(rgb, side), quality=82)).decode("ascii")
