"""Promises of the split: whole groups, near the share asked for, the same on every machine."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noescape.datasets.splits import check_split, draw_training
from noescape.records import UsageError


@given(
    weights=st.dictionaries(st.text(max_size=8), st.integers(0, 30), min_size=2, max_size=40),
    seed=st.integers(0, 2**31),
    fraction=st.floats(0.05, 0.95),
)
def test_both_sides_get_something_and_the_share_is_near(weights: dict[str, int], seed: int, fraction: float) -> None:
    chosen = draw_training(weights, seed=seed, fraction=fraction)
    positive = {n: w for n, w in weights.items() if w > 0}
    assert chosen <= set(positive)
    if len(positive) >= 2:
        assert 0 < len(chosen) < len(positive)
        off = abs(sum(positive[n] for n in chosen) - fraction * sum(positive.values()))
        assert off <= max(positive.values())
    assert chosen == draw_training(dict(reversed(list(weights.items()))), seed=seed, fraction=fraction)


def test_the_draw_is_pinned_so_that_published_splits_stay_valid() -> None:
    weights = {f"part-{i}": 1 for i in range(10)}
    assert sorted(draw_training(weights, seed=42, fraction=0.3)) == PINNED
    assert draw_training(weights, seed=42, fraction=0.5) != draw_training(weights, seed=43, fraction=0.5)


PINNED = ["part-0", "part-4", "part-7"]


@pytest.mark.parametrize("fraction", [0, 1, -0.1, float("nan")])
def test_shares_that_leave_a_side_empty_are_refused(fraction: float) -> None:
    with pytest.raises(UsageError, match="train-fraction"):
        draw_training({"a": 1, "b": 1}, seed=0, fraction=fraction)


def test_unknown_splits_are_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="group or random"):
        check_split(split="cell")
