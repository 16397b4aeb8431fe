"""The gate: a KPI against its target, in percentage points, and what so many parts can prove at all."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from noescape.changenet.kpi import Kpi, Point
from noescape.deft.scored import Scored, read_scored_csv
from noescape.deft.target import Target
from noescape.metrics import cases_needed, claim, percent, rate

NOBODY = "no known defect was missed"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """`met`: as measured. `proved`: also with 95% confidence. `gap_pp`: percentage points over (+) or under (-) the
    limit. `refusal` says why a claim is not made, or is empty; `lines` are the whole verdict for people."""

    target: Target
    point: Point
    met: bool
    proved: bool
    gap_pp: float
    headline: str
    refusal: str
    lines: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """As plain JSON types."""
        p = self.point
        return {
            "kpi_target": self.target.text,
            "met": self.met,
            "proved": self.proved,
            "gap_pp": self.gap_pp,
            "far_pct": p.far_pct,
            "recall_pct": 100 * p.recall,
            "threshold": p.threshold,
            "tp": p.tp, "fp": p.fp, "tn": p.tn, "fn": p.fn,
            "headline": self.headline,
            "refusal": self.refusal,
        }  # fmt: skip


def gate(measured: Kpi | Point, target: Target) -> Verdict:
    """Judge a KPI (or the counts at one threshold) against `target`.

    A set without PASS rows or without defects meets nothing. Never an error: a KPI that is not met is a result.
    """
    p = measured.point if isinstance(measured, Kpi) else measured
    far, miss = rate(p.fp, p.fp + p.tn), rate(p.fn, p.fn + p.tp)
    if not far.n or not miss.n:
        text = f"NOT MET: nothing was measured ({far.n} good parts, {miss.n} defects)"
        return Verdict(target=target, point=p, met=False, proved=False, gap_pp=100.0 * (1 - target.limit),
                       headline=text, refusal=text, lines=(text,))  # fmt: skip
    enough_recall = p.recall >= target.recall - 1e-12
    met = enough_recall and target.met_by(p.fp / far.n)
    gap = p.far_pct - 100 * target.limit
    said = claim(far, target.limit)
    # A limit that counts as met itself (<=) is proved by the same strict bound: the safe side.
    proved = met and said.proved and (target.recall < 1 or p.fn == 0)
    refusal = "" if not met or proved else _refusal(p, target)
    headline = _headline(p, target, met, gap, enough_recall)
    lines = [headline, f"target: {target.shown}", said.text, _missed(p)]
    return Verdict(target=target, point=p, met=met, proved=proved, gap_pp=gap, headline=headline, refusal=refusal,
                   lines=tuple([*lines, refusal] if refusal else lines))  # fmt: skip


def gate_csv(inference_csv: Path, target: Target, *, threshold: float = -1.0, decisions: Path | None = None) -> Verdict:
    """The gate on an inference.csv: at its own best threshold that keeps the target's recall, or at a given one.

    A threshold that was chosen on another set is the honest one for a blind set.
    """
    scored: Scored = read_scored_csv(inference_csv, decisions=decisions)
    return gate(scored.at(threshold) if threshold >= 0 else scored.best(target.recall), target)


def points(value: float) -> str:
    """A difference of percentages without its sign: 2.3 pp; never a rounded zero for what is not zero."""
    for digits in range(1, 9):
        text = f"{abs(value):.{digits}f}"
        if float(text) or not value:
            return f"{text} pp"
    return f"{abs(value):.2g} pp"


def _headline(p: Point, target: Target, met: bool, gap: float, enough_recall: bool) -> str:
    seen = f"FAR {percent(p.far_pct / 100)} at recall {percent(p.recall)}"
    if met:
        return f"MET as measured: {seen}, {points(gap)} under the target {target.goal}"
    if not enough_recall:
        return f"NOT MET: {seen}, the target asks for a recall of {percent(target.recall)}"
    if gap <= 0:
        return f"NOT MET: {seen}, which is the limit itself; the target is {target.goal}"
    return f"NOT MET, {points(gap)} above target: {seen}, target {target.goal}"


def _refusal(p: Point, target: Target) -> str:
    n, needed = p.fp + p.tn, cases_needed(target.limit, events=p.fp)
    alarms = "without a false alarm" if not p.fp else f"with no more than {p.fp:,} false alarm{'s' * (p.fp > 1)}"
    return (
        f"refused as a claim: {p.fp:,} of {n:,} good parts cannot carry FAR {target.goal} with 95% confidence; "
        f"that needs {needed:,} good parts {alarms}"
    )


def _missed(p: Point) -> str:
    miss = rate(p.fn, p.fn + p.tp)
    seen = NOBODY if not p.fn else f"{p.fn:,} of {miss.n:,} known defects were missed"
    return f"{seen}; {miss.n:,} defects show a miss rate of at most {percent(miss.upper)} with 95% confidence"
