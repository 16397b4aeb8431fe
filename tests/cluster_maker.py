"""Put the stand-in `osmo` where tests find it, tell it what to do, and ask what it was called with."""

from __future__ import annotations

import json
import os
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

from noescape.flow.cluster.osmo import Osmo

HERE = Path(__file__).resolve().parent
FLOW = """\
workflow:
  name: {{ name }}
  tasks:
  - name: prep
    image: python:3.11
    command: [sh, -c]
    args: ["echo {{ data }} > {{output}}/a.txt"]
  - name: train
    image: python:3.11
    command: [sh, -c]
    args: ["cat {{input:0}}/a.txt > {{output}}/b.txt"]
    inputs:
    - task: prep
    outputs:
    - url: s3://bucket/runs/{{workflow_id}}
default-values:
  data: hello
"""


class Cluster:
    """A stand-in in a folder. `script` keys are told in `standin_world.World`."""

    def __init__(self, folder: Path, **script: Any) -> None:
        self.home = folder / "cluster"
        self.home.mkdir()
        program = folder / "osmo"
        path = os.pathsep.join(filter(None, [str(HERE), os.environ.get("PYTHONPATH")]))
        program.write_text(
            f"#!/bin/sh\nSTANDIN_OSMO={shlex.quote(str(self.home))} PYTHONPATH={shlex.quote(path)} "
            f'exec {shlex.quote(sys.executable)} {shlex.quote(str(HERE / "standin_osmo.py"))} "$@"\n',
            "utf-8",
        )
        program.chmod(0o755)
        self.program = program
        self.tell(**script)

    @property
    def osmo(self) -> Osmo:
        return Osmo(command=str(self.program), timeout_s=30)

    def tell(self, **script: Any) -> None:
        """What shall happen from now on."""
        (self.home / "script.json").write_text(json.dumps(script), "utf-8")
        (self.home / "faults.json").unlink(missing_ok=True)

    def calls(self, *command: str) -> list[list[str]]:
        """Every call so far that began with these words."""
        path = self.home / "calls.jsonl"
        rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []
        return [row for row in rows if row[: len(command)] == list(command)]

    def put(self, url: str, text: str) -> None:
        """An object of the cluster's storage."""
        path = self.home / "store" / url.replace("://", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")

    def run(self, folder: Path, name: str = "demo") -> str:
        """A run of FLOW; its id."""
        file = folder / "flow.yaml"
        file.write_text(FLOW, "utf-8")
        answer = self.osmo.submit(file, pool="gpu", sets=[f"name={name}"])
        assert answer.id is not None
        return answer.id


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """One that noescape finds by itself."""
    made = Cluster(tmp_path)
    monkeypatch.setenv("NOESCAPE_OSMO", str(made.program))
    return made


def local_run(runs: Path, run_id: str, tasks: dict[str, Any], *, status: str = "RUNNING", **facts: Any) -> Path:
    """A run folder as the engine leaves it: `tasks` are a status, or the keys of a row of the query."""
    folder = runs / run_id
    (folder / "tasks").mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_text(json.dumps({"flow": "flow", **facts}), "utf-8")
    say_status(folder, tasks, status=status)
    return folder


def say_status(folder: Path, tasks: dict[str, Any], *, status: str = "RUNNING") -> None:
    """Write status.json, by rename as the engine does."""
    part = folder / ".status.part"
    part.write_text(json.dumps(query_of(folder.name, tasks, status=status)), "utf-8")
    part.replace(folder / "status.json")


def query_of(run_id: str, tasks: dict[str, Any], *, status: str = "RUNNING", **more: Any) -> dict[str, Any]:
    """A query JSON with a group of one for each task."""
    rows = {name: told if isinstance(told, dict) else {"status": told} for name, told in tasks.items()}
    groups = [
        {"name": f"{name}-group", "status": row["status"], "tasks": [{"name": name, "retry_id": 0, **row}]}
        for name, row in rows.items()
    ]
    return {"name": run_id, "status": status, "groups": groups, **more}
