"""A few numbers that describe how a picture was taken: size, brightness, contrast, sharpness."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, kw_only=True, slots=True)
class Appearance:
    """`brightness` and `contrast`: mean and standard deviation of grey, 0..255; `sharpness`: log of the mean
    absolute Laplacian of the 256-pixel copy; all of one image."""

    brightness: float
    contrast: float
    sharpness: float


def appearance(rgb: npt.NDArray[np.uint8]) -> Appearance:
    """Measure an image `[H, W, 3]`, on a copy of at most 256 x 256 pixels (about 0.1 ms)."""
    h, w = rgb.shape[:2]
    small = cv2.resize(rgb, (min(w, 256), min(h, 256)), interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
    mean, std = cv2.meanStdDev(grey)
    detail = float(np.abs(cv2.Laplacian(grey, cv2.CV_32F)).mean())
    return Appearance(brightness=float(mean[0, 0]), contrast=float(std[0, 0]), sharpness=float(np.log1p(detail)))
