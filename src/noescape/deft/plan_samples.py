"""How many parts must be looked at before a claim can be made: exact, one-sided, from the binomial tail.

The parts must be independent draws of what the line will see: a hundred cells of one panel are nearer to one than to a
hundred.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

from noescape.metrics import cases_needed, percent
from noescape.metrics.bounds import incomplete_beta
from noescape.records import UsageError

ALLOWED = (0, 1, 2, 3, 5, 10)
FRACTIONS = (0.0, 0.1, 0.2, 0.5)  # of the limit, as true rates
METRICS = {
    "far": ("false alarm rate", "good parts", "false alarms"),
    "miss": ("miss rate", "defective parts", "missed defects"),
    "recall": ("miss rate", "defective parts", "missed defects"),
    "escape": ("escape rate", "passed parts", "escapes among them"),
}
_CLAIM = re.compile(
    r"\s*(far|far_pct|miss|miss_rate|escape|escape_rate|recall)\s*(<=?|>=?|≤|≥)\s*([0-9]+(?:[.,][0-9]+)?)\s*%\s*", re.I
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """With at most `events` seen in `n` parts the claim is proved. `chance[f]`: how likely that is when the true rate
    is f times the limit."""

    events: int
    n: int
    chance: dict[float, float]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """`claim` as written; `limit` of the rate `name`, counted on `cases`, at `confidence` (a share)."""

    claim: str
    name: str
    cases: str
    events: str
    limit: float
    confidence: float
    steps: tuple[Step, ...]

    def to_json(self) -> dict[str, Any]:
        """As plain JSON types."""
        return {
            "claim": self.claim, "rate": self.name, "limit_pct": 100 * self.limit, "cases": self.cases,
            "confidence_pct": 100 * self.confidence,
            "steps": [
                {"events": s.events, "n": s.n, "chance_by_share_of_limit": {str(k): v for k, v in s.chance.items()}}
                for s in self.steps
            ],
        }  # fmt: skip

    def lines(self) -> list[str]:
        """The plan in words."""
        sure = f"{100 * self.confidence:g}%"
        first = self.steps[0]
        out = [
            f"{self.name} < {percent(self.limit)} with {sure} confidence: at least {first.n:,} {self.cases} "
            f"with 0 {self.events}",
            "",
            f"{'at most':>8} {'of':>12}   chance to prove it when the true rate is",
            f"{self.events[:8]:>8} {'parts':>12}   " + "  ".join(f"{f'{100 * f:g}% of it':>10}" for f in FRACTIONS),
        ]
        for step in self.steps:
            chances = "  ".join(f"{_chance(step.chance[f]):>10}" for f in FRACTIONS)
            out.append(f"{step.events:>8} {step.n:>12,}   {chances}")
        return [
            *out,
            "",
            "Parts must be independent of each other and of everything the model and its threshold were chosen on:",
            "crops of one panel count as far less than their number.",
        ]


def plan_samples(claim: str, confidence_pct: float = 95.0, allowed: tuple[int, ...] = ALLOWED) -> Plan:
    """The plan for a claim like `far<0.1%`, `miss<1%`, `recall>99%`. UsageError for anything else."""
    found = _CLAIM.fullmatch(claim)
    if not found:
        raise UsageError(f"claim {claim!r}: expected something like 'far<0.1%', 'miss<1%' or 'recall>99%'")
    metric = found[1].lower().removesuffix("_pct").removesuffix("_rate")
    share = float(f"{found[3].replace(',', '.')}e-2")
    wanted = ">" if metric == "recall" else "<"
    if {"≥": ">", "≤": "<"}.get(found[2][0], found[2][0]) != wanted:
        raise UsageError(
            f"claim {claim!r}: a {metric} is claimed to lie {'over' if wanted == '>' else 'under'} a limit"
        )
    limit = 1 - share if metric == "recall" else share
    if not 0 < limit < 1:
        raise UsageError(f"claim {claim!r}: no number of parts proves that; expected a rate over 0% and under 100%")
    if not 50 <= confidence_pct < 100:
        raise UsageError(f"confidence: expected 50 to under 100 percent, got {confidence_pct:g}")
    confidence = confidence_pct / 100
    name, cases, events = METRICS[metric]
    steps = []
    for count in allowed:
        n = cases_needed(limit, confidence, events=count)
        steps.append(Step(events=count, n=n, chance={f: _at_most(count, n, f * limit) for f in FRACTIONS}))
    return Plan(claim=claim, name=name, cases=cases, events=events, limit=limit, confidence=confidence,
                steps=tuple(steps))  # fmt: skip


def _at_most(events: int, n: int, true_rate: float) -> float:
    """How likely it is to see at most so many events in n parts."""
    if true_rate <= 0:
        return 1.0
    if events == 0:
        return math.exp(n * math.log1p(-true_rate))
    return 1.0 - incomplete_beta(events + 1, n - events, true_rate)


def _chance(value: float) -> str:
    return "100%" if value == 1 else ">99%" if value > 0.995 else f"{100 * value:.0f}%" if value >= 0.01 else "<1%"
