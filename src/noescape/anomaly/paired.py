"""Differences of two models on the same images, with intervals that know that the images are the same."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from noescape.metrics import auroc, paired_auroc_difference
from noescape.metrics.delong import FEW_CASES, Z_TWO_SIDED

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
LEVEL = 0.05


@dataclass(frozen=True, kw_only=True)
class Scored:
    """The images that both models scored: `defect` and `types` of each, their scores and verdicts by a and by b."""

    defect: Flags
    types: npt.NDArray[np.object_]
    scores: tuple[Floats, Floats]
    ng: tuple[Flags, Flags]

    @classmethod
    def of(cls, rows_a: Sequence[dict[str, Any]], rows_b: Sequence[dict[str, Any]]) -> Scored:
        """From rows of preds_test.jsonl, image by image."""
        return cls(
            defect=np.array([r["gt_label"] == 1 for r in rows_a], np.bool_),
            types=np.array([str(r.get("gt_type")) for r in rows_a], object),
            scores=(_scores(rows_a), _scores(rows_b)),
            ng=(_ng(rows_a), _ng(rows_b)),
        )

    @property
    def n_good(self) -> int:
        """Good images."""
        return int((~self.defect).sum())

    @property
    def n_defect(self) -> int:
        """Defective images."""
        return int(self.defect.sum())


def whole_differences(scored: Scored, names: tuple[str, str]) -> list[dict[str, Any]]:
    """Each figure that has a paired interval: image AUROC, and at each model's own threshold false alarms and misses.

    `winner` is "a" or "b" only where the interval excludes 0 and rests on enough cases.
    """
    rows = [
        _auroc(scored, np.ones(len(scored.defect), np.bool_), names, "image_auroc", "image AUROC"),
        _rate(scored, ~scored.defect, True, names, "false_alarm_rate", "false alarm rate", "good"),
        _rate(scored, scored.defect, False, names, "miss_rate", "miss rate", "defective"),
    ]
    return [row for row in rows if row is not None]


def per_type_differences(scored: Scored, names: tuple[str, str]) -> dict[str, dict[str, Any]]:
    """The paired AUROC difference of each defect type against all good images."""
    out = {}
    for kind in sorted({str(t) for t in scored.types[scored.defect]}):
        chosen = ~scored.defect | (scored.types == kind)
        row = _auroc(scored, chosen, names, "image_auroc", f"image AUROC of {kind}")
        if row is not None:
            out[kind] = row
    return out


def _auroc(scored: Scored, chosen: Flags, names: tuple[str, str], figure: str, said: str) -> dict[str, Any] | None:
    truth = scored.defect[chosen]
    a, b = (s[chosen] for s in scored.scores)
    areas = auroc(truth, a), auroc(truth, b)
    if areas[0] is None or areas[1] is None:
        return None
    paired = paired_auroc_difference(truth, a, b)
    fewest = int(min(truth.sum(), (~truth).sum()))
    interval = None if paired is None else (paired.lower, paired.upper)
    # DeLong's interval is a normal approximation; Hoeffding's (standard error 0) holds for any number of cases.
    enough = paired is not None and (paired.standard_error == 0 or fewest >= FEW_CASES)
    return _row(
        figure=figure,
        better="higher",
        values=(areas[0], areas[1]),
        interval=interval,
        enough=enough,
        method="DeLong, paired",
        n={"good": int((~truth).sum()), "defect": int(truth.sum())},
        names=names,
        said=said,
    )


def _rate(
    scored: Scored, cases: Flags, event_is_ng: bool, names: tuple[str, str], figure: str, said: str, kind: str
) -> dict[str, Any] | None:
    """The difference of two shares of the same images.

    Only images count on which the two disagree. The interval is Tango's; being approximate, it decides only where the
    exact test of the disagreements (McNemar) says the same.
    """
    n = int(cases.sum())
    if not n:
        return None
    events = tuple(ng[cases] == event_is_ng for ng in scored.ng)
    only_a, only_b = int((events[0] & ~events[1]).sum()), int((events[1] & ~events[0]).sum())
    return _row(
        figure=figure,
        better="lower",
        values=(float(events[0].mean()), float(events[1].mean())),
        interval=rate_difference_interval(only_a, only_b, n),
        enough=chance_of_disagreement(only_a, only_b) <= LEVEL,
        method="Tango, paired, and McNemar's exact test",
        n={kind: n, "only_a": only_a, "only_b": only_b},
        names=names,
        said=said,
    )


def rate_difference_interval(only_a: int, only_b: int, n: int) -> tuple[float, float]:
    """The 95% interval of the difference of two shares of the same `n` cases: Tango's (1998) score interval.

    `only_a` cases are events for a alone, `only_b` for b alone. The differences that the score test does not reject.
    """

    def too_far(delta: float, sign: float) -> bool:
        return sign * _score(only_a, only_b, n, delta) > Z_TWO_SIDED

    seen = (only_a - only_b) / n
    return _edge(seen, -1.0, lambda delta: too_far(delta, 1.0)), _edge(seen, 1.0, lambda delta: too_far(delta, -1.0))


def chance_of_disagreement(only_a: int, only_b: int) -> float:
    """McNemar's exact test, two-sided: how often disagreements lie as unevenly if neither side is better."""
    n, most = only_a + only_b, max(only_a, only_b)
    ways = sum(math.comb(n, k) for k in range(most, n + 1))
    return min(1.0, float(2 * ways / 2**n))


