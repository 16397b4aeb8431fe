"""A few numbers that describe how a picture was taken: brightness, contrast, sharpness."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

U8 = npt.NDArray[np.uint8]
SIDE = 256
_CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))  # the pixels that a Laplacian looks at


@dataclass(frozen=True, kw_only=True, slots=True)
class Appearance:
    """`brightness` and `contrast`: mean and standard deviation of grey, 0..255; `sharpness`: log of the mean
    absolute Laplacian of the 256-pixel copy; all of one image, or of a part of it."""

    brightness: float
    contrast: float
    sharpness: float


def appearance(rgb: U8, inside: npt.NDArray[np.bool_] | None = None) -> Appearance:
    """Measure an image `[H, W, 3]`, on a copy of at most 256 x 256 pixels (about 0.1 ms).

    `inside` `[H, W]` limits it to a part: no pixel outside of it counts. An empty part is taken for the whole.
    """
    if inside is not None and inside.any() and not inside.all():
        return _of_part(rgb, inside)
    grey = cv2.cvtColor(_small(rgb), cv2.COLOR_RGB2GRAY)
    mean, std = cv2.meanStdDev(grey)
    detail = float(np.abs(cv2.Laplacian(grey, cv2.CV_32F)).mean())
    return Appearance(brightness=float(mean[0, 0]), contrast=float(std[0, 0]), sharpness=float(np.log1p(detail)))


def _of_part(rgb: U8, inside: npt.NDArray[np.bool_]) -> Appearance:
    """On a copy of the box around the part. A pixel of the copy counts if at least half as much of it belongs to the
    part as of the best one; what the other share would have mixed in is taken out again."""
    rows, columns = (np.flatnonzero(inside.any(axis)) for axis in (1, 0))
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    part: U8 = np.ascontiguousarray(inside[box]).view(np.uint8) * np.uint8(255)
    grey = cv2.bitwise_and(cv2.cvtColor(np.ascontiguousarray(rgb[box]), cv2.COLOR_RGB2GRAY), part)
    share = np.maximum(_small(part), 1).astype(np.float32)  # a lone pixel in a large box may round to nothing
    counted = share * 2 >= share.max()
    values = np.where(counted, np.minimum(_small(grey) * (255 / share), 255), 0).astype(np.float32)
    whole = cv2.erode(counted.astype(np.uint8), _CROSS) > 0
    detail = np.abs(cv2.Laplacian(values, cv2.CV_32F))[whole]
    return Appearance(
        brightness=float(values[counted].mean()),
        contrast=float(values[counted].std()),
        sharpness=float(np.log1p(detail.mean())) if detail.size else 0.0,
    )


def _small(image: U8) -> U8:
    height, width = image.shape[:2]
    return np.asarray(cv2.resize(image, (min(width, SIDE), min(height, SIDE)), interpolation=cv2.INTER_AREA))
