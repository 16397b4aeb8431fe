"""The KPI as files beside an inference.csv: tables, a summary for people, three pictures.

threshold_metrics.csv                                  every threshold with its counts and rates
summary.txt, kpi.json                                  the figures, for people and for programs
best_f1_missed_no_pass_samples.csv                     NO_PASS rows under the threshold of the best F1, lowest first
score_distribution_with_recall_100_threshold.png       confusion_matrix_recall_100.png, confusion_matrix_best_f1.png
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from noescape.changenet.kpi import SCORE, Curve, Kpi, ScoredRow, kpi, read_scored
from noescape.changenet.kpi_plots import confusion_png, distribution_png
from noescape.changenet.rows import is_defect, read_rows
from noescape.files import write_bytes, write_csv, write_json, write_text
from noescape.metrics import claim, percent

METRICS = (
    "threshold", "tp", "fp", "tn", "fn", "precision", "recall", "f1", "accuracy", "far",
    "predicted_no_pass_count", "actual_no_pass_count", "actual_pass_count",
)  # fmt: skip
MOST_THRESHOLDS = 100_000  # rows of threshold_metrics.csv; beyond, every k-th threshold and those of the KPI
FILES = (
    "threshold_metrics.csv",
    "summary.txt",
    "kpi.json",
    "best_f1_missed_no_pass_samples.csv",
    "score_distribution_with_recall_100_threshold.png",
    "confusion_matrix_recall_100.png",
    "confusion_matrix_best_f1.png",
)


def write_kpi(folder: Path, *, recall: float = 1.0, group: str = "", target: float | None = None) -> Kpi:
    """Analyse `folder`/inference.csv and write `FILES` beside it; see `kpi` for what comes back.

    `target` is a share (0.001 for 0.1%): the summary then says whether it is met, proved, or cannot be.
    DataError where there are no scores, or not both PASS and NO_PASS rows.
    """
    source = folder / "inference.csv"
    scored, lost = read_scored(source, group=group)
    found = kpi(scored, recall)
    defect = np.array([row.is_defect for row in scored], np.bool_)
    scores = np.array([row.score for row in scored], np.float64)
    _write_metrics(folder / FILES[0], Curve(defect, scores), found)
    write_text(folder / FILES[1], summary(found, scored, unscored=len(lost), target=target))
    write_json(folder / FILES[2], {**found.to_json(), "unscored": len(lost)})
    _write_missed(folder / FILES[3], source, found)
    write_bytes(folder / FILES[4], distribution_png(scores[~defect], scores[defect], found.threshold))
    write_bytes(folder / FILES[5], confusion_png(found.point, f"recall {percent(recall)}"))
    write_bytes(folder / FILES[6], confusion_png(found.best_f1, "best F1"))
    return found


def headline(found: Kpi) -> str:
    """The one line for the terminal."""
    p = found.point
    name = "100%" if found.recall_wanted == 1 else percent(found.recall_wanted)
    return (
        f"{name} recall threshold: {p.threshold!r} (FAR={p.far_pct:.4g}%, {p.fp} of {found.n_pass} PASS stopped, "
        f"at most {percent(found.far.upper)} with 95% confidence; {p.fn} of {found.n_fail} NO_PASS missed)"
    )


def summary(found: Kpi, rows: Sequence[ScoredRow], *, unscored: int = 0, target: float | None = None) -> str:
    """The figures in words."""
    p, best = found.point, found.best_f1
    lines = [
        headline(found),
        "",
        "NO_PASS (defect) iff score > threshold. FAR (false alarm rate) = FP/(FP+TN), PASS rows stopped.",
        f"rows: {found.n_pass} PASS, {found.n_fail} NO_PASS" + (f", {unscored} without a score" if unscored else ""),
        f"TP {p.tp}  FP {p.fp}  TN {p.tn}  FN {p.fn}",
        f"precision {p.precision:.4f}  recall {p.recall:.4f}  F1 {p.f1:.4f}  accuracy {p.accuracy:.4f}",
        f"miss rate {p.fn} of {found.n_fail}: at most {percent(found.miss.upper)} with 95% confidence",
        f"best F1 {best.f1:.4f} at threshold {best.threshold:.6g}: recall {best.recall:.4f}, FAR {best.far_pct:.4g}%",
    ]
    if target is not None:
        lines.append(claim(found.far, target).text)
    if found.dropped:
        each = ", ".join(f"{n}: {value:.4g}%" for n, value in found.dropped.items())
        lines.append(f"FAR at full recall without the N lowest defects: {each}")
    lines += ["", "label                      n  stopped  lowest score  highest score"]
    lines += [f"{t.label[:22]:22} {t.n:5d} {t.stopped:8d} {t.lowest:13.6g} {t.highest:14.6g}" for t in found.types]
    if found.groups:
        lines += ["", "group                  PASS  stopped      FAR   NO_PASS   missed"]
        lines += [
            f"{name[:22]:22} {at.fp + at.tn:5d} {at.fp:7d} {at.far_pct:8.4g}% {at.tp + at.fn:8d} {at.fn:8d}"
            for name, at in found.groups
        ]
    return "\n".join(lines) + "\n"


def _write_metrics(path: Path, curve: Curve, found: Kpi) -> None:
    count = len(curve.thresholds)
    step = -(-count // MOST_THRESHOLDS)
    kept = {found.threshold, found.best_f1.threshold}
    at = [i for i in range(count) if i % step == 0 or float(curve.thresholds[i]) in kept]
    rows = []
    for p in map(curve.point, at):
        rates = (p.precision, p.recall, p.f1, p.accuracy, p.far_pct / 100)
        rows.append((p.threshold, p.tp, p.fp, p.tn, p.fn, *rates, p.tp + p.fp, p.tp + p.fn, p.fp + p.tn))
    write_csv(path, METRICS, rows)


def _write_missed(path: Path, source: Path, found: Kpi) -> None:
    """The NO_PASS rows that the best-F1 threshold lets pass, as they were, with what happened to them."""
    rows = [r for r in read_rows(source) if r.fields[SCORE].strip() and is_defect(r.label)]
    limit = found.best_f1.threshold
    missed = sorted((r for r in rows if float(r.fields[SCORE]) <= limit), key=lambda r: float(r.fields[SCORE]))
    header = list(read_rows(source)[0].fields)
    extra = ("analysis_threshold", "analysis_actual", "analysis_predicted", "analysis_distance")
    out = [(*(r.fields[h] for h in header), limit, "NO_PASS", "PASS", limit - float(r.fields[SCORE])) for r in missed]
    write_csv(path, (*header, *extra), out)
