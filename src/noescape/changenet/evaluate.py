"""Measure a checkpoint on labelled rows: the figures of the public originals at eval_margin, and the KPI beside them.

test_acc    100 right/all            test_fpr  100 (PASS over the margin)/all rows, not of PASS rows
defect_acc  100 TP/(TP+FN)           test_fnr  100 (NO_PASS not over it)/all rows
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from noescape.changenet.infer import Inferred, infer
from noescape.changenet.kpi import Kpi, Point, at_threshold
from noescape.changenet.kpi_files import write_kpi
from noescape.changenet.lines import OnLine, silent
from noescape.changenet.spec import Spec
from noescape.changenet.status import Status
from noescape.files import write_json

METRICS = "metrics.json"


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """`point` is that of eval_margin; `kpi` the one at full recall; `figures` as in status.json (percent)."""

    inferred: Inferred
    point: Point
    figures: dict[str, float]
    kpi: Kpi


def evaluate(
    spec: Spec, checkpoint: Path, out: Path, *, csv: Path | None = None, heatmaps: int = 0, on_line: OnLine = silent
) -> Evaluated:
    """Score the test rows into `out` (inference.csv, KPI files, metrics.json, status.json).

    DataError where the scored rows are not of both classes.
    """
    inferred = infer(spec, checkpoint, csv, out, part="test_dataset", heatmaps=heatmaps, on_line=on_line)
    found = write_kpi(out)
    used = [(row.is_defect, s) for row, s in zip(inferred.rows, inferred.scores, strict=True) if s is not None]
    point = at_threshold(
        np.array([d for d, _ in used], np.bool_), np.array([s for _, s in used]), spec.model.classify.eval_margin
    )
    figures = aoi_figures(point)
    status = Status(out / "status.json")
    status.say("SUCCESS", f"evaluated {checkpoint.name} at eval_margin {point.threshold:g}", figures)
    status.close()
    write_json(out / METRICS, {"eval_margin": point.threshold, **figures, "kpi": found.to_json()})
    return Evaluated(inferred=inferred, point=point, figures=figures, kpi=found)


def aoi_figures(point: Point) -> dict[str, float]:
    """The four figures, in percent."""
    total = point.tp + point.fp + point.tn + point.fn
    return {
        "test_acc": 100 * point.accuracy,
        "test_fpr": 100 * point.fp / total,
        "test_fnr": 100 * point.fn / total,
        "defect_acc": 100 * point.recall,
    }
