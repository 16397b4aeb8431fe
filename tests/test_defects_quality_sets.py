"""Distances between sets, separability, nearness and diversity: closed forms, and two roads to one number."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
import pytest

from noescape.defects.quality import c2st
from noescape.defects.quality.diversity import (
    distance_within,
    exemplars_used,
    mask_grid,
    mask_spread,
    mean_distance,
    vendi,
    vendi_of,
)
from noescape.defects.quality.halving import half_of
from noescape.defects.quality.kid import halves_within, kernel, kid, kid_by_subsets, kid_within
from noescape.defects.quality.nearest import likeness, nearness, real_floor

Doubles = npt.NDArray[np.float64]


def _draw(seed: int, n: int, d: int = 6, shift: float = 0.0) -> Doubles:
    return np.random.default_rng(seed).normal(shift, 1, (n, d))


def _explicit(x: Doubles, y: Doubles) -> float:
    """The definition, pair by pair."""
    k = lambda a, b: (float(a @ b) / len(a) + 1) ** 3  # noqa: E731
    n, m = len(x), len(y)
    within_x = sum(k(x[i], x[j]) for i, j in itertools.permutations(range(n), 2)) / (n * (n - 1))
    within_y = sum(k(y[i], y[j]) for i, j in itertools.permutations(range(m), 2)) / (m * (m - 1))
    return within_x + within_y - 2 * sum(k(a, b) for a in x for b in y) / (n * m)


def test_kid_is_the_sum_over_all_pairs() -> None:
    x, y = _draw(0, 9), _draw(1, 12, shift=0.4)
    found = kid(x, y)
    assert found is not None and found.value == pytest.approx(_explicit(x, y), rel=1e-10)
    assert (found.n, found.m) == (9, 12)


def test_the_error_of_kid_is_the_jackknife_done_by_hand() -> None:
    x, y = _draw(0, 7), _draw(1, 8)
    variance = 0.0
    for own, other in ((x, y), (y, x)):
        left = [_explicit(np.delete(own, i, 0), other) for i in range(len(own))]
        variance += (len(own) - 1) / len(own) * sum((v - np.mean(left)) ** 2 for v in left)
    found = kid(x, y)
    assert found is not None and found.standard_error == pytest.approx(variance**0.5, rel=1e-9)


def test_the_error_of_kid_is_the_spread_of_redrawn_sets() -> None:
    """Over many redraws of both sets the values spread about as the jackknife says, and lie about 0."""
    found = [kid(_draw(i, 30), _draw(i + 5000, 40)) for i in range(150)]
    values = [f.value for f in found if f]
    claimed = np.mean([f.standard_error for f in found if f])
    assert abs(np.mean(values)) < 4 * np.std(values) / 150**0.5
    assert 0.6 < claimed / np.std(values) < 1.7
    assert min(values) < 0 < max(values)


def test_kid_does_not_care_about_order_axes_or_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = _draw(0, 20), _draw(1, 25, shift=0.3)
    turn = np.linalg.qr(_draw(2, 6))[0]
    rng = np.random.default_rng(0)
    want = kid(x, y)
    other = kid((y @ turn)[rng.permutation(25)], (x @ turn)[rng.permutation(20)])
    monkeypatch.setattr("noescape.defects.quality.kid.ROWS", 3)
    blocks = kid(x, y)
    assert want and other and blocks
    assert other.value == pytest.approx(want.value) and other.standard_error == pytest.approx(want.standard_error)
    assert blocks.value == pytest.approx(want.value)
    far = kid(x, y + 1)
    assert far is not None and far.value > want.value > 0


def test_too_few_for_kid_is_no_number() -> None:
    assert kid(_draw(0, 2), _draw(1, 50)) is None
    assert kid_by_subsets(_draw(0, 1), _draw(1, 5), size=3, count=2, rng=np.random.default_rng(0)) is None
    one = np.zeros(3, np.int64)
    assert halves_within(_draw(0, 3), np.arange(3), one, count=5, rng=np.random.default_rng(0)) == []
    assert kid_within(_draw(0, 3), _draw(1, 3), one, one + 1) is None


def test_types_are_compared_each_with_its_own() -> None:
    """Two far types, drawn in equal numbers: as one set they would seem nearer than two draws of one source do."""
    types = np.repeat([0, 1], 8)
    far = np.where(types, 3.0, 0.0)[:, None]
    inner, whole, real = [], [], []
    for seed in range(60):
        x, y = (_draw(seed + k, 16) + far for k in (0, 900))
        found, as_one = kid_within(x, y, types, types), kid(x, y)
        assert found is not None and as_one is not None and found[1] == 2
        inner.append(found[0].value)
        whole.append(as_one.value)
        real += halves_within(x, np.arange(16), types, count=3, rng=np.random.default_rng(seed))
    for values in (inner, real):
        assert abs(np.mean(values)) < 4 * np.std(values) / 60**0.5
    assert np.mean(whole) < -4 * np.std(whole) / 60**0.5
    a, b = kid(x[:8], y[:8]), kid(x[8:], y[8:])
    assert a and b and inner[-1] == pytest.approx((a.value + b.value) / 2)
    last = kid_within(x, y, types, types)
    assert last and last[0].standard_error == pytest.approx(np.hypot(a.standard_error, b.standard_error) / 2)
    mixed = kid_within(x, np.concatenate([y[:8], y[8:], y[8:]]), types, np.repeat([0, 1, 1], 8))
    assert mixed is not None and mixed[0].n == 16 and mixed[0].m == 24


def test_subsets_of_all_rows_give_the_whole_distance() -> None:
    x, y = _draw(0, 15), _draw(1, 15, shift=0.5)
    whole = kid(x, y)
    subsets = kid_by_subsets(x, y, size=100, count=4, rng=np.random.default_rng(0))
    assert whole and subsets and subsets[0] == pytest.approx(whole.value) and subsets[1] == pytest.approx(0, abs=1e-12)
    assert kernel(x[:1], y[:1])[0, 0] == pytest.approx((float(x[0] @ y[0]) / 6 + 1) ** 3)


def test_halves_keep_groups_whole_and_types_even() -> None:
    groups, types = np.repeat(np.arange(12), 3), np.repeat([0, 1, 2], 12)
    for seed in range(20):
        half = half_of(groups, types, np.random.default_rng(seed))
        assert all(len(set(half[groups == g])) == 1 for g in range(12))
        assert all(half[types == t].sum() == 6 for t in range(3))


def test_logistic_weights_are_where_the_slope_is_zero() -> None:
    """With more columns than rows, too, where the solution is found in the span of the rows."""
    for n, d in ((40, 3), (14, 30)):
        x, is_one = _draw(3, n, d), np.arange(n) % 3 == 0
        w, b = c2st.fit_logistic(x, is_one, ridge=0.05)
        sign = np.where(is_one, 1, -1)
        weight = np.where(is_one, 0.5 / is_one.sum(), 0.5 / (~is_one).sum())
        pull = -weight * sign / (1 + np.exp(sign * (x @ w + b)))
        assert np.abs(x.T @ pull + 0.05 * w).max() < 1e-8 and abs(pull.sum()) < 1e-8
    with pytest.raises(ValueError, match="both classes"):
        c2st.fit_logistic(_draw(0, 5), np.ones(5, np.bool_))


def test_every_fold_holds_both_classes_of_every_type_alike() -> None:
    types = np.tile(np.repeat([0, 1, 2], 10), 2)
    is_one, groups = np.arange(60) >= 30, np.arange(60)
    for seed in range(5):
        of = c2st._folds(groups, is_one, types, 5, np.random.default_rng(seed))
        assert all(
            np.sum((of == k) & (types == t) & (is_one == c)) == 2 for k in range(5) for t in range(3) for c in (0, 1)
        )
    whole = c2st._folds(groups // 2, is_one, types, 5, np.random.default_rng(0))
    assert np.array_equal(whole[::2], whole[1::2])


def test_what_differs_can_be_told_apart_and_what_does_not_cannot() -> None:
    rng = np.random.default_rng(0)
    groups = np.arange(80)
    apart = c2st.separability(_draw(0, 40), _draw(1, 40, shift=2.0), groups, rng=rng, repeats=3)
    same = [c2st.separability(_draw(i, 40), _draw(i + 99, 40), groups, rng=rng, repeats=2) for i in range(12)]
    assert apart is not None and apart.auroc > 0.98
    assert abs(np.mean([s.auroc for s in same if s]) - 0.5) < 0.06
    assert c2st.separability(_draw(0, 9), _draw(1, 40), groups[:49], rng=rng) is None


def test_real_against_real_is_about_one_half_also_where_captures_come_in_groups() -> None:
    """Six captures of each part are nearly equal: a classifier that saw one of them would know the others."""
    rng = np.random.default_rng(1)
    values = []
    for seed in range(6):
        parts = np.repeat(_draw(seed, 14), 6, axis=0) + 0.05 * _draw(seed + 50, 84)
        values += c2st.floor(parts, np.repeat(np.arange(14), 6), rng=rng, repeats=20)
    assert abs(np.mean(values) - 0.5) < 0.06
    loose = np.repeat(_draw(0, 14), 6, axis=0) + 0.05 * _draw(50, 84)
    assert np.mean(c2st.floor(loose, np.arange(84), rng=rng, repeats=20)) == pytest.approx(0.5, abs=0.1)


def test_a_copy_of_an_example_does_not_give_itself_away_by_its_example() -> None:
    """Generated pictures that equal their examples: AUROC 1/2, neither more nor far less, if both share a fold."""
    real = _draw(0, 30)
    groups = np.concatenate([np.arange(30), np.arange(30)])
    found = c2st.separability(real, real.copy(), groups, rng=np.random.default_rng(0))
    torn = c2st.separability(real, real.copy(), np.arange(60), rng=np.random.default_rng(0))
    assert found is not None and torn is not None
    assert found.auroc == pytest.approx(0.5) and torn.auroc < 0.3


def test_nearness_in_closed_form() -> None:
    e = np.eye(4, dtype=np.float32)
    tilted = np.array([[0.6, 0.8, 0, 0]], np.float32)
    assert likeness(e[:2], e[:1]) == (0.5, 1.0)
    assert likeness(tilted, e[:2]) == (pytest.approx(0.8), pytest.approx(0.8))
    found = nearness(e[:1], [e[1:2], e[2:3], tilted, e[:1], e[3:4]])
    assert found is not None and found.nn_score == pytest.approx((1 + 0.6 + 0) / 3) and found.nearest == 3
    assert found.references == 5 and nearness(e, []) is None
    flat = np.zeros((3, 4), np.float32)
    assert likeness(flat, flat) == (0.0, 0.0)


def test_nearness_is_the_loop_over_patches() -> None:
    rng = np.random.default_rng(0)
    unit = lambda n: (v := rng.normal(size=(n, 5))) / np.linalg.norm(v, axis=1, keepdims=True)  # noqa: E731
    a, b = (unit(n).astype(np.float32) for n in (17, 11))
    nn, mnn = likeness(a, b)
    best = [max(range(11), key=lambda j: float(p @ b[j])) for p in a]
    assert nn == pytest.approx(np.mean([a[i] @ b[j] for i, j in enumerate(best)]), abs=1e-6)
    mutual = [float(a[i] @ b[j]) for i, j in enumerate(best) if all(a[i] @ b[j] >= p @ b[j] for p in a)]
    assert mnn == pytest.approx(np.mean(mutual), abs=1e-6)


def test_a_real_picture_is_never_held_against_its_own_part() -> None:
    e = np.eye(3, dtype=np.float32)
    same = real_floor([e[:1], e[:1], e[1:2]], ["a", "a", "b"])
    assert [f.nn_score if f else None for f in same] == [0.0, 0.0, 0.0]
    assert real_floor([e[:1], e[:1]], ["a", "a"]) == [None, None]


def test_diversity_in_closed_form_and_by_pairs() -> None:
    x = _draw(0, 12)
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    pairs = [1 - float(a @ b) for a, b in itertools.combinations(unit, 2)]
    assert mean_distance(x) == pytest.approx(np.mean(pairs)) and mean_distance(x[:1]) is None
    assert vendi(np.ones((5, 3))) == pytest.approx(1) and vendi(np.eye(6)) == pytest.approx(6)
    assert vendi(np.repeat(np.eye(3), 4, axis=0)) == pytest.approx(3)
    values = np.linalg.eigvalsh(unit @ unit.T / 12)
    values = values[values > 1e-12]
    assert vendi(x) == pytest.approx(float(np.exp(-(values * np.log(values)).sum())))
    assert vendi_of(x, 12, rng=np.random.default_rng(0)) == vendi(x)
    assert vendi_of(x, 13, rng=np.random.default_rng(0)) is None
    within = distance_within(np.concatenate([x[:3], x[5:7], x[9:10]]), ["a"] * 3 + ["b"] * 2 + ["c"])
    assert within is not None and within[1] == 2
    assert within[0] == pytest.approx(np.mean([mean_distance(x[:3]), mean_distance(x[5:7])]))


def test_masks_on_one_place_are_seen() -> None:
    a, b = np.zeros((100, 200), np.bool_), np.zeros((100, 200), np.bool_)
    a[10:20, 10:40], b[70:90, 100:150] = True, True
    spread = mask_spread([mask_grid(m) for m in (a, a, b)])
    assert spread is not None and spread.mean_iou == pytest.approx(1 / 3) and spread.same_share == pytest.approx(1 / 3)
    tiny = np.zeros((1000, 1000), np.bool_)
    tiny[500, 500] = True
    assert mask_grid(tiny).sum() == 1 and mask_spread([a]) is None
    used = exemplars_used([("a",), ("a", "b"), ()], 5)
    assert used == {"used": 2, "available": 5, "largest_share": pytest.approx(2 / 3)}
