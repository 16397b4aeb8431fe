"""Figures from two histograms: how many good and how many defective cases lie at each score level.

The legend of every function here: `good` and `defect` are counts `[levels]` at ascending, distinct score levels.
Cases of one level are ties. Image scores and quantised pixel scores both end up here, so there is one definition
of every figure. Cost: one pass over the levels.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]


def tally(
    is_defect: npt.NDArray[np.bool_], scores: npt.NDArray[np.float64]
) -> tuple[Floats, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The distinct scores, ascending, with the good and the defective cases at each."""
    levels, level_of = np.unique(scores, return_inverse=True)
    good = np.bincount(level_of[~is_defect], minlength=len(levels))
    defect = np.bincount(level_of[is_defect], minlength=len(levels))
    return levels, good, defect


def at_or_above(counts: Counts) -> Floats:
    """How many lie at each level or above it."""
    return np.asarray(np.cumsum(counts[::-1], dtype=np.float64)[::-1])


def area_under_roc(good: Counts, defect: Counts) -> float | None:
    """The chance that a defective case scores above a good one, ties counting half. None if one class is missing."""
    n_good, n_defect = float(good.sum()), float(defect.sum())
    if not n_good or not n_defect:
        return None
    below = np.cumsum(good, dtype=np.float64) - good
    wins = float(np.dot(defect.astype(np.float64), below + good / 2))
    return min(1.0, wins / (n_good * n_defect))


def mean_precision(good: Counts, defect: Counts) -> float | None:
    """Average precision: precision at each level, weighted by the recall gained there, without interpolation.

    None if one class is missing.
    """
    n_defect = float(defect.sum())
    if not n_defect or not good.any():
        return None
    found = at_or_above(defect)
    flagged = found + at_or_above(good)
    gains = np.flatnonzero(defect)
    return min(1.0, float(np.dot(defect[gains] / n_defect, found[gains] / flagged[gains])))


def f1_by_level(good: Counts, defect: Counts) -> Floats:
    """F1 = 2TP / (2TP + FP + FN) when everything at a level or above it is flagged. Needs a defective case."""
    found = at_or_above(defect)
    return 2 * found / (found + at_or_above(good) + float(defect.sum()))


def best_f1_level(good: Counts, defect: Counts) -> int | None:
    """The lowest level to flag for the highest F1; of equals the highest level, which stops the fewest.

    None if one class is missing.
    """
    if not defect.any() or not good.any():
        return None
    f1 = f1_by_level(good, defect)
    return len(f1) - 1 - int(np.argmax(f1[::-1]))
