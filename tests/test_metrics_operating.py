"""Promises of operating points: counts and rates at a threshold, and thresholds for a recall."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noescape.metrics import false_alarm_at_recall, operating_point, rate, threshold_at_recall

tied = st.lists(st.tuples(st.integers(0, 1), st.integers(-5, 5)), max_size=40)
real = st.lists(st.tuples(st.integers(0, 1), st.floats(-1e12, 1e12)), max_size=40)
singles = st.lists(st.tuples(st.integers(0, 1), st.floats(-1e6, 1e6, width=32)), max_size=40)
recalls = st.one_of(st.sampled_from([1.0, 0.99, 0.95, 0.5, 1 / 3, 0.1, 0.3, 0.7]), st.floats(1e-6, 1))


def split(cases):
    return np.array([c[0] for c in cases], dtype=int), np.array([c[1] for c in cases], dtype=float)


def test_the_four_counts_and_their_rates_by_hand():
    labels = [1, 1, 1, 0, 0, 0, 0, 0]
    scores = [9, 5, 2, 8, 5, 4, 3, 1]
    at = operating_point(labels, scores, 4)
    assert (at.tp, at.fn, at.fp, at.tn) == (2, 1, 2, 3)
    assert at.false_alarm_rate == rate(2, 5)
    assert at.miss_rate == rate(1, 3)
    assert at.escape_rate == rate(1, 4)
    assert at.precision == rate(2, 4)
    assert at.detected == rate(2, 3)


def test_a_score_equal_to_the_threshold_is_ok_not_ng():
    at = operating_point([0, 1], [0.5, 0.5], 0.5)
    assert (at.tn, at.fn) == (1, 1)


def test_infinite_thresholds_pass_or_stop_everything_and_nan_is_refused():
    assert operating_point([0, 1], [1, 2], math.inf).fn == 1
    assert operating_point([0, 1], [1, 2], -math.inf).fp == 1
    with pytest.raises(ValueError, match="NaN"):
        operating_point([0, 1], [1, 2], math.nan)
    with pytest.raises(ValueError, match="score 0"):
        operating_point([0, 1], [math.nan, 2], 1)


def test_rates_without_cases_have_no_value():
    at = operating_point([], [], 0.5)
    assert at.false_alarm_rate.value is None
    assert at.precision == rate(0, 0)


@given(st.one_of(tied, real), st.floats(-10, 10))
def test_counts_agree_with_a_plain_loop(cases, threshold):
    labels, scores = split(cases)
    at = operating_point(labels, scores, threshold)
    counts = {"tp": 0, "fp": 0, "tn": 0, "fn": 0}
    for label, score in cases:
        counts[("t" if (score > threshold) == bool(label) else "f") + ("p" if score > threshold else "n")] += 1
    assert counts == {"tp": at.tp, "fp": at.fp, "tn": at.tn, "fn": at.fn}


@given(st.one_of(tied, real, singles), recalls)
def test_the_threshold_reaches_its_recall_and_no_higher_one_does(cases, recall):
    labels, scores = split(cases)
    defects = scores[labels == 1]
    if not len(defects):
        with pytest.raises(ValueError, match="at least one defect"):
            threshold_at_recall(labels, scores, recall)
        return
    t = threshold_at_recall(labels, scores, recall)
    assert np.mean(defects > t) >= recall
    following = min(s for s in scores if s > t)
    assert np.mean(defects > following) < recall
    assert math.isfinite(t)


@given(singles, recalls)
def test_float32_scores_are_judged_alike_in_float32(cases, recall):
    labels, scores = split(cases)
    if labels.any():
        t = threshold_at_recall(labels, scores, recall)
        assert float(np.float32(t)) == t
        assert np.array_equal(scores.astype(np.float32) > t, scores > t)


def test_at_full_recall_it_lies_just_below_the_lowest_defect():
    assert threshold_at_recall([0, 1, 1], [0.1, 0.2, 0.3], 1.0) == np.nextafter(0.2, -1)
    assert threshold_at_recall([0, 1, 1], [1.0, 2.0, 3.0], 1.0) == np.nextafter(np.float32(2), np.float32(0))


@pytest.mark.parametrize("n", [20, 40, 60, 100, 1000])
@pytest.mark.parametrize("misses", [1, 2, 3])
def test_19_of_20_is_95_percent_whatever_the_rounding(n, misses):
    share = (n - misses) / n
    scores = np.arange(n, dtype=float)
    assert int((scores > threshold_at_recall([1] * n, scores, share)).sum()) == n - misses
    assert int((scores > threshold_at_recall([1] * 20, scores[:20], 0.95))[:20].sum()) == 19


def test_good_parts_tied_with_the_last_defect_are_false_alarms():
    (at,) = false_alarm_at_recall([0, 0, 0, 1, 1], [1.0, 2.0, 2.0, 2.0, 3.0], [1.0])
    assert at.false_alarm_rate == rate(2, 3)
    assert at.miss_rate == rate(0, 2)


@given(st.one_of(tied, real))
def test_less_recall_never_costs_more_good_parts(cases):
    labels, scores = split(cases)
    points = false_alarm_at_recall(labels, scores)
    if not labels.any():
        assert points == []
        return
    assert [p.recall for p in points] == [1.0, 0.99, 0.95]
    alarms = [p.false_alarm_rate.events for p in points]
    assert alarms == sorted(alarms, reverse=True)
    assert all(1 - p.miss_rate.value >= p.recall - 1e-12 for p in points)


@pytest.mark.parametrize("recall", [0, -0.1, 1.01, math.nan])
def test_impossible_recalls_are_refused(recall):
    with pytest.raises(ValueError, match="recall"):
        threshold_at_recall([1], [1.0], recall)
