"""How well scores rank defects above good cases: AUROC, average precision, best F1, the ROC curve.

Label 1 = defect, higher score = more anomalous. Cost of each: one sort of the scores.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from noescape.metrics.counts import area_under_roc, at_or_above, best_f1_level, mean_precision, tally
from noescape.metrics.inputs import Labels, Scores, checked, halfway, is_single, just_below

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class BestF1:
    """The highest F1 that any threshold reaches, that threshold (`score > threshold` is NG), and its two halves."""

    f1: float
    threshold: float
    precision: float
    recall: float


def auroc(labels: Labels, scores: Scores) -> float | None:
    """The chance that a defect scores above a good case, ties counting half. None if one class is missing."""
    _, good, defect = tally(*checked(labels, scores))
    return area_under_roc(good, defect)


def average_precision(labels: Labels, scores: Scores) -> float | None:
    """The sum of precision times recall gained, over the distinct scores from the top; nothing is interpolated.

    None if one class is missing: without good cases it would be 1 whatever the model does.
    """
    _, good, defect = tally(*checked(labels, scores))
    return mean_precision(good, defect)


def best_f1(labels: Labels, scores: Scores) -> BestF1 | None:
    """The threshold with the highest F1; None if one class is missing. Of equals the highest threshold.

    The threshold lies halfway between the lowest score that is flagged and the next lower one (the next number
    below, where everything is flagged). It is chosen on these very cases, so its F1 is a best case, not a forecast.
    """
    is_defect, values = checked(labels, scores)
    levels, good, defect = tally(is_defect, values)
    at = best_f1_level(good, defect)
    if at is None:
        return None
    single = is_single(values)
    upper = float(levels[at])
    threshold = halfway(float(levels[at - 1]), upper, single=single) if at else just_below(upper, single=single)
    return f1_at(good, defect, at, threshold)


def f1_at(good: npt.NDArray[np.generic], defect: npt.NDArray[np.generic], level: int, threshold: float) -> BestF1:
    """The record for counts `[levels]` of which `level` and all above are flagged by `threshold`."""
    found, false = int(defect[level:].sum()), int(good[level:].sum())
    total = int(defect.sum())
    return BestF1(
        f1=2 * found / (found + false + total),
        threshold=threshold,
        precision=found / (found + false),
        recall=found / total,
    )


def roc_points(labels: Labels, scores: Scores) -> tuple[Floats, Floats, Floats] | None:
    """False alarm rate, recall and threshold `[distinct scores + 1]`, from (0, 0) to (1, 1).

    Point i is what `score > thresholds[i]` gives; the thresholds are the distinct scores from the highest down, and
    last the next number below the lowest, so all are finite. None if one class is missing.
    """
    is_defect, values = checked(labels, scores)
    levels, good, defect = tally(is_defect, values)
    if not good.any() or not defect.any():
        return None
    false_alarms = np.concatenate([[0.0], at_or_above(good)[::-1] / good.sum()])
    recall = np.concatenate([[0.0], at_or_above(defect)[::-1] / defect.sum()])
    thresholds = np.append(levels[::-1], just_below(float(levels[0]), single=is_single(values)))
    return false_alarms, recall, thresholds
