"""Thousands of broken workflows: `load` answers each with problems, none with an exception."""

from __future__ import annotations

from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flow_fuzz import KEYS, PIECES, check_text, check_values, values

ANY = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@settings(max_examples=3000, suppress_health_check=ANY)
@given(st.lists(PIECES, max_size=40), st.sampled_from(["local", "osmo"]))
def test_whatever_the_text_there_are_only_problems(tmp_path: Path, pieces: list[str], target: str) -> None:
    check_text(tmp_path, pieces, target)  # type: ignore[arg-type]


@settings(max_examples=3000, suppress_health_check=ANY)
@given(st.dictionaries(KEYS, values()), values())
def test_whatever_the_values_there_are_only_problems(
    tmp_path: Path, workflow: dict[str, object], inside: object
) -> None:
    check_values(tmp_path, workflow, inside)
