"""What one threshold does to the parts: the four counts, the rates people ask for, and thresholds by recall.

Positive = defect = NG. NG iff score > threshold, strictly.

    false alarm rate  FP/(FP+TN)   good parts stopped                (overkill)
    miss rate         FN/(TP+FN)   defects let through, of defects    (underkill)
    escape rate       FN/(TN+FN)   defects, of what was let through
    precision         TP/(TP+FP)   defects, of what was stopped
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from noescape.metrics.bounds import rate
from noescape.metrics.inputs import Labels, Scores, checked, is_single, just_below
from noescape.records import Rate

RECALLS = (1.0, 0.99, 0.95)


@dataclass(frozen=True, kw_only=True, slots=True)
class OperatingPoint:
    """One threshold with its four counts."""

    threshold: float
    tp: int
    fp: int
    tn: int
    fn: int

    @property
    def false_alarm_rate(self) -> Rate:
        """FP/(FP+TN)."""
        return rate(self.fp, self.fp + self.tn)

    @property
    def miss_rate(self) -> Rate:
        """FN/(TP+FN)."""
        return rate(self.fn, self.tp + self.fn)

    @property
    def escape_rate(self) -> Rate:
        """FN/(TN+FN)."""
        return rate(self.fn, self.tn + self.fn)

    @property
    def precision(self) -> Rate:
        """TP/(TP+FP)."""
        return rate(self.tp, self.tp + self.fp)

    @property
    def detected(self) -> Rate:
        """Recall, TP/(TP+FN)."""
        return rate(self.tp, self.tp + self.fn)


@dataclass(frozen=True, kw_only=True, slots=True)
class RecallPoint:
    """What the highest threshold that still reaches `recall` costs in good parts."""

    recall: float
    threshold: float
    false_alarm_rate: Rate
    miss_rate: Rate


def operating_point(labels: Labels, scores: Scores, threshold: float) -> OperatingPoint:
    """Count what `score > threshold` does. ValueError if the threshold is NaN; ±infinity is allowed."""
    if math.isnan(threshold):
        raise ValueError("threshold: expected a number, got NaN")
    is_defect, values = checked(labels, scores)
    stopped = values > threshold
    return OperatingPoint(
        threshold=float(threshold),
        tp=int(np.count_nonzero(stopped & is_defect)),
        fp=int(np.count_nonzero(stopped & ~is_defect)),
        tn=int(np.count_nonzero(~stopped & ~is_defect)),
        fn=int(np.count_nonzero(~stopped & is_defect)),
    )


def threshold_at_recall(labels: Labels, scores: Scores, recall: float) -> float:
    """The highest threshold at which the share of defects with score > threshold is at least `recall`.

    It lies just below (the next number: float32 if all scores are float32 numbers, else float64) the score of the
    last defect that has to be found; at recall 1, just below the lowest defect. Good parts with that very score are
    false alarms there, as no threshold can tell them apart. ValueError without a defect, or unless 0 < recall <= 1.
    """
    if not 0 < recall <= 1:
        raise ValueError(f"recall: expected a number over 0 and at most 1, got {recall!r}")
    is_defect, values = checked(labels, scores)
    defects = np.sort(values[is_defect])[::-1]
    if not len(defects):
        raise ValueError("a threshold at a recall needs at least one defect, got none")
    # The share is compared as the caller would compute it, k / n, so that 19 of 20 is .95.
    reached = np.arange(1, len(defects) + 1) / len(defects) >= recall
    return just_below(float(defects[int(np.argmax(reached))]), single=is_single(values))


def false_alarm_at_recall(labels: Labels, scores: Scores, recalls: Sequence[float] = RECALLS) -> list[RecallPoint]:
    """What each recall costs, in the order asked for; empty without a defect."""
    is_defect, _ = checked(labels, scores)
    if not is_defect.any():
        return []
    points = []
    for recall in recalls:
        at = operating_point(labels, scores, threshold_at_recall(labels, scores, recall))
        points.append(
            RecallPoint(
                recall=float(recall),
                threshold=at.threshold,
                false_alarm_rate=at.false_alarm_rate,
                miss_rate=at.miss_rate,
            )
        )
    return points
