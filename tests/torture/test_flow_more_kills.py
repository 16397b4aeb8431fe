"""The promise of tests/test_flow_kills.py, over many more kills."""

from __future__ import annotations

from pathlib import Path

import pytest

from test_flow_kills import kill_flows

pytestmark = pytest.mark.torture


@pytest.mark.parametrize("seed", range(100, 110))
def test_flows_survive_hundreds_of_kills(tmp_path: Path, seed: int) -> None:
    """25 kills per seed, 250 in all."""
    assert sum(kill_flows(tmp_path, kills=25, seed=seed).values()) >= 25
