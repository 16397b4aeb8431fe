"""Which poses a configuration allows, for two pictures of given sizes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from noescape.board.align.config import AlignConfig, Span
from noescape.board.align.refine import Bounds
from noescape.imaging.warp import Pose, Size

SIDE = 96  # of the coarse search; of 20 sparse and 24 other drawn boards it missed none
_LEAST_SIDE = 48
_GRAIN = 3.0  # steps of turn and scale move the edge by so many small pixels, half of that either way
_MOST_TRIES = 700
_ROOM = 0.1


@dataclass(frozen=True, kw_only=True)
class Reach:
    """All that may be tried: bounds for the end, poses without shift for the start, at a render of `side` pixels.

    `wanted` are the bounds as configured; `scale` a middle one; `shift` in photo pixels across and down.
    """

    bounds: Bounds
    wanted: Bounds
    poses: tuple[Pose, ...]
    side: int
    scale: float
    shift: tuple[float, float]


def reach(config: AlignConfig, render: Size, photo: Size, *, quarter: int = 0) -> Reach:
    """For sizes (height, width); `quarter` turns of 90 degrees are added to every turn."""
    x, y = _scales(config, render, photo, quarter)
    turn = quarter * math.pi / 2
    low, high, step = (math.radians(v) for v in config.rot_range_deg)
    far = max(photo) / 4 if config.shift_range is None else config.shift_range
    alike = abs(x[0] / y[0] - 1) < 0.02 and abs(x[1] / y[1] - 1) < 0.02
    side = SIDE
    while True:
        grain = _GRAIN / side
        turns = _even(low, high, grain)
        if alike:
            pairs = [(s, s) for s in _even_ratio(x[0], x[1], grain)]
        else:
            pairs = [(a, b) for a in _even_ratio(x[0], x[1], grain) for b in _even_ratio(y[0], y[1], grain)]
        if len(turns) * len(pairs) <= _MOST_TRIES or side <= _LEAST_SIDE:
            break
        side = max(_LEAST_SIDE, side * 3 // 4)
    poses = tuple(Pose(sx=a, sy=b, rotation=turn + t) for t in turns for a, b in pairs)
    wanted = Bounds(sx=x[:2], sy=y[:2], rotation=(turn + low, turn + high), tx=(-far, far), ty=(-far, far))
    sx, sy = ((v[0] - v[2] - grain * v[0], v[1] + v[2] + grain * v[1]) for v in (x, y))
    room = step + grain
    more = far + max(photo) / side
    widest = Bounds(sx=sx, sy=sy, rotation=(turn + low - room, turn + high + room), tx=(-more, more), ty=(-more, more))
    middle = math.sqrt(math.sqrt(x[0] * x[1]) * math.sqrt(y[0] * y[1]))
    return Reach(bounds=widest, wanted=wanted, poses=poses, side=side, scale=middle, shift=(far, far))


def _scales(config: AlignConfig, render: Size, photo: Size, quarter: int) -> tuple[Span, Span]:
    """Least and most scale across and down, and how much they are widened."""
    turned = (render[1], render[0]) if quarter % 2 else render
    ratio_x, ratio_y = photo[1] / turned[1], photo[0] / turned[0]
    if quarter % 2:  # a picture that lies across is not squeezed into the other's shape
        ratio_x = ratio_y = math.sqrt(ratio_x * ratio_y)
    low, high = min(ratio_x, ratio_y) * (1 - _ROOM), max(ratio_x, ratio_y) * (1 + _ROOM)
    out = []
    for given, ratio in ((config.sx_range, ratio_x), (config.sy_range, ratio_y)):
        unit = 1.0 if config.no_resize else ratio
        least, most, step = given or (low / unit, high / unit, 0.0)
        out.append((least * unit, most * unit, step * unit))
    return out[0], out[1]


def _even(low: float, high: float, step: float) -> list[float]:
    """Evenly over the range, at most `step` apart, none at its ends; the middle alone where it is short."""
    count = max(1, math.ceil((high - low) / step))
    return [float(v) for v in low + (np.arange(count) + 0.5) * (high - low) / count]


def _even_ratio(low: float, high: float, step: float) -> list[float]:
    return [math.exp(v) for v in _even(math.log(low), math.log(high), step)]