def _score(only_a: int, only_b: int, n: int, delta: float) -> float:
    """How many standard errors the seen difference lies over `delta`, with the likeliest rates at that `delta`."""
    linear = (2 * n - only_a + only_b) * delta - only_a - only_b
    constant = -only_b * delta * (1 - delta)
    share_b = (math.sqrt(max(0.0, linear**2 - 8 * n * constant)) - linear) / (4 * n)
    variance = n * (2 * share_b + delta * (1 - delta))
    away = only_a - only_b - n * delta
    if variance > 1e-12:
        return away / math.sqrt(variance)
    return math.copysign(math.inf, away) if away else 0.0


def _edge(near: float, far: float, rejected: Callable[[float], bool]) -> float:
    """Where `rejected` begins between `near` (is not) and `far`, by bisection."""
    if not rejected(far):
        return far
    for _ in range(60):
        middle = (near + far) / 2
        near, far = (near, middle) if rejected(middle) else (middle, far)
    return near


def _row(
    *,
    figure: str,
    better: str,
    values: tuple[float, float],
    interval: tuple[float, float] | None,
    enough: bool,
    method: str,
    n: dict[str, int],
    names: tuple[str, str],
    said: str,
) -> dict[str, Any]:
    lower, upper = interval or (None, None)
    excludes = lower is not None and upper is not None and (lower > 0 or upper < 0)
    winner = None
    if excludes and enough:
        winner = "a" if (values[0] > values[1]) == (better == "higher") else "b"
    within = "" if lower is None or upper is None else f" (95% interval of the difference {lower:+.4f} to {upper:+.4f})"
    if winner:
        best = names[0] if winner == "a" else names[1]
        text = f"{said}: {best} is better, {names[0]} {values[0]:.4f}, {names[1]} {values[1]:.4f}{within}"
    elif excludes:
        text = f"{said}: too few cases to trust the interval, so these images do not show which is better{within}"
    else:
        text = f"{said}: these images do not show which is better{within}"
    return {
        "figure": figure,
        "better": better,
        "a": values[0],
        "b": values[1],
        "difference": values[0] - values[1],
        "lower": lower,
        "upper": upper,
        "method": method,
        "n": n,
        "winner": winner,
        "text": text,
    }


def _scores(rows: Sequence[dict[str, Any]]) -> Floats:
    return np.array([r["pred_score"] for r in rows], np.float64)


def _ng(rows: Sequence[dict[str, Any]]) -> Flags:
    return np.array([r.get("label") == "NG" for r in rows], np.bool_)
