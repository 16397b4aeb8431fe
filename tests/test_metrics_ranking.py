"""Promises of the ranking figures: AUROC, average precision, best F1, ROC, and how sure an AUROC is."""

from __future__ import annotations

import json
import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from noescape.metrics import (
    auroc,
    auroc_bounds,
    average_precision,
    best_f1,
    operating_point,
    paired_auroc_difference,
    roc_points,
)

# Few distinct scores, so that ties are the rule.
tied = st.lists(st.tuples(st.integers(0, 1), st.integers(-5, 5)), min_size=0, max_size=40)
real = st.lists(
    st.tuples(st.integers(0, 1), st.floats(-1e12, 1e12, allow_subnormal=True)),
    min_size=0,
    max_size=40,
)


def split(cases):
    return np.array([c[0] for c in cases], dtype=int), np.array([c[1] for c in cases], dtype=float)


def both(labels):
    return 0 < labels.sum() < len(labels)


@given(st.one_of(tied, real))
def test_auroc_is_the_share_of_pairs_ranked_right(cases):
    labels, scores = split(cases)
    if not both(labels):
        assert auroc(labels, scores) is None
        return
    wins = sum((d > g) + (d == g) / 2 for d in scores[labels == 1] for g in scores[labels == 0])
    assert auroc(labels, scores) == pytest.approx(wins / (labels.sum() * (labels == 0).sum()), abs=1e-14)


@given(st.one_of(tied, real))
def test_auroc_and_average_precision_agree_with_scikit_learn(cases):
    labels, scores = split(cases)
    if both(labels):
        assert auroc(labels, scores) == pytest.approx(roc_auc_score(labels, scores), abs=1e-12)
        assert average_precision(labels, scores) == pytest.approx(average_precision_score(labels, scores), abs=1e-12)


@given(tied)
def test_only_the_order_of_scores_counts(cases):
    labels, scores = split(cases)
    for other in (scores * 8 - 3, np.exp(scores), scores**3, np.arctan(scores)):
        assert auroc(labels, other) == auroc(labels, scores)
        assert average_precision(labels, other) == average_precision(labels, scores)
        assert auroc_bounds(labels, other) == auroc_bounds(labels, scores)


@given(tied)
def test_turning_the_scores_round_turns_auroc_round(cases):
    labels, scores = split(cases)
    if both(labels):
        assert auroc(labels, -scores) == pytest.approx(1 - auroc(labels, scores), abs=1e-14)


@given(st.one_of(tied, real))
def test_no_threshold_beats_best_f1_and_its_threshold_gives_it(cases):
    labels, scores = split(cases)
    best = best_f1(labels, scores)
    if not both(labels):
        assert best is None
        return
    tries = [*np.unique(scores), np.nextafter(scores.min(), -np.inf)]
    f1s = [f1_score(labels, scores > t, zero_division=0) for t in tries]
    assert best.f1 == pytest.approx(max(f1s), abs=1e-12)
    at = operating_point(labels, scores, best.threshold)
    assert best.f1 == pytest.approx(2 * at.tp / (2 * at.tp + at.fp + at.fn), abs=1e-12)
    assert best.precision == at.precision.value
    assert best.recall == at.detected.value


def test_of_equally_good_thresholds_best_f1_stops_the_fewest_parts():
    labels, scores = [1, 0, 0, 1], [4, 3, 2, 1]  # F1 of the top one: 2/3; of all four: 4/6
    best = best_f1(labels, scores)
    assert best.f1 == pytest.approx(2 / 3)
    assert (best.precision, best.recall, best.threshold) == (1.0, 0.5, 3.5)


def test_best_f1_threshold_is_halfway():
    assert best_f1([0, 1], [1.0, 2.0]).threshold == 1.5


