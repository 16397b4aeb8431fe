"""A photo laid on its render: coarse search, five parameters to the last pixels, and whether they stand out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from noescape.board.align.coarse import Coarse, Guess
from noescape.board.align.config import AlignConfig
from noescape.board.align.peak import Peak, peak_at
from noescape.board.align.place import Placed, on_render
from noescape.board.align.reach import Reach, reach
from noescape.board.align.refine import Bounds, Level, descend
from noescape.board.align.tones import Grey8
from noescape.imaging.mutual import levels, mutual_information
from noescape.imaging.warp import Pose
from noescape.records import DataError

Rgb = npt.NDArray[np.uint8]
LEAST_SIDE = 64
_SIZES = (256, 512, 1024, 2048)  # of the render's longer side, on the way to the last pixels
_BINS = 32
_POINTS, _MORE_POINTS = 60_000, 120_000
_CANDIDATES = 3


@dataclass(frozen=True, kw_only=True)
class Found:
    """What was found.

    Mutual information is in nats times coverage, on grey values and all pixels of the render; `mi_before` with the
    photo laid edge to edge. `quarter`: how many turns of 90 degrees are in the pose; `outside`: parameters that left
    their range; `mirrored`: a mirrored photo would fit (the pose is still that of the photo as it is).
    """

    placed: Placed
    mi_before: float
    mi_after: float
    coverage: float
    peak: Peak
    quarter: int = 0
    outside: tuple[str, ...] = ()
    mirrored: bool = False


def line_up(render: Rgb, photo: Rgb, config: AlignConfig) -> Found:
    """Lay `photo` on `render` (RGB uint8 of any sizes). Nothing is drawn but from fixed seeds: same input, same pose.

    Where nothing stands out (see `peak`) quarter turns are tried, and then a mirrored photo, so that a refusal can say
    so. DataError for pictures under 64 pixels a side. About 3 CPU-s for 2,048 x 2,048, three times that for a
    photo of another board; memory: about 20 bytes per pixel of the render and of the photo, each at most 2,048 a side.
    """
    for name, picture in (("render", render), ("photo", photo)):
        if min(picture.shape[:2]) < LEAST_SIDE:
            size = f"{picture.shape[1]} x {picture.shape[0]}"
            raise DataError(f"the {name} has {size} pixels; at least {LEAST_SIDE} a side are needed to line it up")
    pair = _Pair(cv2.cvtColor(render, cv2.COLOR_RGB2GRAY), cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY), config)
    straight = pair.started((0,))
    turned = straight if straight.stands_out else pair.started((1, 2, 3))
    start = turned if turned.stands_out else straight
    found = pair.finished(start)
    if found.peak.stands_out:
        return found
    flipped = _Pair(pair.render, np.ascontiguousarray(pair.photo[:, ::-1]), config).started((0, 1, 2, 3))
    return replace(found, mirrored=flipped.stands_out)


@dataclass(frozen=True, kw_only=True)
class _Start:
    """A pose that is right to about a pixel of a picture of 256."""

    pose: Pose
    quarter: int
    stands_out: bool


class _Pair:
    """Two grey pictures and how they may lie on each other."""

    def __init__(self, render: Grey8, photo: Grey8, config: AlignConfig) -> None:
        self.render, self.photo, self._config = render, photo, config
        self._sizes = ((render.shape[0], render.shape[1]), (photo.shape[0], photo.shape[1]))

    def started(self, quarters: Sequence[int]) -> _Start:
        """The best pose under some quarter turns, to about a small pixel."""
        reaches = {q: reach(self._config, *self._sizes, quarter=q) for q in quarters}
        guesses = [(guess, q) for q, one in reaches.items() for guess in self._guesses(one)]
        guesses = sorted(guesses, key=lambda pair: -pair[0].mi)[:_CANDIDATES]
        first = [(self._refined(guess.pose, reaches[q], _SIZES[:1]), q) for guess, q in guesses]
        (pose, _), quarter = max(first, key=lambda entry: entry[0][1])
        return _Start(pose=pose, quarter=quarter, stands_out=self._peak(pose).stands_out)

    def finished(self, start: _Start) -> Found:
        """To the last pixels, and measured."""
        one = reach(self._config, *self._sizes, quarter=start.quarter)
        pose, _ = self._refined(start.pose, one, _SIZES[1:])
        return self._measured(pose, start.quarter, one)

    def _guesses(self, one: Reach) -> list[Guess]:
        coarse = Coarse(self.render, self.photo, side=one.side, scale=one.scale)
        return coarse.search(one.poses, one.shift, most=_CANDIDATES)

    def _refined(self, pose: Pose, one: Reach, sizes: Sequence[int]) -> tuple[Pose, float]:
        """Down the pyramid; the score is that of the last level."""
        score = -np.inf
        longest = max(self.render.shape)
        pixels = sorted({max(1.0, longest / size) for size in sizes}, reverse=True)
        for pixel in pixels:
            finest = pixel == max(1.0, longest / _SIZES[-1])
            scale = float(np.sqrt(pose.sx * pose.sy))
            points = _MORE_POINTS if finest else _POINTS
            level = Level(self.render, self.photo, pixel=pixel, scale=scale, bins=_BINS, points=points)
            first = 2.0 if sizes[0] == _SIZES[0] else 1.0
            pose, score = descend(level, pose, one.bounds, first=first, last=0.03 if finest else 0.1)
        return pose, score

    def _measured(self, pose: Pose, quarter: int, one: Reach) -> Found:
        render, photo = self._sizes
        placed = Placed(pose=pose, render=render, photo=photo)
        edge_to_edge = Pose(sx=photo[1] / render[1], sy=photo[0] / render[0])
        return Found(
            placed=placed,
            mi_before=self._information(replace(placed, pose=edge_to_edge)),
            mi_after=self._information(placed),
            coverage=float(placed.valid().mean()),
            peak=self._peak(pose),
            quarter=quarter,
            outside=_outside(pose, one.wanted),
        )

    def _peak(self, pose: Pose) -> Peak:
        placed = Placed(pose=pose, render=self._sizes[0], photo=self._sizes[1])
        return peak_at(self.render, self.photo, on_render(self.photo, placed), placed.valid(), pose)

    def _information(self, placed: Placed) -> float:
        """As documented: on all pixels of the render, in `bins` bins. 0 where hardly anything overlaps."""
        bins = self._config.bins
        a, b = (levels(one.astype(np.float32), bins) for one in (self.render, on_render(self.photo, placed)))
        mi = mutual_information(a, b, placed.valid(), bins)
        return max(0.0, mi)


def _outside(pose: Pose, wanted: Bounds) -> tuple[str, ...]:
    kept = wanted.kept(pose)
    return tuple(name for name in ("sx", "sy", "rotation", "tx", "ty") if getattr(kept, name) != getattr(pose, name))
