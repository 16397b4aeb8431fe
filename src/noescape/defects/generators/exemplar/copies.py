"""How much a picture is a copy: its likeness to every exemplar, after both are laid on each other."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from noescape.defects.generators.exemplar.geometry import Affine, warp
from noescape.defects.generators.exemplar.logdomain import Float
from noescape.records import Box

NEAR_COPY = 0.9
SIDE = 40  # cells a side of what is compared
SLACK = 4  # cells that the one may be shifted against the other
MARGIN = 0.25  # of the box, on each side

Grey = npt.NDArray[np.float32]


def views(log: Float, box: Box) -> tuple[Grey, ...]:
    """An exemplar around its box in all eight poses (flips and quarter turns), ready for `likeness`."""
    seen = cv2.resize(_cut(log, box), (SIDE + 2 * SLACK,) * 2, interpolation=cv2.INTER_AREA)
    return tuple(
        np.ascontiguousarray(np.rot90(flipped, k)) for flipped in (seen, np.fliplr(seen)) for k in range(4)
    )  # fmt: skip


def likeness(log: Float, box: Box, exemplars: Sequence[Sequence[Grey]]) -> tuple[float, int]:
    """The highest normalised cross-correlation of the picture around `box` with any exemplar in any of its views,
    shifted as it fits best; and which exemplar that is. About 1 CPU-ms an exemplar."""
    seen = cv2.resize(_cut(log, box), (SIDE + 2 * SLACK,) * 2, interpolation=cv2.INTER_AREA)
    seen = np.ascontiguousarray(seen[SLACK:-SLACK, SLACK:-SLACK])
    if seen.std() < 1e-4:
        return 0.0, 0
    best = [max(float(cv2.matchTemplate(v, seen, cv2.TM_CCOEFF_NORMED).max()) for v in poses) for poses in exemplars]
    number = int(np.argmax(best)) if best else 0
    return (min(best[number], 1.0), number) if best else (0.0, 0)


def laid_likeness(log: Float, box: Box, exemplar: Float, move: Affine) -> float:
    """The same with the exemplar laid where it was drawn, by the very move that drew it."""
    moved = warp(exemplar, move, (log.shape[0], log.shape[1]))
    a, b = (np.ascontiguousarray(_cut(p, box)) for p in (log, moved))
    if a.std() < 1e-4 or b.std() < 1e-4:
        return 0.0
    return float(np.clip(cv2.matchTemplate(a, b, cv2.TM_CCOEFF_NORMED)[0, 0], -1, 1))


def _cut(log: Float, box: Box) -> Grey:
    x0, y0, x1, y1 = box
    mx, my = round((x1 - x0) * MARGIN) + 1, round((y1 - y0) * MARGIN) + 1
    cut = log[max(0, y0 - my) : y1 + my, max(0, x0 - mx) : x1 + mx]
    return np.asarray(cut.mean(axis=2), np.float32)
