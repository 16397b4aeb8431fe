"""From a pair to an example of its defect: what differs from the golden, as a mask; and where to put it elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from noescape.changenet.register import register
from noescape.imaging import resize_rgb

LEVELS = 40  # levels of difference in any channel, after a light blur, that count as a change
LEAST, MOST = 0.001, 0.5  # of the picture
U8 = npt.NDArray[np.uint8]
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, eq=False)
class Example:
    """A picture `[H, W, 3]` with the mask 0/255 `[H, W]` of its defect."""

    rgb: U8
    mask: U8


def change_mask(rgb: U8, golden: U8) -> U8 | None:
    """Where `rgb` differs from its golden, as 0/255: the largest connected change and those at least half as large.

    None where nothing does, or so much that it is no defect but another picture. The golden is laid on first.
    """
    if golden.shape != rgb.shape:
        golden = resize_rgb(golden, rgb.shape[0], rgb.shape[1])
    laid = register(golden, rgb).golden
    soft = [cv2.blur(x, (3, 3)).astype(np.int16) for x in (rgb, laid)]
    changed = (np.abs(soft[0] - soft[1]).max(axis=2) > LEVELS).astype(np.uint8)
    changed = cv2.morphologyEx(changed, cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(changed, connectivity=8)
    if count < 2:
        return None
    areas = stats[1:, cv2.CC_STAT_AREA]
    kept = 1 + np.flatnonzero(areas * 2 >= areas.max())
    mask = np.isin(labels, kept)
    return np.where(mask, np.uint8(255), np.uint8(0)) if LEAST <= mask.mean() <= MOST else None


def placed(mask: U8, size: tuple[int, int], rng: np.random.Generator) -> U8:
    """The shape of `mask` somewhere in a picture of `size` (height, width), whole; shrunk only where it must be."""
    ys, xs = np.nonzero(mask)
    shape = mask[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1]
    room = min(1.0, (size[0] - 2) / shape.shape[0], (size[1] - 2) / shape.shape[1])
    if room < 1:
        smaller = (max(1, int(shape.shape[1] * room)), max(1, int(shape.shape[0] * room)))
        shape = np.asarray(cv2.resize(shape, smaller, interpolation=cv2.INTER_NEAREST), np.uint8)
    out = np.zeros(size, np.uint8)
    y = int(rng.integers(0, size[0] - shape.shape[0] + 1))
    x = int(rng.integers(0, size[1] - shape.shape[1] + 1))
    out[y : y + shape.shape[0], x : x + shape.shape[1]] = shape
    return out


def spread(items: Sequence[T], most: int) -> list[T]:
    """At most so many, evenly over the sequence."""
    if len(items) <= most:
        return list(items)
    return [items[i * len(items) // most] for i in range(most)]
