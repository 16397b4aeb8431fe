"""No row vanishes in silence: what went into a stage comes out, or is named with a reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from noescape.changenet.rows import MANDATORY
from noescape.deft.hardstop import HardStop, examples
from noescape.files import read_csv


@dataclass(frozen=True, kw_only=True, slots=True)
class Dropped:
    """One thing that a stage left out, and why. `row` names it as the stage's input does."""

    row: str
    reason: str

    def to_json(self) -> dict[str, str]:
        """As plain JSON types."""
        return {"row": self.row, "reason": self.reason}


def row_name(fields: Mapping[str, str]) -> str:
    """What names a row of pairs in a ledger: its four mandatory columns."""
    return " | ".join(fields.get(name, "") for name in MANDATORY)


def account(stage: str, before: Iterable[str], after: Iterable[str], dropped: Iterable[Dropped]) -> None:
    """HardStop silent_drop unless every row of `before` is in `after` or named in `dropped`, each as often as it was.

    A reason that is blank is no reason.
    """
    logged = Counter(one.row for one in dropped if one.reason.strip())
    vanished = Counter(before) - Counter(after) - logged
    if vanished:
        count = sum(vanished.values())
        raise HardStop(
            "silent_drop",
            f"{stage}: {count} row(s) went in and neither came out nor were logged with a reason: "
            f"{examples(sorted(vanished))}. Nothing of this stage may be used; look for what removed them",
        )


def account_files(stage: str, before: Path, after: Path, dropped: Iterable[Dropped] = ()) -> None:
    """The same for two CSVs of pairs on disk: every row of `before` is in `after` or was logged."""
    account(stage, map(row_name, read_csv(before)), map(row_name, read_csv(after)), dropped)


def account_allocation(allocated: Mapping[str, int], delivered: Mapping[str, int], dropped: Iterable[Dropped]) -> None:
    """HardStop amp_allocation unless each defect type got as many images as were allocated to it, less logged failures.

    `dropped` rows are named by their type; each stands for one image that could not be made.
    """
    failed = Counter(one.row for one in dropped if one.reason.strip())
    wrong = [
        f"{kind}: {allocated.get(kind, 0)} allocated, {delivered.get(kind, 0)} delivered, {failed[kind]} failed"
        for kind in sorted({*allocated, *delivered})
        if allocated.get(kind, 0) != delivered.get(kind, 0) + failed[kind]
    ]
    if wrong:
        raise HardStop(
            "amp_allocation",
            f"the generator did not deliver what was allocated ({'; '.join(wrong)}). Its images may not be used: the "
            "mix of types would not be the one that was planned",
        )
