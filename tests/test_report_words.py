"""Numbers in the report are honest: bounds round against us, zero is not proof, names cannot disguise themselves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noescape.report.words import count_word, decimals_for, number, percent, rate_text, signed, visible


@pytest.mark.parametrize(
    ("value", "towards", "text"),
    [
        (0.0, "nearest", "0%"),
        (1.0, "nearest", "100%"),
        (0.0213, "nearest", "2.1%"),
        (0.99996, "nearest", "99.9960%"),
        (0.00099, "nearest", "0.099%"),
        (0.0211, "up", "2.2%"),
        (0.0219, "down", "2.1%"),
        (0.05, "up", "5.0%"),
    ],
)
def test_percent_keeps_the_digits_that_matter(value: float, towards: str, text: str) -> None:
    assert percent(value, towards) == text


@given(st.floats(0, 1))
def test_an_upper_bound_is_never_printed_smaller_than_it_is(value: float) -> None:
    assert float(percent(value, "up").rstrip("%")) >= 100 * value - 1e-6


@given(st.floats(1e-6, 1 - 1e-6))
def test_what_is_not_all_or_nothing_is_not_printed_as_such(value: float) -> None:
    assert percent(value) not in ("0%", "100%", "100.0%")


def test_zero_of_n_is_refused_as_proof_of_more_than_n_carries() -> None:
    few = rate_text({"value": 0.0, "events": 0, "n": 2994, "lower": 0.0, "upper": 0.0010002}, "good part")
    enough = rate_text({"value": 0.0, "events": 0, "n": 2995, "lower": 0.0, "upper": 0.00099975}, "good part")
    assert few is not None and "“below 0.1%” needs 2,995 good parts" in few.claim
    assert enough is not None and "2,995 good parts" not in enough.claim
    assert "29,956" in enough.claim


def test_a_rate_without_cases_has_no_value() -> None:
    text = rate_text({"value": None, "events": 0, "n": 0, "lower": 0, "upper": 1}, "defective part")
    assert text is not None
    assert text.value == "–"
    assert "no defective parts" in text.count


@pytest.mark.parametrize("record", [{}, {"events": "3", "n": 4}, {"events": 1, "n": float("nan")}])
def test_a_broken_rate_record_gives_no_text(record: dict[str, object]) -> None:
    assert rate_text(record, "good part") is None


@pytest.mark.parametrize("char", ["\u202e", "\u2066", "\x00", "\n", "\x1b", "\u2028", "\ufeff", "\ud800", "\x7f"])
def test_characters_that_disguise_a_name_are_spelled_out(char: str) -> None:
    shown = visible(f"a{char}b")
    assert char not in shown
    assert f"\\u{ord(char):04x}" in shown
    shown.encode("utf-8")


@pytest.mark.parametrize("name", ["täglich/Müller 1.png", "检测/图像.png", "صورة.png", "👩‍🏭.png", "a b'c\"d.png"])
def test_honest_names_of_any_script_are_shown_as_they_are(name: str) -> None:
    assert visible(name) == name


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=5))
def test_decimals_stay_in_a_readable_range(scores: list[float]) -> None:
    assert 0 <= decimals_for(scores) <= 6


def test_a_margin_that_is_not_zero_never_reads_as_zero() -> None:
    assert signed(0.0, 2) == "0.00"
    assert signed(0.0004, 2) == "+4.0e-04"
    assert number(-1.5, 1) == "−1.5"
    assert count_word(1, "image") == "1 image"
    assert count_word(2995, "image") == "2,995 images"
