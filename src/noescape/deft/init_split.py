"""Which group (a panel, a board) goes to which set: never a picture by itself, and always the same for a seed."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from noescape.records import DataError, UsageError

BASE, VALIDATION, KPI, BLIND, POOL = "base", "validation", "kpi", "blind", "pool"
PARTS = (BASE, VALIDATION, KPI, BLIND, POOL)
# The pool is what the loop lives on; the two sets that judge must carry a rate; the base only has to start.
SHARES = {POOL: 0.36, KPI: 0.22, BASE: 0.16, BLIND: 0.16, VALIDATION: 0.10}
LEAST = 4  # groups; with so few there is no blind set


def split_groups(
    rows: Iterable[tuple[str, bool]], given: Mapping[str, Sequence[str]] | None = None, *, seed: int = 42
) -> dict[str, str]:
    """The set of each group. `rows` are (group, is a defect); `given` places groups by hand, the rest follow `SHARES`.

    Largest groups first, each to the set that lacks most, counting PASS rows and defects alike; no set stays empty as
    long as there are groups for it. DataError with fewer than 4 groups, or where a set that needs both classes would
    have one; UsageError for a group by hand that is not there, or twice.
    """
    ok, ng = Counter[str](), Counter[str]()
    for group, defect in rows:
        (ng if defect else ok)[group] += 1
    names = sorted({*ok, *ng})
    placed = _by_hand(given or {}, names)
    parts = [part for part in PARTS if part != BLIND or len(names) > LEAST or BLIND in placed.values()]
    if len(names) < LEAST:
        raise DataError(
            f"only {len(names)} group(s) ({', '.join(names)}): base, validation, KPI and pool need one each, since "
            "pictures of one panel or board on two sides would flatter the model. Bring pictures of more boards"
        )
    weight = {name: (ok[name] / max(1, ok.total()) + ng[name] / max(1, ng.total())) / 2 for name in names}
    rest = [name for name in names if name not in placed]
    random.Random(seed).shuffle(rest)  # noqa: S311 - which of equals comes first, nothing secret
    rest.sort(key=lambda name: -weight[name])
    for at, name in enumerate(rest):
        empty = [part for part in parts if part not in placed.values()]
        have = {part: sum(weight[g] for g, p in placed.items() if p == part) for part in parts}
        choice = empty if len(empty) >= len(rest) - at and empty else parts
        placed[name] = max(choice, key=lambda part: (SHARES[part] - have[part], SHARES[part]))
    for part in parts:
        own = [name for name, p in placed.items() if p == part]
        if not own:
            raise DataError(f"no group is left for the {part} set; give fewer groups by hand")
        lacking = [what for what, count in (("PASS", ok), ("NO_PASS", ng)) if not sum(count[name] for name in own)]
        if lacking and part != POOL:
            raise DataError(
                f"the {part} set ({', '.join(own)}) would hold no {lacking[0]} row; place groups by hand (--{part} …), "
                "or bring more of them"
            )
    return {name: placed[name] for name in names}


def _by_hand(given: Mapping[str, Sequence[str]], names: Sequence[str]) -> dict[str, str]:
    placed: dict[str, str] = {}
    for part, groups in given.items():
        for group in groups:
            if group not in names:
                raise UsageError(f"--{part} {group}: no such group; there are {', '.join(names[:20])}")
            if group in placed:
                raise UsageError(f"group {group} is given twice: {placed[group]} and {part}")
            placed[group] = part
    return placed
