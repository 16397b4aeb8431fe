"""Bring a picture back onto the frame of another by mutual information: scale x and y, rotation, shift.

The poses are those of `noescape.imaging.warp`. Search: on the coarsest level of a pyramid of halves a grid over scale,
rotation and shift; then on every level one parameter after the other, steps halved when nothing gets better.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import product

import cv2
import numpy as np
import numpy.typing as npt

from noescape.defects.restyle.config import AlignmentConfig, Span
from noescape.imaging.mutual import Grey, halved, levels, mutual_information
from noescape.imaging.warp import Pose, inside, warped

Rgb = npt.NDArray[np.uint8]
FLOOR_PX = 32
MAX_ROUNDS = 200
MAX_GRID = 4000
CLEARLY = 1.005
_LEAST = {"sx": 2e-4, "sy": 2e-4, "rotation": 1e-4, "tx": 0.02, "ty": 0.02}  # steps at which the search ends


@dataclass(frozen=True, kw_only=True)
class Alignment:
    """What was found, and mutual information (times coverage) before and after; `coverage` of the frame."""

    pose: Pose
    mi_before: float
    mi_after: float
    coverage: float

    def to_json(self) -> dict[str, float]:
        """As the `params.json` of a registration says it."""
        out = self.pose.to_json() | {"mi_before": self.mi_before, "mi_after": self.mi_after, "coverage": self.coverage}
        return {key: round(value, 5) for key, value in out.items()}


def align(answer: Rgb, frame: Rgb, config: AlignmentConfig) -> tuple[Rgb, Alignment]:
    """`answer` on the pixels of `frame` (both RGB uint8, any sizes), and how it was moved.

    What lies outside of the answer repeats its border. About 2 s for 512 x 512.
    """
    height, width = frame.shape[:2]
    ratio = (answer.shape[1] / width, answer.shape[0] / height)
    fitted = _resized(answer, height, width)
    reference, moving = _grey(frame), _grey(fitted)
    search = _Search(reference, moving, config, ratio)
    start = search.score(Pose(), 0)
    pose = search.run() if config.enabled else Pose()
    after = search.score(pose, 0)
    if not after > start * CLEARLY:
        pose, after = Pose(), start  # every warp softens: none without a gain
    how = cv2.INTER_NEAREST if config.interp == "nearest" else cv2.INTER_LINEAR
    out = fitted if pose == Pose() else warped(fitted, pose, (height, width), how)
    told = replace(pose, sx=pose.sx * ratio[0], sy=pose.sy * ratio[1], tx=pose.tx * ratio[0], ty=pose.ty * ratio[1])
    coverage = float(inside(pose, moving.shape, (height, width)).mean())
    return out, Alignment(pose=told, mi_before=start, mi_after=after, coverage=coverage)


class _Search:
    """Scores poses on a pyramid; all lengths are pixels of the frame, scales are around 1."""

    def __init__(self, frame: Grey, moving: Grey, config: AlignmentConfig, ratio: tuple[float, float]) -> None:
        self.config, self.ratio = config, ratio
        count = 3 if config.pyr_levels is None else config.pyr_levels
        self.levels = [(frame, moving)]
        while len(self.levels) <= count and min(self.levels[-1][0].shape) // 2 >= FLOOR_PX:
            self.levels.append((halved(self.levels[-1][0]), halved(self.levels[-1][1])))
        # Reading between pixels smooths noise away, which looks like a better fit wherever it is done. Both are
        # smoothed before, so that half a pixel off is not rewarded: .05 px of error instead of .3 on synthetic pairs.
        self.ready = [(levels(_smooth(a), config.bins), _smooth(b)) for a, b in self.levels]
        self.longest = max(frame.shape)

    def score(self, pose: Pose, level: int) -> float:
        """Mutual information of a pose at a level."""
        reference, moving = self.ready[level]
        shape = reference.shape
        scaled = replace(pose, tx=pose.tx / 2**level, ty=pose.ty / 2**level)
        read = warped(moving, scaled, (shape[0], shape[1]), cv2.INTER_LINEAR)
        seen = inside(scaled, moving.shape, (shape[0], shape[1]))
        return mutual_information(reference, levels(read, self.config.bins), seen, self.config.bins)

    def run(self) -> Pose:
        """Grid on the coarsest level, then down."""
        top = len(self.levels) - 1
        best = max(self._grid(top), key=lambda pose: self.score(pose, top))
        for level in range(top, -1, -1):
            best = self._descend(best, level)
        return best

    def _span(self, span: Span | None, ratio: float) -> tuple[float, float, float]:
        low, high, step = span or (0.9 * ratio, 1.1 * ratio, 0.1 * ratio)
        return low / ratio, high / ratio, step / ratio

    def _bounds(self) -> dict[str, tuple[float, float]]:
        c = self.config
        shift = self.longest / 4 if c.shift_range is None else c.shift_range
        turn = tuple(math.radians(v) for v in c.rot_range_deg[:2])
        x, y = (self._span(s, r)[:2] for s, r in zip((c.sx_range, c.sy_range), self.ratio, strict=True))
        return {"sx": x, "sy": y, "rotation": (turn[0], turn[1]), "tx": (-shift, shift), "ty": (-shift, shift)}

    def _grid(self, level: int) -> list[Pose]:
        c, pixel, bounds = self.config, 2.0**level, self._bounds()
        sx = _steps(*self._span(c.sx_range, self.ratio[0]))
        sy = _steps(*self._span(c.sy_range, self.ratio[1]))
        # A turn that moves the corners by less than a pixel cannot be seen on this level.
        visible = math.degrees(2 * pixel / self.longest)
        turns = _steps(c.rot_range_deg[0], c.rot_range_deg[1], max(c.rot_range_deg[2], visible))
        step = max(c.shift_step, pixel)
        while True:
            shifts = _steps(*bounds["tx"], step)
            if len(sx) * len(sy) * len(turns) * len(shifts) ** 2 <= MAX_GRID or len(shifts) <= 3:
                break
            step *= 1.25
        return [
            Pose(sx=a, sy=b, rotation=math.radians(t), tx=x, ty=y)
            for a, b, t, x, y in product(sx, sy, turns, shifts, shifts)
        ]

    def _descend(self, pose: Pose, level: int) -> Pose:
        """One parameter after the other, both ways; when none gets better, half the steps."""
        pixel, bounds = 2.0**level, self._bounds()
        turn = 2 * pixel / self.longest
        steps = {"tx": pixel, "ty": pixel, "sx": turn, "sy": turn, "rotation": turn}
        if level == len(self.levels) - 1:
            steps = {key: step * 4 for key, step in steps.items()}
        least = {key: value if level == 0 else max(value, steps[key] / 16) for key, value in _LEAST.items()}
        score = self.score(pose, level)
        for _ in range(MAX_ROUNDS):
            better = False
            for key, step in steps.items():
                for sign in (1, -1):
                    value = min(max(getattr(pose, key) + sign * step, bounds[key][0]), bounds[key][1])
                    tried = replace(pose, **{key: value})
                    if value != getattr(pose, key) and (s := self.score(tried, level)) > score:
                        pose, score, better = tried, s, True
                        break
            if not better:
                if all(steps[key] <= least[key] for key in steps):
                    break
                steps = {key: step / 2 for key, step in steps.items()}
        return pose


def _steps(low: float, high: float, step: float) -> list[float]:
    """Evenly from low to high around their middle, which is always among them."""
    middle, count = (low + high) / 2, int((high - low) / 2 / step + 1e-9)
    return [middle + i * step for i in range(-count, count + 1)]


def _smooth(grey: Grey) -> Grey:
    return np.asarray(cv2.GaussianBlur(grey, (0, 0), 1.0, borderType=cv2.BORDER_REFLECT), dtype=np.float32)


def _grey(rgb: Rgb) -> Grey:
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), dtype=np.float32)


def _resized(rgb: Rgb, height: int, width: int) -> Rgb:
    if rgb.shape[:2] == (height, width):
        return rgb
    shrinks = rgb.shape[0] >= height and rgb.shape[1] >= width
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(rgb, (width, height), interpolation=how), dtype=np.uint8)
