"""kill -9 of the engine or of a task at any moment, again and again: a resume ends with the same outputs.

What was finished is not run again, no process is left, and no journal is torn.
"""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import Any

from flow_killing import Server
from flow_maker import leftovers, sh, write_flow
from noescape.files import read_jsonl
from noescape.flow.engine.layout import RunFolder, list_runs
from noescape.flow.engine.state import read_state

MODES = ("seconds", "change", "start", "task")


def workflow(folder: Path) -> Path:
    """Two chains that meet, a group of server and client, uploads, and processes that flee into other sessions."""
    (folder / "data").mkdir()
    for index in range(10):
        (folder / "data" / f"{index}.txt").write_text(f"{index}\n" * 100)
    port = "{{output}}/../port"
    one = {"name": "read", "tasks": [
        sh("a", "for i in 0 1 2 3 4 5 6 7 8 9; do sort {{input:0}}/$i.txt > {{output}}/$i; done",
           inputs=[{"url": "data"}], lead=True)]}  # fmt: skip
    two = {"name": "slow", "tasks": [
        sh("b", "setsid sleep 300 & sleep 0.1; cat {{input:0}}/* > {{output}}/all",
           needs=["a"], lead=True)]}  # fmt: skip
    three = {"name": "pair", "tasks": [
        sh("server", f"echo up > {port}; while :; do sleep 0.02; done"),
        sh("client", "sleep 0.1; wc -l {{input:0}}/* | tail -1 > {{output}}/count",
           needs=["a"], lead=True)]}  # fmt: skip
    four = {"name": "last", "tasks": [
        sh("d", "cat {{input:0}}/all {{input:1}}/count > {{output}}/end", needs=["b", "client"], lead=True,
           outputs=[{"url": "out"}])]}  # fmt: skip
    return write_flow(folder, groups=[one, two, three, four], resources={"default": {"cpu": 1}})


def outputs(run: RunFolder) -> dict[str, str]:
    """Everything that the last tries made, and what was uploaded."""
    found = {}
    for name, task in read_state(run.journal).tasks.items():
        if task.last is not None and name != "server":
            folder = run.task(name, task.last.retry).output
            found |= {f"{name}/{p.name}": p.read_text() for p in folder.iterdir()}
    out = run.path.parent.parent / "out"
    return found | {f"out/{p.name}": p.read_text() for p in out.iterdir() if p.is_file()}


def check_journal(run: RunFolder) -> None:
    """Whole rows; a task of a group of one that was written down as completed never runs again."""
    finished: set[str] = set()
    for row in read_jsonl(run.journal):
        if row["event"] == "task":
            assert not (row["status"] == "RUNNING" and row["task"] in finished), f"{row['task']} ran again"
            if row["status"] == "COMPLETED" and row["task"] in "abd":
                finished.add(row["task"])
        if row["event"] == "group" and row["group"] == "pair" and row["status"] == "COMPLETED":
            finished |= {"server", "client"}
    assert read_state(run.journal).status == "COMPLETED"
    assert json.loads(run.status.read_text())["status"] == "COMPLETED"


def kill_flows(folder: Path, *, kills: int, seed: int) -> dict[str, int]:
    """Runs of the workflow, each killed two to five times, then ended; how many kills of each kind struck."""
    rng = random.Random(seed)
    struck = dict.fromkeys(MODES, 0)
    place = folder / "reference"
    with Server() as server:
        place.mkdir()
        workflow(place)
        answer = server.run(["flow", "run", "demo.yaml", "--runs-dir", "runs"], cwd=place)
        assert answer["code"] == 0, answer["text"]
        wanted = outputs(RunFolder(place / "runs" / "demo-1"))
        assert len(wanted) == 14
        while sum(struck.values()) < kills:
            place = folder / f"at-{sum(struck.values())}"
            place.mkdir()
            workflow(place)
            for _ in range(rng.randint(2, 5)):
                mode = rng.choice(MODES)
                struck[mode] += _strike(server, place, mode, rng)
            answer = server.run(_arguments(place), cwd=place)
            assert answer["code"] == 0, answer["text"]
            run = list_runs(place / "runs")[-1]
            assert outputs(run) == wanted
            check_journal(run)
            assert leftovers(run) == []
            shutil.rmtree(place)
    return struck


def _strike(server: Server, place: Path, mode: str, rng: random.Random) -> bool:
    """One pass with one kill; whether it struck."""
    moment: dict[str, Any] = {
        "seconds": {"seconds": rng.uniform(0, 0.6)},
        "change": {"change": rng.randint(1, 120)},
        "start": {"start": rng.randint(1, 5)},
        "task": {"task": rng.uniform(0.05, 0.4), "seed": rng.randrange(1000)},
    }[mode]
    answer = server.run(_arguments(place), cwd=place, **moment)
    return bool(answer["killed"])


def _arguments(place: Path) -> list[str]:
    """Go on with the run there is, or begin one."""
    runs = list_runs(place / "runs")
    if runs:
        return ["flow", "resume", runs[-1].id, "--runs-dir", "runs"]
    return ["flow", "run", "demo.yaml", "--runs-dir", "runs"]


def test_killed_flows_end_with_the_same_outputs(tmp_path: Path) -> None:
    """20 kills at seeded moments, of every kind."""
    struck = kill_flows(tmp_path, kills=20, seed=3)
    assert all(struck.values()), struck
