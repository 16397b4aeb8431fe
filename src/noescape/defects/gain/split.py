"""Splits by physical part: no part that taught a defect, or a surface, is ever tested on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from noescape.records import DataError

REAL_PARTS = 0.34  # a split is taken when each type's parts are shared out to within this share
TRIES = 500


@dataclass(frozen=True, kw_only=True)
class Split:
    """Indices into the samples: `shots` per type, `clean` to teach, `test`; `parts` = how many parts the shots show."""

    shots: Mapping[str, tuple[int, ...]]
    clean: tuple[int, ...]
    test: tuple[int, ...]
    parts: Mapping[str, int]


def split_by_part(
    kinds: Sequence[str],
    groups: Sequence[str],
    *,
    good: str,
    shots: Mapping[str, int],
    whole_parts: bool,
    clean: int,
    test_clean: int,
    seed: int,
) -> Split:
    """Draw half of the parts to teach from and half to test.

    A shot is one picture (`whole_parts` False: so many pictures of a type, from as many parts as there are), or one
    part with all its pictures of the type. Types that `shots` does not name are neither taught nor tested.
    DataError where no draw of 500 works.
    """
    rng = np.random.default_rng((1000, seed))
    names = np.array(groups)
    types = sorted(shots)
    by_kind = np.array(kinds)
    for _ in range(TRIES):
        parts = rng.permutation(np.unique(names))
        taught = np.isin(names, parts[: len(parts) // 2])
        if all(_fair(names, by_kind == t, taught, shots[t], whole_parts) for t in types):
            break
    else:
        raise DataError(
            f"no split by part gives {', '.join(f'{shots[t]} {t}' for t in types)} "
            f"({'parts' if whole_parts else 'pictures'}) to teach with, and of each at least 2 parts to test on: "
            "ask for fewer, or leave a type out"
        )
    chosen = {t: _shots(names, np.flatnonzero((by_kind == t) & taught), shots[t], whole_parts, rng) for t in types}
    is_good = by_kind == good
    surfaces = rng.permutation(np.flatnonzero(is_good & taught))[:clean]
    test = [
        *np.flatnonzero(np.isin(by_kind, types) & ~taught),
        *rng.permutation(np.flatnonzero(is_good & ~taught))[:test_clean],
    ]
    return Split(
        shots=chosen,
        clean=tuple(int(i) for i in surfaces),
        test=tuple(int(i) for i in test),
        parts={t: len(set(names[list(chosen[t])])) for t in types},
    )


def shots_by_type(
    kinds: Sequence[str], groups: Sequence[str], *, good: str, most: int, whole_parts: bool
) -> tuple[dict[str, int], dict[str, int]]:
    """How many shots of each type a split in halves allows, at most `most`; and the parts of the types left out.

    In parts: half of what there is, rounded down. In pictures: `most` of them. A type needs 4 parts, 2 on each side.
    """
    parts: dict[str, set[str]] = {}
    for kind, group in zip(kinds, groups, strict=True):
        if kind != good:
            parts.setdefault(kind, set()).add(group)
    enough = {kind: len(found) for kind, found in sorted(parts.items()) if len(found) >= 4}
    shots = {kind: min(most, n // 2) if whole_parts else most for kind, n in enough.items()}
    return shots, {kind: len(found) for kind, found in sorted(parts.items()) if kind not in enough}


def _fair(names: np.ndarray, of_type: np.ndarray, taught: np.ndarray, shots: int, whole_parts: bool) -> bool:
    here, there = len(set(names[of_type & taught])), len(set(names[of_type & ~taught]))
    enough = here >= shots if whole_parts else int((of_type & taught).sum()) >= shots
    return enough and min(here, there) >= 2 and abs(here - there) <= max(1, REAL_PARTS * (here + there))


def _shots(
    names: np.ndarray,
    candidates: np.ndarray,
    shots: int,
    whole_parts: bool,
    rng: np.random.Generator,
) -> tuple[int, ...]:
    """Pictures part by part in turn; or all pictures of the first parts."""
    order = rng.permutation(candidates)
    if whole_parts:
        parts = list(dict.fromkeys(names[order]))[:shots]
        return tuple(int(i) for i in order if names[i] in parts)
    seen: dict[str, int] = {}
    turns = []
    for i in order:
        seen[names[i]] = seen.get(names[i], 0) + 1
        turns.append(seen[names[i]])
    return tuple(int(i) for i in order[np.argsort(turns, kind="stable")][:shots])
