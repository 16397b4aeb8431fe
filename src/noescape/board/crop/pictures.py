"""Cutting pictures and writing them; many small files, each whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from noescape.imaging import png_bytes
from noescape.records import Box


def cut(array: npt.NDArray[Any], box: Box) -> npt.NDArray[Any]:
    """The part of `array` [H, W, …] in `box`."""
    x0, y0, x1, y1 = box
    return np.ascontiguousarray(array[y0:y1, x0:x1])


def write_png(path: Path, array: npt.NDArray[Any]) -> None:
    """A PNG of 8 bits, or of 16 for grey uint16. The folder it lies in is still hidden, so no rename is needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png16_bytes(array) if array.dtype == np.uint16 else png_bytes(array))


def png16_bytes(array: npt.NDArray[np.uint16]) -> bytes:
    """PNG of a grey `[H, W]` uint16 array, without loss. Same array, same bytes."""
    done, data = cv2.imencode(".png", array, (cv2.IMWRITE_PNG_COMPRESSION, 1))
    if not done:
        raise ValueError(f"a picture of shape {array.shape} cannot be encoded")
    return bytes(data)
