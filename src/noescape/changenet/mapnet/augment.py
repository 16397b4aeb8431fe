"""How a pair of another panel could differ: it lies off by a pixel, its lines are wider, light and dark are swapped.

The first two make differences that are no defects, of kinds that a handful of training panels shows too seldom. The
third makes a short of every open, and a spur of every mousebite: a panel may have thin lines of one tone only, and the
next one of the other. All are made on the images, before the channels, so that every channel tells one story.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from noescape.changenet.mapnet.channels import Bits

KNOTS = 4  # per side of a crop: between them the shift is smooth
FARTHEST = 1.4  # px
_BRUSHES = (
    np.ones((2, 2), np.uint8),
    np.ones((1, 2), np.uint8),
    np.ones((2, 1), np.uint8),
    np.asarray(cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3)), np.uint8),
)


@dataclass(frozen=True, kw_only=True)
class Shares:
    """The probability of each change."""

    shift: float = 0.0
    width: float = 0.0
    invert: float = 0.0


def augmented(
    golden: Bits, placed: Bits, test: Bits, rng: np.random.Generator, shares: Shares
) -> tuple[Bits, Bits, Bits]:
    """The three images uint8 0/1 `[H, W]`, each change made with the probability of its share."""
    if rng.random() < shares.shift:
        placed = _drifted(placed, rng)
    if rng.random() < shares.width:
        brush = _BRUSHES[int(rng.integers(len(_BRUSHES)))]
        change = cv2.dilate if rng.random() < 0.5 else cv2.erode
        if rng.random() < 0.5:
            test = np.asarray(change(test, brush), np.uint8)
        else:
            golden, placed = (np.asarray(change(image, brush), np.uint8) for image in (golden, placed))
    if rng.random() < shares.invert:
        return _inverted(golden), _inverted(placed), _inverted(test)
    return golden, placed, test


def _inverted(image: Bits) -> Bits:
    return np.asarray(image ^ 1, np.uint8)


def _drifted(placed: Bits, rng: np.random.Generator) -> Bits:
    height, width = placed.shape
    knots = rng.normal(0, 1, (2, KNOTS, KNOTS)).astype(np.float32)
    off: list[npt.NDArray[np.float32]] = [
        np.clip(cv2.resize(k, (width, height), interpolation=cv2.INTER_CUBIC), -FARTHEST, FARTHEST) for k in knots
    ]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    moved = cv2.remap(placed, x + off[0], y + off[1], cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, np.uint8)
