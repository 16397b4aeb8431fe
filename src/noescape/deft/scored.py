"""An inference.csv as arrays: rows, scores and classes, with decisions on wrong labels applied and counted."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from noescape.changenet.kpi import REASON, SCORE, Curve, Point, at_threshold
from noescape.changenet.rows import Row, read_rows
from noescape.deft.decisions import Corrected, corrected
from noescape.deft.places import Images
from noescape.records import DataError


@dataclass(frozen=True, kw_only=True, eq=False)
class Scored:
    """`scores` float64 `[N]` and `defect` bool `[N]` of `rows`; `lost` are rows without a score, with the reason."""

    rows: tuple[Row, ...]
    scores: npt.NDArray[np.float64]
    defect: npt.NDArray[np.bool_]
    lost: tuple[tuple[Row, str], ...]
    fixed: Corrected | None = None

    def best(self, recall: float) -> Point:
        """Highest F1, then precision, then threshold, among the thresholds that keep `recall`.

        Without a defect, or without any row, there is nothing to keep: a point that catches nothing.
        """
        if not len(self.scores):
            return Point(threshold=0.0, tp=0, fp=0, tn=0, fn=0)
        if not self.defect.any():
            return at_threshold(self.defect, self.scores, float(self.scores.max()))
        return Curve(self.defect, self.scores).best(recall)

    def at(self, threshold: float) -> Point:
        """The counts of score > threshold."""
        return at_threshold(self.defect, self.scores, threshold)

    def kinds(self) -> list[str]:
        """The label of each row in capitals."""
        return [row.label.strip().upper() for row in self.rows]


def read_scored_csv(path: Path, *, decisions: Path | None = None, images: Images | None = None) -> Scored:
    """Read an inference.csv; rows whose score is blank are kept apart with their reason.

    `decisions` is the log of `deft labels import`: its labels replace those of the file, rows decided to be left out
    are left out. DataError without a score column, or for a score that is no finite number.
    """
    rows = read_rows(path)
    if SCORE not in rows[0].fields:
        raise DataError(f"{path}: no column {SCORE}; expected what `noescape changenet inference` writes")
    fixed = corrected(rows, decisions, images) if decisions is not None else None
    kept, scores, lost = [], [], []
    for row in fixed.rows if fixed else rows:
        text = row.fields[SCORE].strip()
        if not text:
            lost.append((row, row.fields.get(REASON, "") or "no score"))
            continue
        try:
            score = float(text)
        except ValueError:
            score = math.nan
        if not math.isfinite(score):
            raise DataError(f"{path}: row {row.number}: expected a finite number as {SCORE}, got {text!r}")
        kept.append(row)
        scores.append(score)
    return Scored(
        rows=tuple(kept),
        scores=np.array(scores, np.float64),
        defect=np.array([row.is_defect for row in kept], np.bool_),
        lost=tuple(lost),
        fixed=fixed,
    )
