"""Near-copies: generated defects that are an example over again, moved, turned, mirrored or lit otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from noescape.defects.generators.exemplar.copies import NEAR_COPY, SLACK, Grey, likeness, views
from noescape.defects.generators.exemplar.logdomain import to_log
from noescape.defects.generators.labels import instances_of

U8 = npt.NDArray[np.uint8]
Bool = npt.NDArray[np.bool_]
PARTS = 3  # largest parts of a mask that are compared, of a picture and of an example

__all__ = ["NEAR_COPY", "Likest", "example_views", "likest", "real_likeness"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Likest:
    """The highest aligned correlation (-1..1) of a picture with any example, and the number of that example."""

    ncc: float
    example: int

    @property
    def near_copy(self) -> bool:
        """Too alike to count as a new picture."""
        return self.ncc >= NEAR_COPY


def example_views(rgb: U8, mask: Bool) -> tuple[tuple[Grey, ...], ...]:
    """An example's defect as `likest` compares it: its whole mask and its largest parts, in all eight poses each."""
    log = to_log(rgb)
    return tuple(views(log, box) for box in _boxes(mask))


def likest(rgb: U8, mask: Bool, examples: Sequence[tuple[tuple[Grey, ...], ...]]) -> Likest | None:
    """Hold the whole defect, and each of its largest parts, against every example in every view and shift.

    Crops are brought to one size, so a copy that was only scaled or stretched is found. None without an example. About
    1 CPU-ms for each pair of crops.
    """
    if not examples:
        return None
    log = to_log(rgb)
    flat = [(number, poses) for number, example in enumerate(examples) for poses in example]
    best = max((likeness(log, box, [poses for _, poses in flat]) for box in _boxes(mask)), key=lambda found: found[0])
    return Likest(ncc=best[0], example=flat[best[1]][0])


def real_likeness(
    examples: Sequence[tuple[tuple[Grey, ...], ...]], groups: Sequence[str], *, most: int = 60
) -> list[float]:
    """The same among real ones of a type, each against (up to `most` of) those of other groups: a black dot is like any
    other black dot, and how much so tells what the likeness of a generated one is worth."""
    out = []
    for mine, group in zip(examples, groups, strict=True):
        others = [e for e, g in zip(examples, groups, strict=True) if g != group]
        others = others[:: max(1, -(-len(others) // most))]
        found = [
            float(
                cv2.matchTemplate(v, np.ascontiguousarray(p[0][SLACK:-SLACK, SLACK:-SLACK]), cv2.TM_CCOEFF_NORMED).max()
            )
            for p in mine
            if p[0].std() > 1e-4
            for other in others
            for poses in other
            for v in poses
        ]
        out += [min(max(found), 1.0)] if found else []
    return out


def _boxes(mask: Bool) -> list[tuple[int, int, int, int]]:
    """The box of the whole mask, then of its largest parts where it has several."""
    ys, xs = np.nonzero(mask)
    whole = (int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1)
    parts = [box for box, _ in instances_of(mask.astype(np.uint8), "")]
    return [whole, *parts[:PARTS]] if len(parts) > 1 else [whole]
