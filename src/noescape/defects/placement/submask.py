"""The mask of an example, ready to be moved: its largest part, which borders it touches, and what shape it has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from noescape.records import Box

Bool: TypeAlias = npt.NDArray[np.bool_]

NEAR = 7 / 256  # of the picture's side: closer to a border than this counts as touching it
SMALL, WIDE = 0.03, 0.15  # shares of the picture: up to a spot, from a change of the surface
BLOB = 2.5  # length over width up to which a shape has no direction


@dataclass(frozen=True, kw_only=True, eq=False)
class Submask:
    """`mask` [H, W] holds one connected part; `touch` says (left, top, right, bottom) which borders it reaches."""

    mask: Bool
    box: Box
    touch: tuple[bool, bool, bool, bool]
    area: int

    @property
    def share(self) -> float:
        """Part of the picture that it covers."""
        return self.area / self.mask.size

    @property
    def elongation(self) -> float:
        """Length over width, from the second moments."""
        ys, xs = np.nonzero(self.mask)
        if len(xs) < 3:
            return 1.0
        small, large = np.linalg.eigvalsh(np.cov(np.stack([xs, ys]).astype(np.float64)) + np.eye(2) / 12)
        return float(np.sqrt(large / small))

    def flipped(self, x: bool, y: bool) -> Submask:
        """Mirrored with its whole picture, so that what touched the left border touches the right one."""
        if not (x or y):
            return self
        mask = self.mask[:: -1 if y else 1, :: -1 if x else 1]
        height, width = mask.shape
        (x0, y0, x1, y1), (left, top, right, bottom) = self.box, self.touch
        if x:
            x0, x1, left, right = width - x1, width - x0, right, left
        if y:
            y0, y1, top, bottom = height - y1, height - y0, bottom, top
        return Submask(mask=mask, box=(x0, y0, x1, y1), touch=(left, top, right, bottom), area=self.area)


@dataclass(frozen=True, kw_only=True)
class Traits:
    """What the examples of one type have in common (medians; borders: most of them)."""

    share: float
    elongation: float
    at_border: bool

    @property
    def small(self) -> bool:
        """A spot or a line."""
        return self.share <= SMALL

    @property
    def wide(self) -> bool:
        """A change of a whole region."""
        return self.share >= WIDE

    @property
    def blob(self) -> bool:
        """Looks alike from every side."""
        return self.small and self.elongation <= BLOB


def take(mask: npt.NDArray[np.uint8]) -> Submask:
    """The largest 8-connected part of a mask (0/255). ValueError where nothing is marked."""
    part = largest_part(mask > 0)
    if not part.any():
        raise ValueError("the mask marks nothing")
    box = box_of(part)
    height, width = part.shape
    near_x, near_y = max(1, round(NEAR * width)), max(1, round(NEAR * height))
    touch = (box[0] < near_x, box[1] < near_y, box[2] > width - near_x, box[3] > height - near_y)
    return Submask(mask=part, box=box, touch=touch, area=int(part.sum()))


def traits(submasks: Sequence[Submask]) -> Traits:
    """The medians over the examples of a type; without any those of a small blob."""
    if not submasks:
        return Traits(share=0.01, elongation=1.0, at_border=False)
    return Traits(
        share=float(np.median([s.share for s in submasks])),
        elongation=float(np.median([s.elongation for s in submasks])),
        at_border=2 * sum(any(s.touch) for s in submasks) > len(submasks),
    )


def largest_part(mask: Bool) -> Bool:
    """The largest 8-connected part; of equal ones the first from the top left."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    if count <= 1:
        return np.zeros_like(mask)
    part: Bool = labels == 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    return part


def box_of(mask: Bool) -> Box:
    """The box around what is marked; IndexError where nothing is."""
    ys, xs = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(xs[0]), int(ys[0]), int(xs[-1]) + 1, int(ys[-1]) + 1


def parts(mask: Bool) -> int:
    """How many 8-connected parts there are."""
    return int(cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)[0]) - 1
