"""Promises of the exact bounds: what n cases can prove, and how it is said."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import betainc
from scipy.stats import beta, binom

from noescape.metrics import cases_needed, claim, rate
from noescape.metrics.bounds import incomplete_beta, lower_bound, percent, upper_bound


def scipy_bounds(k, n):
    lower = float(beta.ppf(0.05, k, n - k + 1)) if k else 0.0
    upper = float(beta.ppf(0.95, k + 1, n - k)) if k < n else 1.0
    return lower, upper


@pytest.mark.parametrize("n", [1, 2, 3, 10, 29, 240, 2995, 50_000, 1_000_000])
def test_bounds_agree_with_scipy_to_1e_10(n):
    for k in sorted({0, 1, 2, n // 1000, n // 100, n // 10, n // 3, n // 2, n - n // 10, n - 2, n - 1, n}):
        if not 0 <= k <= n:
            continue
        got = rate(k, n)
        assert (got.lower, got.upper) == pytest.approx(scipy_bounds(k, n), abs=1e-10)


@given(st.integers(1, 5000), st.floats(0, 1))
@settings(max_examples=200)
def test_bounds_agree_with_scipy_anywhere(n, share):
    k = round(share * n)
    got = rate(k, n)
    assert (got.lower, got.upper) == pytest.approx(scipy_bounds(k, n), abs=1e-10)
    assert got.lower <= k / n <= got.upper
    assert rate(n - k, n).lower == pytest.approx(1 - got.upper, abs=1e-12)


@given(st.floats(0.5, 2000), st.floats(0.5, 2000), st.floats(0, 1))
@settings(max_examples=200)
def test_incomplete_beta_agrees_with_scipy(a, b, x):
    assert incomplete_beta(a, b, x) == pytest.approx(float(betainc(a, b, x)), abs=1e-11)


@pytest.mark.parametrize("n", [1, 5, 29, 240, 1000])
def test_whatever_the_true_rate_the_bound_holds_19_times_in_20(n):
    """Coverage computed exactly, over every possible outcome, not simulated."""
    outcomes = np.arange(n + 1)
    lower = np.array([lower_bound(int(k), n) for k in outcomes])
    upper = np.array([upper_bound(int(k), n) for k in outcomes])
    for true in [*np.linspace(0, 1, 101), 0.001, 0.0001, 0.999]:
        chances = binom.pmf(outcomes, n, true)
        assert chances[true <= upper].sum() >= 0.95 - 1e-9
        assert chances[true >= lower].sum() >= 0.95 - 1e-9


def test_without_cases_nothing_is_known():
    nothing = rate(0, 0)
    assert (nothing.value, nothing.lower, nothing.upper) == (None, 0.0, 1.0)


@pytest.mark.parametrize(("events", "n"), [(-1, 5), (6, 5), (1, 0)])
def test_impossible_counts_are_refused(events, n):
    with pytest.raises(ValueError, match="0 <= events <= n"):
        rate(events, n)


def test_fractions_of_events_are_refused():
    with pytest.raises(TypeError):
        rate(1.5, 10)
    assert rate(np.int64(1), np.int32(10)).events == 1


@pytest.mark.parametrize(("target", "needed"), [(0.001, 2995), (0.0001, 29956), (0.01, 299), (0.5, 5), (0.95, 2)])
def test_cases_needed_without_an_event(target, needed):
    assert cases_needed(target) == needed
    assert upper_bound(0, needed) < target <= upper_bound(0, needed - 1)


@given(st.integers(0, 20), st.floats(1e-4, 0.9))
@settings(max_examples=50)
def test_cases_needed_is_the_smallest_that_proves(events, target):
    n = cases_needed(target, events=events)
    assert upper_bound(events, n) < target
    assert n - 1 <= events or upper_bound(events, n - 1) >= target


def test_more_confidence_needs_more_cases():
    assert cases_needed(0.01, 0.99) == 459
    for bad in (0, 1, -0.1, float("nan")):
        with pytest.raises(ValueError, match="target"):
            cases_needed(bad)
        with pytest.raises(ValueError, match="confidence"):
            cases_needed(0.1, bad)
    with pytest.raises(ValueError, match="events"):
        cases_needed(0.1, events=-1)


def test_too_few_cases_are_told_how_many_it_takes():
    got = claim(rate(0, 240), 0.001)
    assert (got.met, got.proved) == (True, False)
    assert got.text == (
        "false alarm rate 0 of 240 (at most 1.24% with 95% confidence): "
        "cannot prove < 0.1%, that needs 2,995 good parts without a false alarm"
    )


def test_one_part_decides_whether_it_is_proved():
    assert not claim(rate(0, 2994), 0.001).proved
    proved = claim(rate(0, 2995), 0.001)
    assert proved.proved
    assert proved.met
    assert proved.text == "false alarm rate 0 of 2,995 (at most 0.09997% with 95% confidence): proves < 0.1%"


def test_a_missed_target_is_said_so():
    near, far = claim(rate(1, 240), 0.001), claim(rate(30, 240), 0.001)
    assert not near.met
    assert near.text.endswith("does not meet < 0.1%")
    assert far.text.endswith("does not meet < 0.1%, surely not (at least 9.14%)")


def test_a_rate_equal_to_the_target_is_not_under_it():
    got = claim(rate(1, 1000), 0.001)
    assert not got.met
    assert not got.proved


def test_claims_speak_of_the_events_that_were_seen():
    one = claim(rate(1, 4000), 0.001).text
    three = claim(rate(3, 4000), 0.001).text
    assert one.endswith("cannot prove < 0.1%, that needs 4,742 good parts with no more than 1 false alarm")
    assert three.endswith("cannot prove < 0.1%, that needs 7,752 good parts with no more than 3 false alarms")
    named = {"name": "escape rate", "cases": "passed parts", "event": "escape", "events": "escapes"}
    assert claim(rate(0, 10), 0.01, **named).text.endswith("299 passed parts without an escape")
    assert claim(rate(0, 0), 0.01, **named).text.startswith("escape rate: no passed parts were tested: cannot prove")


@given(st.integers(0, 50), st.integers(0, 5000), st.sampled_from([0.5, 0.1, 0.01, 0.001, 0.0001]))
def test_proved_claims_are_met_and_agree_with_the_bound(events, more, target):
    got = claim(rate(events, events + more), target)
    assert got.proved == (rate(events, events + more).upper < target)
    assert got.met or not got.proved
    assert ("proves <" in got.text) == got.proved


@pytest.mark.parametrize(
    ("share", "text"), [(0, "0%"), (1, "100%"), (0.0124, "1.24%"), (1e-6, "0.0001%"), (1.234e-9, "0.000000123%")]
)
def test_percent_never_uses_an_exponent(share, text):
    assert percent(share) == text
