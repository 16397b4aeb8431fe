"""The promises of tests/test_anomaly_kills.py, before every single change of a file and at many random moments."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import killing
import room_maker
from test_anomaly_kills import check_kills, fit_command, moments_of

pytestmark = pytest.mark.torture


@pytest.fixture(scope="module")
def server() -> Iterator[killing.Server]:
    with killing.Server() as one:
        yield one


@pytest.mark.parametrize("name", ["patchcore", "padim"])
def test_a_fit_killed_before_each_change_of_a_file(name: str, server: killing.Server, tmp_path: Path) -> None:
    command, run = fit_command(tmp_path, name)
    first = server.run(command, watch=run)
    moments = [{"change": n} for n in range(1, first["changes"] + 1)]
    assert check_kills(server, command, run, moments) >= len(moments) - 2


@pytest.mark.parametrize("name", ["patchcore", "padim"])
def test_a_fit_killed_at_random_moments(name: str, server: killing.Server, tmp_path: Path) -> None:
    command, run = fit_command(tmp_path, name)
    assert check_kills(server, command, run, moments_of(server, command, run, 40, seed=11)) >= 30


def test_an_inspection_killed_before_each_change_and_at_random(server: killing.Server, tmp_path: Path) -> None:
    command, run = fit_command(tmp_path, "patchcore")
    assert server.run(command, watch=run)["code"] == 0
    images = room_maker.parts(tmp_path / "new", train=0, good=5, blot=5) / "test"
    out = tmp_path / "out"
    look = ["inspect", "--input-dir", str(images), "--model-dir", str(run), "--output-dir", str(out)]
    whole = server.run(look, watch=out)
    moments: list[dict[str, Any]] = [{"change": n} for n in range(1, whole["changes"] + 1)]
    moments += moments_of(server, look, out, 40, seed=12)
    assert check_kills(server, look, out, moments) >= len(moments) - 15


def test_one_inspection_killed_forty_times_over(server: killing.Server, tmp_path: Path) -> None:
    """Fit, then inspect, each attempt killed a few changes after it began, until it is done."""
    command, run = fit_command(tmp_path, "padim")
    assert server.run(command, watch=run)["code"] == 0
    images = room_maker.parts(tmp_path / "new", train=0, good=20, blot=20) / "test"
    out = tmp_path / "out"
    look = ["inspect", "--input-dir", str(images), "--model-dir", str(run), "--output-dir", str(out)]
    assert check_kills(server, look, out, [{"change": 9 + n % 5} for n in range(40)], chain=True) >= 30
