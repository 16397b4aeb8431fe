"""The fast coreset takes the rows of the plain greedy loop, bit for bit, and covers as well as greedy k-centre must."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noescape.anomaly import coreset
from noescape.anomaly.coreset import greedy_coreset, greedy_coreset_plain


def rows(kind: str, n: int, d: int, seed: int) -> Any:
    """Vectors of one kind that is hard in its own way."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d))
    if kind == "clustered":
        x = rng.normal(size=(7, d))[rng.integers(0, 7, n)] * 20 + x * 1e-3
    elif kind == "duplicated":
        x = x[rng.integers(0, max(1, n // 3), n)]
    elif kind == "grid":
        x = rng.integers(-2, 3, (n, d)).astype(np.float64)  # equal distances everywhere
    elif kind == "constant":
        x = np.full((n, d), 3.25)
    elif kind == "far":
        x = x + 1e4
    elif kind == "tiny":
        x = x * 1e-6
    elif kind == "huge":
        x = x * 1e6
    elif kind == "one outlier":
        x[n // 2] += 1e3
    return np.ascontiguousarray(x, dtype=np.float32)


KINDS = ("random", "clustered", "duplicated", "grid", "constant", "far", "tiny", "huge", "one outlier")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("n", "d", "count"), [(1, 3, 1), (2, 1, 2), (60, 5, 60), (900, 16, 120), (1500, 3, 300)])
def test_the_same_rows_as_the_plain_loop(kind: str, n: int, d: int, count: int) -> None:
    """Also with ties, with all rows wanted, and with fewer and more rows than the front."""
    x = rows(kind, n, d, seed=n)
    assert greedy_coreset(x, count).tolist() == greedy_coreset_plain(x, count).tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_rows_over_several_blocks(kind: str) -> None:
    """More rows than the front, than a batch and than a block of the matrix product."""
    x = rows(kind, coreset.BATCH + 700, 24, seed=5)
    assert len(x) > max(coreset.FRONT, coreset.CHUNK, coreset.BATCH)
    assert greedy_coreset(x, 160, 17).tolist() == greedy_coreset_plain(x, 160, 17).tolist()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("front", "batch", "chunk", "centres"), [(8, 40, 50, 7), (1, 1, 1, 1), (30, 3, 16, 1000)])
def test_the_same_rows_with_small_fronts(
    kind: str, front: int, batch: int, chunk: int, centres: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many rounds of front and update, with rows that missed different centres: each is a chance to differ."""
    for name, size in {"FRONT": front, "BATCH": batch, "CHUNK": chunk, "CENTRES": centres}.items():
        monkeypatch.setattr(coreset, name, size)
    x = rows(kind, 333, 6, seed=8)
    assert greedy_coreset(x, 200).tolist() == greedy_coreset_plain(x, 200).tolist()
    fast = greedy_coreset(x, 120, given=30)
    assert fast.tolist() == greedy_coreset_plain(x, 120, given=30).tolist()


def test_rows_near_a_centre_are_not_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tight cloud around the first centre: the centres outside are not compared with it."""
    monkeypatch.setattr(coreset, "FRONT", 16)
    monkeypatch.setattr(coreset, "BATCH", 64)
    compared = 0
    lower = coreset._Distances._lower

    def counted(self: Any, at: Any, fresh: Any) -> None:
        nonlocal compared
        compared += len(at) * len(fresh)
        lower(self, at, fresh)

    monkeypatch.setattr(coreset._Distances, "_lower", counted)
    x = rows("random", 5000, 8, seed=6)
    x[:400] *= 50
    assert greedy_coreset(x, 200, 4000).tolist() == greedy_coreset_plain(x, 200, 4000).tolist()
    assert compared < 0.1 * len(x) * 200


@settings(max_examples=60)
@given(
    kind=st.sampled_from(KINDS),
    n=st.integers(1, 120),
    d=st.integers(1, 9),
    share=st.floats(0.01, 1),
    seed=st.integers(0, 10**6),
)
def test_the_same_rows_whatever_the_data(kind: str, n: int, d: int, share: float, seed: int) -> None:
    x = rows(kind, n, d, seed)
    count, start = max(1, int(n * share)), seed % n
    assert greedy_coreset(x, count, start).tolist() == greedy_coreset_plain(x, count, start).tolist()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("given_rows", [1, 5, 1100])
def test_going_on_from_a_choice_is_the_same_as_the_plain_loop(kind: str, given_rows: int) -> None:
    x = rows(kind, 1400, 7, seed=3)
    fast = greedy_coreset(x, 1200, given=given_rows)
    assert fast.tolist() == greedy_coreset_plain(x, 1200, given=given_rows).tolist()
    assert fast[:given_rows].tolist() == [*range(given_rows)]


def test_going_on_from_its_own_choice_changes_nothing() -> None:
    x = rows("random", 300, 5, seed=1)
    first = greedy_coreset(x, 40)
    rest = np.setdiff1d(np.arange(len(x)), first)
    again = np.concatenate([x[first], x[rest]])
    more = again[greedy_coreset(again, 60, given=40)]
    np.testing.assert_array_equal(more, x[greedy_coreset(x, 60)])


def test_every_row_is_taken_once_where_rows_differ() -> None:
    x = rows("random", 500, 4, seed=2)
    assert sorted(greedy_coreset(x, 500)) == [*range(500)]


def test_progress_ends_at_the_count() -> None:
    said: list[tuple[int, int]] = []
    greedy_coreset(rows("random", 3000, 8, 1), 200, on_step=lambda done, count: said.append((done, count)))
    assert said[-1] == (200, 200) and [d for d, _ in said] == sorted(d for d, _ in said)


def radius(x: Any, chosen: Any) -> float:
    """The largest distance of any row to its nearest chosen one, computed the long way."""
    apart = np.sqrt(((x[:, None].astype(np.float64) - x[None, list(chosen)].astype(np.float64)) ** 2).sum(2))
    return float(apart.min(1).max())


@pytest.mark.parametrize("seed", range(8))
def test_the_radius_is_at_most_twice_the_best_one(seed: int) -> None:
    """Greedy k-centre is a 2-approximation: against every choice of k rows there is."""
    x = rows("random" if seed % 2 else "clustered", 11, 2, seed)
    best = min(radius(x, chosen) for chosen in itertools.combinations(range(11), 4))
    assert radius(x, greedy_coreset(x, 4)) <= 2 * best * (1 + 1e-6)


def test_each_new_centre_was_the_farthest_row() -> None:
    x = rows("random", 200, 6, seed=4)
    chosen = greedy_coreset(x, 30)
    for k in range(1, 30):
        apart = np.sqrt(((x[:, None].astype(np.float64) - x[None, chosen[:k]]) ** 2).sum(2)).min(1)
        assert apart[chosen[k]] >= apart.max() * (1 - 1e-6)
