"""The rule of tuning: thresholds that n can carry, and what they prove."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noescape.anomaly.thresholds import GoodScores
from noescape.anomaly.tune import parse_share
from noescape.anomaly.tune_rule import Rule, apply_rule, proof, smallest_threshold
from noescape.metrics import upper_bound
from noescape.records import UsageError

TINY = {"image_threshold": 5.0, "pixel_threshold": 4.0, "map_scale": [3.75, 5.5], "review_band": None}


@given(st.lists(st.integers(0, 20), min_size=1, max_size=40), st.fractions(Fraction(1, 200), Fraction(199, 200)))
def test_the_threshold_is_the_smallest_that_keeps_the_share(scores: list[int], target: Fraction) -> None:
    """At most that share lies strictly over it, and over any smaller number lies more."""
    values = np.array(scores, np.float64)
    found = smallest_threshold(values, target)
    assert Fraction(int((values > found).sum()), len(values)) <= target
    below = np.nextafter(found, -np.inf)
    assert Fraction(int((values > below).sum()), len(values)) > target


@pytest.mark.parametrize(("text", "share"), [("1%", Fraction(1, 100)), ("0.01", Fraction(1, 100)), (" .5 % ", "1/200")])
def test_a_share_is_read_exactly(text: str, share: Any) -> None:
    assert parse_share(text) == Fraction(share)


@pytest.mark.parametrize("text", ["0", "1", "100%", "-1%", "two", "", "%", "1/0", "nan"])
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="expected a share like 1% or"):
        parse_share(text)


def test_no_false_alarm_in_forty_proves_seven_percent_not_one() -> None:
    limits = TINY | {"good_scores": [1.0] * 40}
    said = proof(limits, Fraction(1, 100))
    assert "0 of 40" in said["text"] and "at most 7.22%" in said["text"]
    assert "not that it is under 1%: that takes 299 good images without one over it" in said["text"]
    assert said["upper"] == pytest.approx(0.0722, abs=1e-4)
    assert "under the 10% asked for" in proof(limits, Fraction(1, 10))["text"]


def test_the_bound_holds_for_a_threshold_chosen_on_the_same_scores() -> None:
    """Scores are uniform, so a threshold t stops 1 - t of good parts: the stated bound is under that in <= 5%."""
    rng, wrong = np.random.default_rng(3), 0
    for _ in range(2000):
        scores = rng.uniform(size=60)
        threshold = smallest_threshold(scores, Fraction(5, 100))
        wrong += 1 - threshold > upper_bound(int((scores > threshold).sum()), 60)
    assert 0.03 < wrong / 2000 < 0.065


def _rule(**fields: Any) -> Rule:
    return Rule(**({"image_percentile": 99.5, "pixel_percentile": 99.9} | fields))


def _new(image: list[float], pixels: list[float]) -> GoodScores:
    return GoodScores(image=np.array(image), pixels=np.array(pixels, np.float32))


def test_old_scores_count_only_when_asked() -> None:
    old = TINY | {"good_scores": [1.0, 2.0, 9.0]}
    new = _new([3.0, 4.0], [1.0, 2.0])
    alone = apply_rule(old, new, _rule(target=Fraction(1, 100)))
    both = apply_rule(old, new, _rule(target=Fraction(1, 100), keep_old=True))
    assert (alone["image_threshold"], alone["n_good"], alone["good_scores"]) == (4.0, 2, [3.0, 4.0])
    assert (both["image_threshold"], both["n_good"], both["tuned"]["old_scores_counted"]) == (9.0, 5, 3)
    assert both["pixel_threshold"] == 4.0 and both["map_scale"] == old["map_scale"], "the larger one stays"
    assert alone["pixel_threshold"] < 2.0


def test_values_by_hand_change_nothing_else() -> None:
    old = TINY | {"good_scores": [1.0, 2.0], "source": "heldout", "n_good": 2, "image_threshold_train": 3.0}
    out = apply_rule(old, None, _rule(image=7.5))
    assert {k for k in old if out[k] != old[k]} == {"image_threshold", "source"}
    out = apply_rule(old, None, _rule(pixel=6.0, band=(9.0, 8.0)))
    assert out["image_threshold"] == 5.0 and out["pixel_threshold"] == 6.0 and out["review_band"] == [8.0, 9.0]
    # The median good pixel score was 3: the scale begins a quarter of the way below the threshold, as in fitting.
    assert out["map_scale"] == pytest.approx([6 - 0.25 * 3, 6 + 1.5 * 3])
    assert (
        apply_rule(old, None, _rule(pixel=1.0))["map_scale"][0]
        < apply_rule(old, None, _rule(pixel=1.0))["map_scale"][1]
    )
