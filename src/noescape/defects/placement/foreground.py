"""The part against its background, for when nobody can be asked where a defect belongs."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from noescape.defects.placement.submask import Bool, largest_part

RING = 0.04  # of the side: the rim of the picture is taken for background
SIDE = 256  # what is looked at
LEAST, MOST = 0.05, 0.95  # of the picture: below or above there is no telling part from background


def foreground(rgb: npt.NDArray[np.uint8]) -> tuple[Bool, str]:
    """The largest region unlike the picture's rim, holes filled [H, W], and in words what was done.

    The rim's colours (median and spread in Lab) are the background, Otsu's threshold parts the distances. Where that
    gives less than 5% or more than 95% of the picture, as on a surface that fills it, the whole picture is taken.
    No model, no words understood. About 3 ms.
    """
    height, width = rgb.shape[:2]
    scale = min(1.0, SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA)
    lab = cv2.GaussianBlur(cv2.cvtColor(small, cv2.COLOR_RGB2LAB), (0, 0), 1.5).astype(np.float32)
    ring = max(1, round(RING * min(size)))
    rim = np.ones(lab.shape[:2], bool)
    rim[ring:-ring, ring:-ring] = False
    middle = np.median(lab[rim], axis=0)
    spread = np.median(np.abs(lab[rim] - middle), axis=0) + 2.0  # two steps of 8-bit Lab: less is noise
    distance = np.sqrt((((lab - middle) / spread) ** 2).sum(axis=2))
    level = np.clip(distance * 8, 0, 255).astype(np.uint8)
    _, over = cv2.threshold(level, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    tidy = cv2.morphologyEx(over, cv2.MORPH_CLOSE, np.ones((7, 7), np.uint8))
    part = _filled(largest_part(tidy > 0))
    if not LEAST <= float(part.mean()) <= MOST:
        return np.ones((height, width), bool), "whole image: no part stands out against its rim"
    full = cv2.resize(part.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST) > 0
    return full, "foreground against the rim of the image; the prompt was not read"


def _filled(mask: Bool) -> Bool:
    outlines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    out = np.zeros(mask.shape, np.uint8)
    cv2.drawContours(out, outlines, -1, 1, thickness=cv2.FILLED)
    return out > 0
