"""The KPI target as people write it, shown and kept as given: `far < 0.1 % at recall = 100 %`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from noescape.metrics import percent
from noescape.records import UsageError

DEFAULT_TARGET = "far < 0.1 % at recall = 100 %"
FORMULA = "false alarm rate (FAR) = FP/(FP+TN), good parts stopped"
_NUMBER = r"([0-9]+(?:[.,][0-9]+)?)\s*(%?)"
_TARGET = re.compile(
    r"\s*(?:far|far_pct|false[ _]alarm[ _]rate)\s*(<=|=<|≤|<)\s*" + _NUMBER +
    r"(?:\s*(?:at|@)\s*(?:recall\s*(?:=|>=|≥)?\s*" + _NUMBER + r"|" + _NUMBER + r"\s*recall))?\s*",
    re.IGNORECASE,
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """The false alarm rate to come under, as a share, at a recall, as a share. `text` is what was written."""

    text: str
    limit: float
    strict: bool
    recall: float

    def met_by(self, far: float) -> bool:
        """Whether a false alarm rate (a share) meets it; the recall is judged elsewhere."""
        return far < self.limit if self.strict else far <= self.limit

    @property
    def goal(self) -> str:
        """`< 0.1%`."""
        return f"{'<' if self.strict else '<='} {percent(self.limit)}"

    @property
    def shown(self) -> str:
        """In full words, with the formula."""
        return f"{FORMULA}: {self.goal} at recall = {percent(self.recall)}"


def parse_target(text: str) -> Target:
    """The target that `text` states. Recall is 100% where none is named.

    UsageError, with an example, for anything else; percent signs are needed, since `0.1` alone could be a share.
    """
    found = _TARGET.fullmatch(text)
    if not found:
        raise UsageError(f"KPI target {text!r}: expected something like {DEFAULT_TARGET!r}")
    operator, limit, sign, *rest = found.groups()
    recall, recall_sign = (rest[0], rest[1]) if rest[0] else (rest[2], rest[3])
    if not sign or (recall and not recall_sign):
        raise UsageError(
            f"KPI target {text!r}: write percent signs, like {DEFAULT_TARGET!r}; a bare number is ambiguous"
        )
    share, kept = _share(limit), _share(recall) if recall else 1.0
    if not 0 < share < 1:
        raise UsageError(f"KPI target {text!r}: expected a rate over 0% and under 100%, got {limit}%")
    if not 0 < kept <= 1:
        raise UsageError(f"KPI target {text!r}: expected a recall over 0% and at most 100%, got {recall}%")
    return Target(text=text, limit=share, strict=operator == "<", recall=kept)


def _share(number: str) -> float:
    # Through a decimal shift of the text, so that 0.1 % is the number 0.001 and not 0.1 / 100 with its own rounding.
    return float(f"{number.replace(',', '.')}e-2")
