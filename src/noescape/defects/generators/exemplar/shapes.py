"""Which exemplar fits a given mask, and how it is laid there: shapes compared after their ellipses are made round.

A placed mask is mostly an example's mask turned, stretched and sheared. In whitened coordinates (centred, unit second
moments) all that is left of such a move is a turn and a flip, which a small table of rasters finds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from noescape.defects.generators.exemplar.exemplars import Exemplar, Traits
from noescape.defects.generators.exemplar.geometry import Affine
from noescape.defects.generators.exemplar.logdomain import Bool

RASTER = 24  # cells a side of a whitened shape
REACH = 3.0  # standard deviations from the middle to the raster's edge
TURNS = 24
KEENNESS = 4.0  # exemplars are drawn with a chance of fit ** KEENNESS,
NEARLY = 0.55  # of those that fit at least so well compared to the best: others would be smeared out of shape

Matrix = npt.NDArray[np.float64]
_POSES = tuple(
    np.array([[np.cos(a) * f, -np.sin(a)], [np.sin(a) * f, np.cos(a)]])
    for f in (1.0, -1.0)
    for a in np.arange(TURNS) * (2 * np.pi / TURNS)
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Frame:
    """The ellipse of a mask: `middle` (x, y) and the matrix that makes it round."""

    middle: npt.NDArray[np.float64]
    whiten: Matrix


@dataclass(frozen=True, kw_only=True, eq=False)
class Shape:
    """An exemplar's frame and its raster in every pose, float32 [poses, RASTER * RASTER]."""

    frame: Frame
    rasters: npt.NDArray[np.float32]


def frame_of(mask: Bool) -> Frame:
    """The frame of a mask that marks at least one pixel; a line one pixel wide has the width of a pixel."""
    ys, xs = np.nonzero(mask)
    points = np.stack([xs, ys]).astype(np.float64)
    spread = np.cov(points) if len(xs) > 1 else np.zeros((2, 2))
    values, vectors = np.linalg.eigh(spread + np.eye(2) / 12)
    return Frame(middle=points.mean(axis=1), whiten=vectors @ np.diag(values**-0.5) @ vectors.T)


def shape_of(mask: Bool) -> Shape:
    """The frame and all rasters of an exemplar's mask; about 2 CPU-ms."""
    frame = frame_of(mask)
    return Shape(frame=frame, rasters=np.stack([_raster(mask, frame, pose) for pose in _POSES]))


def lay(
    exemplars: Sequence[Exemplar], shapes: Sequence[Shape], traits: Traits, onto: Bool, rng: np.random.Generator
) -> tuple[int, Affine, float]:
    """Draw an exemplar for the mask `onto`: its number, the affine map to it, and how well the shapes fit (IoU).

    Better fitting exemplars come more often, but not only the best: otherwise each placed mask would get back the
    picture that its outline was taken from. What is wide keeps its direction, since its texture has one.
    """
    target = frame_of(onto)
    found = [_upright(e, s, target, onto) if traits.wide else _posed(e, s, target, onto, rng)
             for e, s in zip(exemplars, shapes, strict=True)]  # fmt: skip
    fits = np.array([fit for _, fit in found])
    chances = np.where(fits >= NEARLY * fits.max(), np.maximum(fits, 0.05), 0) ** KEENNESS
    number = int(rng.choice(len(found), p=chances / chances.sum()))
    return number, found[number][0], float(fits[number])


def _posed(e: Exemplar, shape: Shape, target: Frame, onto: Bool, rng: np.random.Generator) -> tuple[Affine, float]:
    """In the pose that overlaps most; the likeness falls with the stretch that it takes."""
    wanted = _raster(onto, target, _POSES[0])
    common = shape.rasters @ wanted
    overlap = common / np.maximum(shape.rasters.sum(axis=1) + wanted.sum() - common, 1e-6)
    pose = int(rng.choice(np.flatnonzero(overlap >= overlap.max() - 0.03)))
    linear = np.linalg.inv(target.whiten) @ _POSES[pose] @ shape.frame.whiten
    return _affine(linear, shape.frame, target), float(overlap[pose]) * _ease(linear)


def _upright(e: Exemplar, shape: Shape, target: Frame, onto: Bool) -> tuple[Affine, float]:
    """Scaled along the axes to the extent of the mask, never turned."""
    ys, xs = np.nonzero(onto)
    ey, ex = np.nonzero(e.mask)
    spread = [(np.ptp(a) + 1) / (np.ptp(b) + 1) for a, b in ((xs, ex), (ys, ey))]
    linear = np.diag(np.clip(spread, 0.3, 4.0))
    return _affine(linear, shape.frame, target), _ease(linear)


def _affine(linear: Matrix, source: Frame, target: Frame) -> Affine:
    return np.hstack([linear, (target.middle - linear @ source.middle)[:, None]])


def _ease(linear: Matrix) -> float:
    """1 for a rigid move, less the more it enlarges, shrinks or stretches unevenly."""
    large, small = np.linalg.svd(linear, compute_uv=False)
    return float(np.exp(-0.6 * abs(np.log(large * small) / 2) - 0.35 * np.log(large / small)))


def _raster(mask: Bool, frame: Frame, pose: Matrix) -> npt.NDArray[np.float32]:
    """The mask in whitened coordinates, turned by `pose`, flat."""
    linear = pose @ frame.whiten * (RASTER / (2 * REACH))
    move = np.hstack([linear, (np.full(2, (RASTER - 1) / 2) - linear @ frame.middle)[:, None]])
    out = cv2.warpAffine(mask.astype(np.float32), move, (RASTER, RASTER), flags=cv2.INTER_LINEAR)
    return np.asarray(out, np.float32).ravel()
