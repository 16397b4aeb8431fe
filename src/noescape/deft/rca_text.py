"""The words and figures of a root cause analysis: metrics.json, the breakdown, and why a target cannot be reached."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from noescape.changenet.kpi import Point
from noescape.deft.gate import gate
from noescape.deft.scored import Scored
from noescape.deft.target import Target
from noescape.metrics import percent, rate

DROPS = (1, 2, 3, 5)
LOWEST = 10  # defects that are listed by name
Floats = npt.NDArray[np.float64]


def metrics(scored: Scored, weakness: Floats, point: Point) -> dict[str, Any]:
    """Counts, rates with exact one-sided 95% bounds, and the weakness of each label."""
    far, miss = rate(point.fp, point.fp + point.tn), rate(point.fn, point.fn + point.tp)
    wrong = (scored.scores > point.threshold) != scored.defect
    kinds = np.array(scored.kinds())
    return {
        "threshold": point.threshold,
        "precision": point.precision, "recall": point.recall, "f1": point.f1, "far_pct": point.far_pct,
        "tp": point.tp, "fp": point.fp, "tn": point.tn, "fn": point.fn,
        "n_pass": far.n, "n_no_pass": miss.n,
        "far_pct_upper_95": 100 * far.upper, "miss_pct_upper_95": 100 * miss.upper,
        "unscored": len(scored.lost),
        "decisions": scored.fixed.said if scored.fixed else "",
        "per_label": {
            kind: {
                "total": int((kinds == kind).sum()),
                "mean_weakness": float(weakness[kinds == kind].mean()),
                "median_weakness": float(np.median(weakness[kinds == kind])),
                "max_weakness": float(weakness[kinds == kind].max()),
                "n_misclassified": int(wrong[kinds == kind].sum()),
            }
            for kind in sorted(set(kinds.tolist()))
        },
    }  # fmt: skip


def breakdown(scored: Scored, weakness: Floats, point: Point, kept: Sequence[int], top_k: int) -> str:
    """weak_samples_breakdown.txt."""
    kinds = scored.kinds()
    total = len(kept)
    lines = [
        f"threshold: {point.threshold!r}",
        f"top_k per label: {top_k}",
        f"total KPI samples: {len(scored.rows)}",
        f"total weak kept: {total}",
    ]
    lines += [f"samples without a score: {len(scored.lost)}"] if scored.lost else []
    lines += [scored.fixed.said] if scored.fixed and scored.fixed.said else []
    for kind in sorted({kinds[i] for i in kept}):
        own = [i for i in kept if kinds[i] == kind]
        wrong = sum(bool((scored.scores[i] > point.threshold) != scored.defect[i]) for i in own)
        share = f"{100 * len(own) / total:.1f}%"
        lines.append(f"{kind}: {len(own)} ({share}) — {wrong} misclassified, {len(own) - wrong} marginal")
    return "\n".join(lines) + "\n"


def unreachable(scored: Scored, best: Point, target: Target) -> str:
    """Why no threshold on these scores meets the target, and on which samples that hangs."""
    verdict = gate(best, target)
    lines = [f"target: {target.text}", verdict.headline]
    if not scored.defect.any() or scored.defect.all():
        return "\n".join([*lines, "A set needs PASS rows and defects to be measured."]) + "\n"
    good, bad = np.sort(scored.scores[~scored.defect]), np.sort(scored.scores[scored.defect])
    lines += [
        "No threshold on these scores meets it: at this recall every threshold stops at least "
        f"{best.fp:,} of {len(good):,} good parts.",
        "",
        "FAR at full recall if the defects with the lowest scores were found (or were not defects):",
    ]
    for count in (0, *DROPS):
        if count < len(bad):
            stopped = len(good) - int(np.searchsorted(good, bad[count], side="left"))
            lines.append(f"  without the lowest {count}: {percent(stopped / len(good))} ({stopped:,} of {len(good):,})")
    lines += ["", "Defects with the lowest scores:"]
    order = [i for i in np.argsort(scored.scores, kind="stable") if scored.defect[i]][:LOWEST]
    for i in order:
        row = scored.rows[i]
        above = int((good >= scored.scores[i]).sum())
        lines.append(
            f"  {row.label} {row.input_path}/{row.object_name}: score {scored.scores[i]:.6g}, "
            f"{above:,} good parts score as high or higher"
        )
    return "\n".join(lines) + "\n"
