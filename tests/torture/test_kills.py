"""The promise of tests/test_files_kills.py, over many more kills."""

from __future__ import annotations

from pathlib import Path

import pytest

from test_files_kills import kill_appenders, kill_writers

pytestmark = pytest.mark.torture


def test_hundreds_of_killed_writers_leave_whole_files(tmp_path: Path) -> None:
    kill_writers(tmp_path, kills=300, seed=11)


def test_hundreds_of_killed_appenders_lose_at_most_the_last_row(tmp_path: Path) -> None:
    kill_appenders(tmp_path, kills=100, seed=12)