@pytest.mark.parametrize("steps", [0, 1])
def test_thresholds_from_float32_scores_work_in_float32_too(steps):
    """They separate the same cases when compared in float32, even neighbours whose middle rounds up or down."""
    low = np.float32(1 + steps * 2**-23)
    high = np.nextafter(low, np.float32(2))
    scores = np.array([low, high], dtype=np.float32)
    threshold = best_f1([0, 1], scores).threshold
    assert list(scores > threshold) == [False, True]
    assert list(scores.astype(float) > threshold) == [False, True]
    everything = best_f1([1, 0], scores)
    assert (scores > everything.threshold).all()
    assert everything.recall == 1


@given(st.one_of(tied, real))
def test_every_roc_point_is_what_its_threshold_gives(cases):
    labels, scores = split(cases)
    points = roc_points(labels, scores)
    if not both(labels):
        assert points is None
        return
    fpr, tpr, thresholds = points
    assert (fpr[0], tpr[0], fpr[-1], tpr[-1]) == (0, 0, 1, 1)
    assert np.isfinite(thresholds).all()
    assert all(a > b for a, b in pairwise(thresholds))
    for x, y, t in zip(fpr, tpr, thresholds):
        at = operating_point(labels, scores, t)
        assert (x, y) == (at.false_alarm_rate.value, at.detected.value)
    assert np.trapezoid(tpr, fpr) == pytest.approx(auroc(labels, scores), abs=1e-12)


def test_constant_scores_rank_like_a_coin():
    labels, scores = [0, 1, 0, 1, 1], [0.3] * 5
    assert auroc(labels, scores) == 0.5
    assert average_precision(labels, scores) == pytest.approx(3 / 5)
    assert best_f1(labels, scores).recall == 1
    lower, upper = auroc_bounds(labels, scores)
    assert lower < 0.5 < upper


@pytest.mark.parametrize("labels", [[], [0, 0], [1, 1]])
def test_with_one_class_missing_nothing_is_claimed(labels):
    scores = np.arange(len(labels), dtype=float)
    for figure in (auroc, average_precision, best_f1, auroc_bounds, roc_points):
        assert figure(labels, scores) is None
    assert paired_auroc_difference(labels, scores, scores) is None


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e301])
def test_scores_that_are_no_numbers_are_refused_with_their_place(bad):
    for figure in (auroc, average_precision, best_f1, auroc_bounds, roc_points):
        with pytest.raises(ValueError, match="score 1: expected a finite number"):
            figure([0, 1, 1], [0.1, bad, 0.3])


@pytest.mark.parametrize(
    ("labels", "scores", "message"),
    [
        ([0, 2], [1.0, 2.0], "label 1: expected 0"),
        ([0, -1], [1.0, 2.0], "label 1: expected 0"),
        ([0, math.nan], [1.0, 2.0], "label 1: expected 0"),
        ([0, 1, 1], [1.0, 2.0], "one length"),
        ([[0, 1]], [[1.0, 2.0]], "one length"),
        ([0, 1], ["a", "b"], "expected numbers"),
    ],
)
def test_lists_that_do_not_fit_are_refused(labels, scores, message):
    with pytest.raises(ValueError, match=message):
        auroc(labels, scores)


def test_delong_agrees_with_a_plain_implementation():
    rng = np.random.default_rng(5)
    labels = np.r_[np.ones(40, int), np.zeros(60, int)]
    a = np.round(rng.normal(size=100) + 0.8 * labels, 1)
    b = np.round(a + rng.normal(size=100), 1)

    def components(s):
        x, y = s[:40], s[40:]
        wins = np.array([[(i > j) + (i == j) / 2 for j in y] for i in x])
        return wins.mean(1), wins.mean(0), wins.mean()

    (xa, ya, area_a), (xb, yb, area_b) = components(a), components(b)
    se = math.sqrt(xa.var(ddof=1) / 40 + ya.var(ddof=1) / 60)
    logit, half = math.log(area_a / (1 - area_a)), norm.ppf(0.95) * se / (area_a * (1 - area_a))
    expected = [1 / (1 + math.exp(-(logit + side * half))) for side in (-1, 1)]
    assert auroc_bounds(labels, a) == pytest.approx(expected, abs=1e-12)

    covariance = np.cov(xa, xb)[0, 1] / 40 + np.cov(ya, yb)[0, 1] / 60
    var_b = xb.var(ddof=1) / 40 + yb.var(ddof=1) / 60
    got = paired_auroc_difference(labels, a, b)
    assert got.difference == pytest.approx(area_a - area_b, abs=1e-12)
    assert got.standard_error == pytest.approx(math.sqrt(se**2 + var_b - 2 * covariance), abs=1e-12)
    assert got.upper - got.difference == pytest.approx(norm.ppf(0.975) * got.standard_error, abs=1e-12)


