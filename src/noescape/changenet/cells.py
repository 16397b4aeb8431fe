"""Square cells as the unit of a verdict: which of them hold a defect, which are clean, which do not count.

A cell is NG when it holds at least half of a box's area, and is left out when it holds less of one: such a defect
belongs to a neighbour, or to nobody. A box that no cell holds half of is homeless: it is counted and listed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from noescape.records import Box

SIDE = 64  # px
OK, NG, LEFT_OUT = 0, 1, -1
STRONGEST = 4  # values of a map that make the score of a cell


@dataclass(frozen=True, kw_only=True, eq=False)
class CellTruth:
    """`label` int8 `[rows, columns]`: 1 NG, 0 OK, -1 left out. `box` int16: the box of an NG cell, else -1.

    Where a cell holds half of several boxes, `box` is the one of which it holds the largest share (ties: the first).
    `homeless` are the boxes that no cell holds half of.
    """

    label: npt.NDArray[np.int8]
    box: npt.NDArray[np.int16]
    homeless: tuple[int, ...]


def grid_of(shape: tuple[int, int], side: int = SIDE) -> tuple[int, int]:
    """Rows and columns of cells over an image of `shape` (height, width); the last ones may be smaller."""
    return -(-shape[0] // side), -(-shape[1] // side)


def cell_truth(boxes: Sequence[Box], shape: tuple[int, int], *, side: int = SIDE) -> CellTruth:
    """The truth per cell of an image of `shape` (height, width) with these defect boxes.

    The area of a box is all of it, also what lies outside of the image. A box without area is homeless.
    """
    rows, columns = grid_of(shape, side)
    most = np.zeros((rows, columns))
    which = np.full((rows, columns), -1, np.int16)
    homeless = []
    for number, (x0, y0, x1, y1) in enumerate(boxes):
        if x1 <= x0 or y1 <= y0:
            homeless.append(number)
            continue
        share = np.outer(_held(y0, y1, rows, side, shape[0]), _held(x0, x1, columns, side, shape[1]))
        share /= (x1 - x0) * (y1 - y0)
        if not (share >= 0.5).any():
            homeless.append(number)
        more = share > most
        which[more & (share >= 0.5)] = number
        most = np.maximum(most, share)
    label = np.where(most >= 0.5, NG, np.where(most > 0, LEFT_OUT, OK)).astype(np.int8)
    return CellTruth(label=label, box=which, homeless=tuple(homeless))


def cell_scores(
    values: npt.NDArray[np.float32], shape: tuple[int, int], *, stride: int, side: int = SIDE
) -> npt.NDArray[np.float32]:
    """The mean of the 4 largest values per cell of a map with a value per `stride` pixels; `side` is a multiple of it.

    A defect covers several places of the map; a single one is rather the rim of something else. Cells at the edge of
    the image that hold fewer values take what there is. `shape` is that of the image, the result `[rows, columns]`.
    """
    rows, columns = grid_of(shape, side)
    step = side // stride
    full = np.full((rows * step, columns * step), -np.inf, np.float32)
    full[: values.shape[0], : values.shape[1]] = values
    apart = full.reshape(rows, step, columns, step).transpose(0, 2, 1, 3).reshape(rows, columns, -1)
    count = min(STRONGEST, step * step)
    largest = np.partition(apart, -count, axis=-1)[..., -count:]
    there = np.isfinite(largest)
    return np.asarray(np.where(there, largest, 0).sum(-1) / there.sum(-1), np.float32)


def _held(start: int, stop: int, count: int, side: int, end: int) -> npt.NDArray[np.float64]:
    """How many pixels of start..stop each of `count` cells along one axis holds."""
    edges = np.minimum(np.arange(count + 1) * side, end)
    inside = np.minimum(stop, edges[1:]) - np.maximum(start, edges[:-1])
    return np.asarray(np.maximum(inside, 0), np.float64)
