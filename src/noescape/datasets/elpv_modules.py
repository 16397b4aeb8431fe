"""Which solar module each ELPV cell was cut from; the set does not say, but its row order does.

Rows run module by module, and cell types change between modules. Most runs of one type are whole modules of 6 x 10
cells; one is a module of 6 x 12 and one of 6 x 8. Two runs are a few cells short: one module in each is smaller (6 x 9
among the monocrystalline, 5 x 10 among the polycrystalline). Which one it is, the pictures tell: cells of one module
were taken with one camera, exposure and current, so they look more alike than cells of two.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import cv2
import numpy as np
import numpy.typing as npt

from noescape.records import DataError

Float = npt.NDArray[np.float64]

MODULE = 60
OTHER_WHOLE = (72, 48)
SMALLER = (54, 50)
THUMB = 20
MODULES = {"mono": 18, "poly": 26}  # the numbers in the authors' paper (Deitsch et al. 2019)


def module_of_cells(types: Sequence[str], load: Callable[[int], npt.NDArray[np.uint8]]) -> list[int]:
    """The module index 0..43 of each cell, in row order. `types` is mono or poly per row; `load(i)` the grey image.

    Images are asked for only where the run lengths leave a choice (1,244 of 2,624 cells; about 3 CPU-s). The two
    places found agree with signs that this does not use: rows of nine in the brightness pattern of the small mono
    module, and sister wafers that recur four rows apart in every poly module but the small one.
    """
    modules: list[int] = []
    start = number = 0
    for _, run in itertools.groupby(types):
        count = len(list(run))
        for length in _lengths(start, count, load):
            modules += [number] * length
            number += 1
        start += count
    return modules


def _lengths(start: int, count: int, load: Callable[[int], npt.NDArray[np.uint8]]) -> list[int]:
    if count in OTHER_WHOLE:
        return [count]
    if count % MODULE == 0:
        return [MODULE] * (count // MODULE)
    thumbs = np.stack([_thumb(load(i)) for i in range(start, start + count)])
    looks = (thumbs - thumbs.mean(axis=0)) / (thumbs.std(axis=0) + 1e-6)
    return segment(looks, -(-count // MODULE), (*SMALLER, MODULE))


def _thumb(grey: npt.NDArray[np.uint8]) -> Float:
    return np.asarray(cv2.resize(grey, (THUMB, THUMB), interpolation=cv2.INTER_AREA), dtype=np.float64).ravel()


def segment(looks: Float, pieces: int, lengths: Sequence[int]) -> list[int]:
    """Cut the rows of `looks` `[n, d]` into `pieces` runs, each of one of `lengths`, with the least total variance
    around the means of the runs; the lengths in order.

    Exact, by dynamic programming: O(pieces * n * len(lengths) * d). DataError if no such cut exists.
    """
    n = len(looks)
    sums = np.vstack([np.zeros(looks.shape[1]), np.cumsum(looks, axis=0)])
    squares = np.concatenate([[0.0], np.cumsum((looks**2).sum(axis=1))])
    best: list[dict[int, tuple[float, int]]] = [{0: (0.0, 0)}]
    for _ in range(pieces):
        reached: dict[int, tuple[float, int]] = {}
        for begin, (cost, _before) in best[-1].items():
            for length in lengths:
                end = begin + length
                if end > n:
                    continue
                spread = float(squares[end] - squares[begin] - ((sums[end] - sums[begin]) ** 2).sum() / length)
                if end not in reached or (cost + spread, begin) < reached[end]:
                    reached[end] = (cost + spread, begin)
        best.append(reached)
    if n not in best[-1]:
        raise DataError(f"{n} cells in a row cannot be {pieces} modules of {sorted(set(lengths))} cells")
    found, end = [], n
    for reached in reversed(best[1:]):
        begin = reached[end][1]
        found.append(end - begin)
        end = begin
    return found[::-1]