@pytest.mark.parametrize("n", [1, 2, 5, 30, 500])
def test_complete_separation_is_never_called_certain(n):
    labels, scores = [1] * n + [0] * (2 * n), np.arange(3 * n, 0, -1)
    lower, upper = auroc_bounds(labels, scores)
    assert lower == pytest.approx(0.05 ** (1 / n), abs=1e-12)
    assert upper == 1
    lower, upper = auroc_bounds(labels, -scores)
    assert lower == 0
    assert upper == pytest.approx(1 - 0.05 ** (1 / n), abs=1e-12)


@given(st.one_of(tied, real))
def test_bounds_lie_around_the_auroc_and_are_json(cases):
    labels, scores = split(cases)
    bounds = auroc_bounds(labels, scores)
    if bounds is not None:
        assert 0 <= bounds[0] <= auroc(labels, scores) + 1e-12
        assert auroc(labels, scores) - 1e-12 <= bounds[1] <= 1
        json.dumps(bounds, allow_nan=False)


@pytest.mark.parametrize("true", [0.6, 0.9, 0.99, 0.999])
@pytest.mark.parametrize(("defects", "good", "spread"), [(5, 50, 1), (20, 200, 1), (20, 200, 2), (60, 60, 2)])
def test_the_true_auroc_lies_over_the_lower_bound_19_times_in_20(true, defects, good, spread):
    rng = np.random.default_rng(11)
    shift = norm.ppf(true) * math.hypot(1, spread)
    labels, tests = np.r_[np.ones(defects, int), np.zeros(good, int)], 300
    held = [0, 0]
    for _ in range(tests):
        scores = np.r_[shift + spread * rng.normal(size=defects), rng.normal(size=good)]
        lower, upper = auroc_bounds(labels, scores)
        held[0] += lower <= true
        held[1] += true <= upper
    # 95% of 300 less 3 standard errors of the simulation itself
    assert min(held) >= 300 * 0.95 - 3 * math.sqrt(300 * 0.95 * 0.05)


def test_the_paired_interval_holds_19_times_in_20_and_is_narrower_than_unpaired():
    rng = np.random.default_rng(3)
    labels = np.r_[np.ones(40, int), np.zeros(80, int)]
    true = norm.cdf(1.5 / math.sqrt(2)) - norm.cdf(1.2 / math.sqrt(2 + 2 * 0.25))
    held = 0
    for _ in range(400):
        common = rng.normal(size=120)
        a = common + 1.5 * labels
        b = common + 1.2 * labels + 0.5 * rng.normal(size=120)
        got = paired_auroc_difference(labels, a, b)
        held += got.lower <= true <= got.upper
        back = paired_auroc_difference(labels, b, a)
        assert back.difference == pytest.approx(-got.difference, abs=1e-15)
    assert held >= 400 * 0.95 - 3 * math.sqrt(400 * 0.95 * 0.05)
    unpaired = paired_auroc_difference(labels, a, rng.permutation(common) + 1.2 * labels)
    assert got.standard_error < unpaired.standard_error


def test_two_perfect_models_are_not_proved_equal():
    labels, scores = [1] * 10 + [0] * 10, np.arange(20, 0, -1.0)
    same = paired_auroc_difference(labels, scores, scores)
    assert (same.difference, same.lower, same.upper) == (0, 0, 0)
    other = paired_auroc_difference(labels, scores, scores**2)
    assert other.difference == 0
    assert other.lower < -0.5 < 0.5 < other.upper
