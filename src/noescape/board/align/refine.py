"""The last pixels: the five parameters, one after the other, on points that are drawn once.

Points lie between pixels, at random places, most of them where the render changes: flat areas say nothing about where
it lies. Points between pixels are read alike from both pictures, so that no pose is favoured because it falls on whole
pixels. The same points serve every pose, so that the measure changes smoothly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from noescape.board.align.tones import Float, Grey8
from noescape.imaging.mutual import levels, mutual_information
from noescape.imaging.warp import Pose

_ROW = 512  # points are read as a picture of rows, which OpenCV's remap wants
_EVENLY = 0.25  # share of the points that lie anywhere
_NAMES = ("tx", "ty", "rotation", "sx", "sy")
_SOFT = 1.0
_SLOW = 1 / 8  # of the longer side: slower changes are light, not board
_ROUNDS = 60


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """How far the search may go; `rotation` in radians, shifts in photo pixels."""

    sx: tuple[float, float]
    sy: tuple[float, float]
    rotation: tuple[float, float]
    tx: tuple[float, float]
    ty: tuple[float, float]

    def kept(self, pose: Pose) -> Pose:
        """The pose, moved to the nearest bound where it is outside."""
        pairs = {name: getattr(self, name) for name in _NAMES}
        return replace(pose, **{n: min(max(getattr(pose, n), low), high) for n, (low, high) in pairs.items()})


class Level:
    """Both pictures at one size: `pixel` large pixels of the render to one small pixel (1, 2, 4 …).

    `scale` is the expected one: the photo is shrunk so that its pixels come out as large as the render's.
    """

    def __init__(self, render: Grey8, photo: Grey8, *, pixel: float, scale: float, bins: int, points: int) -> None:
        small, at = _scaled(render, 1 / pixel)
        other, self._to = _scaled(photo, 1 / (pixel * scale))
        small, self._photo = _clear(small), _clear(other)
        self._bins = bins
        self._frame, self._other = (render.shape[0], render.shape[1]), photo.shape
        xy = _points(small, points, np.random.default_rng([points, round(16 * pixel)]))
        self._rows = levels(_read(small, xy), bins).ravel()
        self._xy1 = np.vstack([(xy + 0.5) / at[:, None] - 0.5, np.ones(xy.shape[1])])
        # How much of each parameter moves the edge of the render by one small pixel.
        turn = 2 * pixel / max(self._frame)
        self.units = {
            "tx": pixel * scale,
            "ty": pixel * scale,
            "rotation": turn,
            "sx": turn * scale,
            "sy": turn * scale,
        }

    def score(self, pose: Pose) -> float:
        """Mutual information times coverage, on the points."""
        m = pose.matrix(self._frame, self._other)
        at = ((m @ self._xy1 + 0.5) * self._to[:, None] - 0.5).astype(np.float32)
        h, w = self._photo.shape
        seen = (at[0] >= 0) & (at[1] >= 0) & (at[0] <= w - 1) & (at[1] <= h - 1)
        return mutual_information(self._rows, levels(_read(self._photo, at), self._bins).ravel(), seen, self._bins)


def descend(level: Level, pose: Pose, bounds: Bounds, *, first: float, last: float) -> tuple[Pose, float]:
    """The best pose near `pose` and its score, by steps from `first` to `last` (small pixels at the render's edge).

    Each parameter moves to the vertex of the parabola through three values, then all together as far again as they
    went in the round, which follows a slanting ridge. A round that moves less than half of the step halves it.
    """
    score, step = level.score(pose), first
    for _ in range(_ROUNDS):
        before = pose
        for name in _NAMES:
            pose, score = _along(level, pose, score, name, level.units[name] * step, bounds)
        moved = {n: getattr(pose, n) - getattr(before, n) for n in _NAMES}
        further = bounds.kept(replace(pose, **{n: getattr(pose, n) + v for n, v in moved.items()}))
        if further != pose and (ahead := level.score(further)) > score:
            pose, score = further, ahead
        if max(abs(v) / level.units[n] for n, v in moved.items()) < step / 2:
            if step <= last:
                break
            step = max(step / 2, last)
    return pose, score


def _along(level: Level, pose: Pose, score: float, name: str, step: float, bounds: Bounds) -> tuple[Pose, float]:
    """The best of four places along one parameter: where it is, one step back and forth, the parabola's vertex."""

    def moved(times: float) -> tuple[float, Pose]:
        tried = bounds.kept(replace(pose, **{name: getattr(pose, name) + times * step}))
        return (score if tried == pose else level.score(tried)), tried

    low, high = moved(-1), moved(1)
    tried = [(score, pose), low, high]
    bend = low[0] - 2 * score + high[0]
    if math.isfinite(bend) and bend < 0:
        tried.append(moved(max(-2.0, min(2.0, 0.5 * (low[0] - high[0]) / bend))))
    best = max(tried, key=lambda pair: pair[0])
    return best[1], best[0]


def _scaled(grey: Grey8, factor: float) -> tuple[Float, npt.NDArray[np.float64]]:
    """The picture times `factor` (never larger), and the factors across and down that rounding left."""
    if factor >= 0.999:
        return grey.astype(np.float32), np.ones(2)
    h, w = grey.shape
    size = (max(2, round(w * factor)), max(2, round(h * factor)))
    small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    return small, np.array([size[0] / w, size[1] / h])


def _clear(grey: Float) -> Float:
    """Slightly smoothed, slow light taken out, spread over 0..255 but for the outermost tones."""
    soft = np.asarray(cv2.GaussianBlur(grey, (0, 0), _SOFT, borderType=cv2.BORDER_REFLECT), dtype=np.float32)
    h, w = soft.shape
    few = max(1, round(max(h, w) / 128))
    tiny = cv2.resize(soft, (max(1, w // few), max(1, h // few)), interpolation=cv2.INTER_AREA)
    slow = cv2.GaussianBlur(tiny, (0, 0), max(tiny.shape) * _SLOW, borderType=cv2.BORDER_REFLECT)
    soft -= cv2.resize(slow, (w, h), interpolation=cv2.INTER_LINEAR)
    low, high = (float(v) for v in np.quantile(soft[:: max(1, h // 400), :: max(1, w // 400)], (0.005, 0.995)))
    return np.asarray(np.clip((soft - low) * (255 / max(high - low, 1e-3)), 0, 255), dtype=np.float32)


def _points(grey: Float, count: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Places (x, y) [2, n] within the picture, most where it changes; n is a multiple of a row's length."""
    h, w = grey.shape
    slope = cv2.magnitude(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)).ravel()
    sums = np.cumsum(slope, dtype=np.float64)
    count = max(_ROW, min(count, h * w) // _ROW * _ROW)
    steep = round(count * (1 - _EVENLY)) if sums[-1] > 0 else 0
    at = np.searchsorted(sums, (np.arange(steep) + rng.random(steep)) / max(steep, 1) * sums[-1])
    at = np.minimum(np.concatenate([at, rng.integers(0, h * w, count - steep)]), h * w - 1)
    xy = np.stack([at % w, at // w]) + rng.uniform(-0.5, 0.5, (2, count))
    return np.asarray(np.clip(xy, 0, [[w - 1], [h - 1]]), dtype=np.float64)


def _read(grey: Float, xy: npt.NDArray[np.floating]) -> Float:
    """Values at the places, between pixels, [rows, 512]."""
    x, y = (np.ascontiguousarray(v, dtype=np.float32).reshape(-1, _ROW) for v in xy)
    return np.asarray(cv2.remap(grey, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), dtype=np.float32)
