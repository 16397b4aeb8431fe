"""The KPI: how many good parts are stopped when no known defect passes, with what n can carry.

NO_PASS iff score > threshold, strictly. Thresholds tried are the distinct scores and one just below the lowest; among
those with enough recall the highest F1 wins, then the highest precision, then the highest threshold.

    false alarm rate (far_pct)  100 FP/(FP+TN), PASS rows stopped: overkill
    miss rate                   FN/(TP+FN) = 1 - recall
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from noescape.changenet.rows import Row, is_defect, read_rows
from noescape.metrics import rate
from noescape.records import DataError, Rate

SCORE, REASON = "siamese_score", "reason"
DROPS = (1, 3, 5)
SLACK = 1e-12  # of recall: k / n is not exact
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class ScoredRow:
    """A label with its score; higher = more like a defect. `group` is what the row came from (a panel, a file)."""

    label: str
    score: float
    group: str = ""

    @property
    def is_defect(self) -> bool:
        """Whether the label means NO_PASS."""
        return is_defect(self.label)

    @property
    def kind(self) -> str:
        """The label in capitals, without blanks around it."""
        return self.label.strip().upper()


@dataclass(frozen=True, kw_only=True)
class Point:
    """One threshold with its four counts and what follows from them (0 where nothing can be divided)."""

    threshold: float
    tp: int
    fp: int
    tn: int
    fn: int

    @property
    def precision(self) -> float:
        """TP/(TP+FP)."""
        return _share(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> float:
        """TP/(TP+FN)."""
        return _share(self.tp, self.tp + self.fn)

    @property
    def f1(self) -> float:
        """2TP/(2TP+FP+FN)."""
        return _share(2 * self.tp, 2 * self.tp + self.fp + self.fn)

    @property
    def accuracy(self) -> float:
        """(TP+TN)/all."""
        return _share(self.tp + self.tn, self.tp + self.fp + self.tn + self.fn)

    @property
    def far_pct(self) -> float:
        """100 FP/(FP+TN)."""
        return _share(100 * self.fp, self.fp + self.tn)


@dataclass(frozen=True, kw_only=True)
class TypeFigures:
    """What the threshold does to one label: how many rows, how many of them stopped, and where their scores lie."""

    label: str
    n: int
    stopped: int
    lowest: float
    highest: float


@dataclass(frozen=True, kw_only=True)
class Kpi:
    """The point at which `recall` is kept, over all groups together.

    `far` and `miss` carry n and exact one-sided 95% bounds. `dropped[n]` is far_pct at full recall once the n lowest
    defects are left out of the count: how much hangs on them. `best_f1` is the highest F1 at any recall. `groups` are
    (group, counts) at the one threshold.
    """

    recall_wanted: float
    point: Point
    best_f1: Point
    far: Rate
    miss: Rate
    dropped: dict[int, float]
    types: tuple[TypeFigures, ...]
    groups: tuple[tuple[str, Point], ...]

    @property
    def threshold(self) -> float:
        """A row over it is NO_PASS."""
        return self.point.threshold

    @property
    def far_pct(self) -> float:
        """100 FP/(FP+TN)."""
        return self.point.far_pct

    @property
    def n_pass(self) -> int:
        """PASS rows."""
        return self.far.n

    @property
    def n_fail(self) -> int:
        """NO_PASS rows."""
        return self.miss.n

    def to_json(self) -> dict[str, Any]:
        """As plain JSON types."""
        p = self.point
        return {
            "recall_wanted": self.recall_wanted,
            "threshold": p.threshold,
            "far_pct": p.far_pct,
            "far_pct_lower_95": 100 * self.far.lower,
            "far_pct_upper_95": 100 * self.far.upper,
            "miss_pct": 100 * _share(p.fn, p.fn + p.tp),
            "miss_pct_upper_95": 100 * self.miss.upper,
            "tp": p.tp, "fp": p.fp, "tn": p.tn, "fn": p.fn,
            "n_pass": self.n_pass, "n_no_pass": self.n_fail,
            "precision": p.precision, "recall": p.recall, "f1": p.f1, "accuracy": p.accuracy,
            "best_f1": {"threshold": self.best_f1.threshold, "f1": self.best_f1.f1, "far_pct": self.best_f1.far_pct},
            "far_pct_without_lowest_defects": {str(n): value for n, value in self.dropped.items()},
            "types": {t.label: {"n": t.n, "stopped": t.stopped, "score_range": [t.lowest, t.highest]}
                      for t in self.types},
            "groups": {name: {"far_pct": at.far_pct, "recall": at.recall, "n_pass": at.fp + at.tn,
                              "n_no_pass": at.tp + at.fn} for name, at in self.groups},
        }  # fmt: skip


class Curve:
    """Every threshold that is tried, with its counts, as arrays `[k + 1]` from the lowest threshold to the highest."""

    def __init__(self, defect: npt.NDArray[np.bool_], scores: Floats) -> None:
        levels, place = np.unique(scores, return_inverse=True)
        size = len(levels)
        self.thresholds = np.concatenate([[np.nextafter(levels[0], -np.inf)], levels])
        ng = np.bincount(place[defect], minlength=size)
        ok = np.bincount(place[~defect], minlength=size)
        # At a threshold equal to a score, the rows of that score are not over it.
        self.fn = np.concatenate([[0], np.cumsum(ng)])
        self.tn = np.concatenate([[0], np.cumsum(ok)])
        self.tp, self.fp = self.fn[-1] - self.fn, self.tn[-1] - self.tn

    def point(self, at: int) -> Point:
        """The counts at one index."""
        return Point(
            threshold=float(self.thresholds[at]),
            tp=int(self.tp[at]), fp=int(self.fp[at]), tn=int(self.tn[at]), fn=int(self.fn[at]),
        )  # fmt: skip

    def best(self, recall: float) -> Point:
        """Highest F1, then precision, then threshold, among those that keep `recall`."""
        allowed = self.tp / max(1, int(self.fn[-1])) >= recall - SLACK
        f1 = 2 * self.tp / np.maximum(1, 2 * self.tp + self.fp + self.fn)
        precision = self.tp / np.maximum(1, self.tp + self.fp)
        order = np.lexsort((self.thresholds, precision, f1, allowed))
        return self.point(int(order[-1]))


def kpi(rows: Sequence[ScoredRow], recall: float = 1.0) -> Kpi:
    """The KPI of scored rows, of all their groups together under one threshold.

    DataError without a defect or without a PASS row (no rate could be given) and for a score that is no finite number.
    Cost: one sort.
    """
    if not 0 < recall <= 1:
        raise DataError(f"recall: expected a number over 0 and at most 1, got {recall!r}")
    defect = np.array([row.is_defect for row in rows], np.bool_)
    scores = np.array([row.score for row in rows], np.float64)
    if not len(scores) or not defect.any() or defect.all():
        raise DataError(
            f"a KPI needs PASS and NO_PASS rows, got {int((~defect).sum())} PASS and {int(defect.sum())} NO_PASS"
        )
    if not np.isfinite(scores).all():
        raise DataError(f"row {int(np.argmin(np.isfinite(scores))) + 1}: its score is no finite number")
    curve = Curve(defect, scores)
    point = curve.best(recall)
    return Kpi(
        recall_wanted=recall,
        point=point,
        best_f1=curve.best(0.0),
        far=rate(point.fp, point.fp + point.tn),
        miss=rate(point.fn, point.fn + point.tp),
        dropped=_without_lowest(defect, scores),
        types=_types(rows, scores, point.threshold),
        groups=_groups(rows, defect, scores, point.threshold),
    )


def at_threshold(defect: npt.NDArray[np.bool_], scores: Floats, threshold: float) -> Point:
    """The counts of `score > threshold`."""
    over = scores > threshold
    return Point(
        threshold=threshold,
        tp=int((over & defect).sum()), fp=int((over & ~defect).sum()),
        tn=int((~over & ~defect).sum()), fn=int((~over & defect).sum()),
    )  # fmt: skip


def read_scored(path: Path, *, group: str = "") -> tuple[list[ScoredRow], list[tuple[Row, str]]]:
    """The scored rows of an inference.csv, and the rows without a score with their reasons.

    `group` names a column whose values are the groups; without it all rows are of one. DataError where there is no
    score column, or a score that is no number.
    """
    rows = read_rows(path)
    if SCORE not in rows[0].fields:
        raise DataError(f"{path}: no column {SCORE}; expected what `noescape changenet inference` writes")
    if group and group not in rows[0].fields:
        raise DataError(f"{path}: no column {group!r} to group by")
    scored, lost = [], []
    for row in rows:
        text = row.fields[SCORE].strip()
        if not text:
            lost.append((row, row.fields.get(REASON, "") or "no score"))
            continue
        try:
            scored.append(ScoredRow(label=row.label, score=float(text), group=row.fields[group] if group else ""))
        except ValueError:
            raise DataError(f"{path}: row {row.number}: expected a number as {SCORE}, got {text!r}") from None
    return scored, lost


def _without_lowest(defect: npt.NDArray[np.bool_], scores: Floats) -> dict[int, float]:
    lowest, good = np.sort(scores[defect]), np.sort(scores[~defect])
    out = {}
    for count in DROPS:
        if count < len(lowest):
            stopped = len(good) - int(np.searchsorted(good, lowest[count], side="left"))
            out[count] = 100 * stopped / len(good)
    return out


def _types(rows: Sequence[ScoredRow], scores: Floats, threshold: float) -> tuple[TypeFigures, ...]:
    kinds = np.array([row.kind for row in rows])
    out = []
    for kind in sorted(set(kinds.tolist())):
        own = scores[kinds == kind]
        out.append(
            TypeFigures(
                label=kind,
                n=len(own),
                stopped=int((own > threshold).sum()),
                lowest=float(own.min()),
                highest=float(own.max()),
            )
        )
    return tuple(out)


def _groups(
    rows: Sequence[ScoredRow], defect: npt.NDArray[np.bool_], scores: Floats, threshold: float
) -> tuple[tuple[str, Point], ...]:
    names = np.array([row.group for row in rows])
    found = sorted(set(names.tolist()))
    if len(found) < 2:
        return ()
    return tuple((name, at_threshold(defect[names == name], scores[names == name], threshold)) for name in found)


def _share(count: int, total: int) -> float:
    return count / total if total else 0.0
