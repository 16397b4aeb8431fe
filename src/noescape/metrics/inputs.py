"""The one door through which labels and scores enter this room."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

# Past this size a midpoint of two scores, or the next number below one, could overflow.
LARGEST_SCORE = 1e300

Labels = npt.NDArray[Any] | Sequence[int]
Scores = npt.NDArray[Any] | Sequence[float]


def checked(labels: Labels, scores: Scores) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
    """`labels` as booleans (True = defect) and `scores` as float64, both `[n]`; n = 0 is allowed.

    ValueError when they are not two lists of one length, when a label is not 0 or 1, or when a score is NaN,
    infinite or beyond ±1e300: a figure computed over such a value would look like a measurement.
    """
    truth, values = np.asarray(labels), np.asarray(scores)
    if truth.ndim != 1 or values.ndim != 1 or len(truth) != len(values):
        raise ValueError(
            f"expected labels and scores as two lists of one length, got shapes {truth.shape} and {values.shape}"
        )
    if not len(truth):
        return np.zeros(0, np.bool_), np.zeros(0, np.float64)
    wrong = ~((truth == 0) | (truth == 1))
    if wrong.any():
        at = int(np.argmax(wrong))
        raise ValueError(f"label {at}: expected 0 (good) or 1 (defect), got {truth[at]!r}")
    try:
        exact = values.astype(np.float64)
    except (TypeError, ValueError) as e:
        raise ValueError(f"expected numbers as scores, got an array of {values.dtype}") from e
    wrong = ~(np.abs(exact) <= LARGEST_SCORE)
    if wrong.any():
        at = int(np.argmax(wrong))
        raise ValueError(f"score {at}: expected a finite number within ±{LARGEST_SCORE:g}, got {values[at]!r}")
    return truth.astype(np.bool_), exact


def is_single(scores: npt.NDArray[np.float64]) -> bool:
    """Whether every score is a float32 number, as nearly all models give.

    A threshold between two such scores must itself be a float32 number: numpy compares a float32 array with a
    Python float in float32, and a threshold that only float64 can tell from a score would then equal that score.
    """
    small = np.abs(scores) < np.finfo(np.float32).max
    return bool(small.all() and (scores.astype(np.float32) == scores).all())


def just_below(score: float, *, single: bool) -> float:
    """The next number under `score`, among the float32 numbers if `single`, else among the float64 ones."""
    if single:
        return float(np.nextafter(np.float32(score), np.float32(-np.inf)))
    return float(np.nextafter(score, -np.inf))


def halfway(lower: float, upper: float, *, single: bool) -> float:
    """A threshold t with lower <= t < upper, in the middle as far as the numbers between them allow.

    `score > t` then flags `upper` and not `lower`.
    """
    middle = lower / 2 + upper / 2
    if single:
        middle = float(np.float32(middle))
    return middle if lower <= middle < upper else lower
