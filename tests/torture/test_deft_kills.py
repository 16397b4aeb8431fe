"""The loop is killed before every single change of a file, and at random ones over and over: same files at the end."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from deft_loop_maker import bare_workspace, new_run, run_killed, standins, tree
from noescape.deft.log import read_log
from noescape.deft.loop import Loop
from noescape.deft.workspace import Workspace

pytestmark = pytest.mark.torture


@pytest.fixture(autouse=True)
def _stopped_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1750000000")


def plain(workspace: Workspace) -> dict[str, bytes]:
    place = str(workspace.root).encode()
    return {name: data.replace(place, b"W") for name, data in tree(workspace.root / "results").items()}


def wanted(folder: Path, **given: object) -> dict[str, bytes]:
    workspace = bare_workspace(folder)
    Loop(workspace=workspace, run=new_run(workspace, **given), stages=standins()).go()
    return plain(workspace)


def test_killed_before_every_change(tmp_path: Path) -> None:
    """One kill each, with a control arm; then the run is gone on with."""
    given = {"max_iterations": 1, "control": "random"}
    whole = wanted(tmp_path / "whole", **given)
    change = 1
    while True:
        workspace = bare_workspace(tmp_path / "w")
        run = new_run(workspace, **given)
        if not run_killed(workspace, run, change):
            break
        run_killed(workspace, run, None)
        assert plain(workspace) == whole, f"killed before change {change}"
        shutil.rmtree(tmp_path / "w")
        change += 1
    assert change > 200


@pytest.mark.parametrize("seed", range(10))
def test_killed_again_and_again(seed: int, tmp_path: Path) -> None:
    """At random changes until it is through: one ok line per stage, the same files."""
    rng = random.Random(seed)
    whole = wanted(tmp_path / "whole", max_iterations=2, control="random")
    workspace = bare_workspace(tmp_path / "w")
    run = new_run(workspace, max_iterations=2, control="random")
    kills = 0
    while run_killed(workspace, run, rng.randint(1, 120)):
        kills += 1
        assert kills < 500
    assert plain(workspace) == whole and kills
    done = [(line.iteration, line.stage) for line in read_log(run.log) if line.status == "ok"]
    assert len(done) == len(set(done)) == 16
