"""How a defect may be moved: what touches a border keeps touching it, only blobs turn freely, stripes stay stripes."""

from __future__ import annotations

from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from noescape.defects.generators.exemplar.exemplars import Exemplar, Traits
from noescape.defects.generators.exemplar.logdomain import Bool, Float, unit

Affine: TypeAlias = npt.NDArray[np.float64]  # 2 x 3: from pixels of the exemplar to pixels of the target


def draw_move(e: Exemplar, traits: Traits, target: tuple[int, int], rng: np.random.Generator) -> Affine:
    """Draw a place and a pose for an exemplar in a picture of height and width `target`."""
    height, width = target
    x0, y0, x1, y1 = e.box
    cx, cy = (x0 + x1) / 2, (y0 + y1) / 2
    scale = rng.uniform(0.7, 1.4) if traits.small else rng.uniform(0.8, 1.25)
    move = _three(cv2.getRotationMatrix2D((cx, cy), _angle(e, traits, rng), scale))
    move = _shift(*(_along_border if e.touch.any else _anywhere)(e, scale, target, rng)) @ move
    if rng.random() < 0.5:
        move = np.array([[-1, 0, width - 1], [0, 1, 0], [0, 0, 1.0]]) @ move
    if rng.random() < 0.5:
        move = np.array([[1, 0, 0], [0, -1, height - 1], [0, 0, 1.0]]) @ move
    return move[:2]


def warp_mask(mask: Bool, move: Affine, size: tuple[int, int], *, mirrored: bool = False) -> Bool:
    """A mask moved; outside of its picture there is no defect, unless the picture is `mirrored` beyond its borders."""
    border = cv2.BORDER_REFLECT if mirrored else cv2.BORDER_CONSTANT
    out = cv2.warpAffine(mask.astype(np.float32), move, size[::-1], flags=cv2.INTER_LINEAR, borderMode=border)
    return out > 0.5  # type: ignore[no-any-return]


def warp(picture: Float, move: Affine, size: tuple[int, int]) -> Float:
    """A picture moved; beyond its borders it is mirrored."""
    out = cv2.warpAffine(picture, move, size[::-1], flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return out.reshape(*size, picture.shape[2])  # type: ignore[no-any-return]


def _angle(e: Exemplar, traits: Traits, rng: np.random.Generator) -> float:
    if traits.blob:
        return float(rng.uniform(-180, 180))
    if traits.wide:
        return float(rng.uniform(-4, 4))
    return float(rng.uniform(-5, 5) if e.touch.any else rng.uniform(-20, 20))


def _anywhere(e: Exemplar, scale: float, target: tuple[int, int], rng: np.random.Generator) -> tuple[float, float]:
    """A shift that puts a free defect anywhere inside, whole where it fits."""
    x0, y0, x1, y1 = e.box
    margin = 4 * unit(target)
    out = []
    for low, high, side in ((x0, x1, target[1]), (y0, y1, target[0])):
        half = min((high - low) * scale / 2 + margin, side / 2)
        out.append(rng.uniform(half, max(side - half, half)) - (low + high) / 2)
    return out[0], out[1]


def _along_border(e: Exemplar, scale: float, target: tuple[int, int], rng: np.random.Generator) -> tuple[float, float]:
    """A shift along the touched border; after the scaling the defect still reaches it."""
    x0, y0, x1, y1 = e.box
    t = e.touch
    height, width = target
    upright, level = t.left or t.right, t.top or t.bottom
    cx, cy = (x0 + x1) / 2, (y0 + y1) / 2
    dx, dy = (float(v) for v in rng.uniform(-8, 8, 2) * unit(target))
    if level and not upright:
        dx, dy = _slide(x0, x1, width, rng), 0.0
    elif upright and not level:
        dx, dy = 0.0, _slide(y0, y1, height, rng)
    if t.top and not t.bottom:
        dy = (cy - y0) * scale - cy
    elif t.bottom and not t.top:
        dy = height - 1 - (cy + (y1 - cy) * scale)
    if t.left and not t.right:
        dx = (cx - x0) * scale - cx
    elif t.right and not t.left:
        dx = width - 1 - (cx + (x1 - cx) * scale)
    return dx, dy


def _slide(low: int, high: int, side: int, rng: np.random.Generator) -> float:
    """Along a border: anywhere for what is short, a little for what is long."""
    if high - low > 0.7 * side:
        return float(rng.uniform(-0.08, 0.08) * side)
    return float(rng.uniform(0.08, 0.92) * side - (low + high) / 2)


def _three(move: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.vstack([move, [0, 0, 1]])


def _shift(dx: float, dy: float) -> npt.NDArray[np.float64]:
    return np.array([[1, 0, dx], [0, 1, dy], [0, 0, 1.0]])
