"""How many images of each type."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from noescape.datasets.anomalygen_spec import unknown_type
from noescape.records import UsageError


def uniform(keys: Sequence[str], total: int) -> dict[str, int]:
    """As evenly as it goes; the first `total` modulo their number get one more. For generating."""
    base, more = divmod(total, len(keys))
    return {key: base + (i < more) for i, key in enumerate(keys)}


def proportional(weights: Mapping[str, int], total: int) -> dict[str, int]:
    """As the examples are distributed, by largest remainder, at least one each. For validating.

    UsageError when `total` is smaller than the number of types.
    """
    if total < len(weights):
        raise UsageError(f"validation needs at least one image per type: {total} for {len(weights)} types")
    whole = sum(weights.values()) or len(weights)
    share = {key: total * (weight or whole / len(weights)) / whole for key, weight in weights.items()}
    counts = {key: max(1, int(value)) for key, value in share.items()}
    order = list(weights)
    while sum(counts.values()) < total:
        counts[max(order, key=lambda k: (share[k] - counts[k], -order.index(k)))] += 1
    while sum(counts.values()) > total:  # the floor of one has given too many away: take from the best served
        counts[max((k for k in order if counts[k] > 1), key=lambda k: (counts[k] - share[k], -order.index(k)))] -= 1
    return counts


def by_hand(keys: Sequence[str], counts: Mapping[str, object], total: int | None) -> dict[str, int]:
    """Exactly what was asked for; types that are not named get none.

    UsageError lists unknown types, counts that are no whole numbers, and a sum that is not `total` where that is given.
    """
    problems = [unknown_type(key, keys) for key in counts if key not in keys]
    for key, value in counts.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            problems.append(f"{key}: expected a whole number of at least 0, got {value!r}")
    if problems:
        raise UsageError("--per-defect-counts: " + "; ".join(problems))
    wanted = {key: value for key in keys if isinstance(value := counts.get(key, 0), int)}
    if total is not None and sum(wanted.values()) != total:
        raise UsageError(f"--per-defect-counts adds up to {sum(wanted.values())}, --num-sdg asks for {total}")
    if not sum(wanted.values()):
        raise UsageError("--per-defect-counts asks for no image at all")
    return wanted
