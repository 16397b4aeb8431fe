"""Pictures that stand for a material's values, and what they say at a place."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from noescape.records import DataError


@lru_cache(maxsize=24)
def texture(path: Path) -> npt.NDArray[np.uint8]:
    """The picture [H, W, 3] as it is in the file, RGB; DataError if it cannot be read. The last 24 are kept."""
    try:
        data = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError as error:
        raise DataError(f"{path}: a material's picture cannot be read ({error.strerror or error})") from None
    image = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB) if len(data) else None
    if image is None:
        raise DataError(f"{path}: a material's picture is no image that can be read")
    return np.asarray(image, np.uint8)


def sample(picture: npt.NDArray[np.uint8], uvs: npt.NDArray[np.float64], *, srgb: bool) -> npt.NDArray[np.float64]:
    """What `picture` holds at `uvs` [N, 2] (v upwards, repeated beyond 0..1): the nearest pixel, linear 0..1 [N, 3].

    `srgb` says that the picture holds sRGB.
    """
    height, width = picture.shape[:2]
    columns = np.floor(uvs[:, 0] * width).astype(np.int64) % width
    rows = np.floor((1.0 - uvs[:, 1]) * height).astype(np.int64) % height
    values = np.arange(256) / 255.0
    if srgb:
        values = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    return np.asarray(values[picture[rows, columns]])
