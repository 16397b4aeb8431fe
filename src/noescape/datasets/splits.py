"""Which groups train and which test: whole groups on one side, drawn by a seed, the same on every machine."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from noescape.records import UsageError

SPLITS = ("group", "random")


def draw_training(weights: Mapping[str, int], *, seed: int, fraction: float) -> set[str]:
    """Names whose `weights` (numbers of good images) sum up as near to `fraction` of the total as the draw allows.

    The order of the draw is the order of sha256(seed, name): no generator whose stream may change with a version.
    Names are taken while that brings the sum nearer to its goal; at least one name stays on each side if there
    are two. Names of weight 0 are never drawn.
    """
    check_split(fraction=fraction)
    names = sorted((n for n, w in weights.items() if w > 0), key=lambda name: (_ticket(seed, name), name))
    goal = fraction * sum(weights[n] for n in names)
    chosen: list[str] = []
    total = 0
    for name in names:
        if abs(total + weights[name] - goal) <= abs(total - goal):
            chosen.append(name)
            total += weights[name]
    if names and not chosen:
        chosen = [min(names, key=lambda n: (weights[n], _ticket(seed, n)))]
    if len(names) > 1 and len(chosen) == len(names):
        chosen.pop()
    return set(chosen)


def check_split(*, split: str = "group", fraction: float = 0.6) -> None:
    """UsageError unless `split` is a known word and `fraction` lies inside 0..1."""
    if split not in SPLITS:
        raise UsageError(f"--split: expected {' or '.join(SPLITS)}, got {split!r}")
    if not 0 < fraction < 1:
        raise UsageError(f"--train-fraction: expected a share between 0 and 1 (for example 0.6), got {fraction}")


def _ticket(seed: int, name: str) -> str:
    return hashlib.sha256(f"{seed}\n{name}".encode("utf-8", "backslashreplace")).hexdigest()
