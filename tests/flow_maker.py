"""Small workflows of shell commands, run by the local engine in this process."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from noescape.files import dump_yaml
from noescape.flow.engine.layout import RunFolder, TaskFolder
from noescape.flow.engine.process import kill_marked
from noescape.flow.engine.run import Outcome, reload, run, work
from noescape.flow.engine.state import RunState, read_state
from noescape.flow.format.load import load, require
from noescape.flow.machine import Machine
from noescape.flow.secrets.credentials import Credentials

MACHINE = Machine(cpus=4, memory=8 << 30)


def sh(name: str, script: str, *, needs: list[str] | None = None, **more: Any) -> dict[str, Any]:
    """A task that runs a shell script; `needs` are upstream tasks."""
    task: dict[str, Any] = {"name": name, "image": "none", "command": ["sh", "-ec", script]}
    inputs = [{"task": other} for other in needs or []]
    return task | ({"inputs": inputs} if inputs else {}) | more


def write_flow(folder: Path, *tasks: dict[str, Any], name: str = "demo", **workflow: Any) -> Path:
    """A workflow file of tasks (or of `groups=[…]`)."""
    body: dict[str, Any] = {"name": name, **workflow} | ({"tasks": list(tasks)} if tasks else {})
    path = folder / f"{name}.yaml"
    path.write_text(dump_yaml({"workflow": body}), "utf-8")
    return path


class Bench:
    """A folder with a workflow, and what came of running it."""

    def __init__(self, folder: Path, *, machine: Machine = MACHINE, env: dict[str, str] | None = None) -> None:
        self.folder, self.machine = folder, machine
        self.credentials = Credentials(env or {}, where="the test")
        self.storage_secrets: dict[str, dict[str, str]] = {}
        self.events: list[dict[str, Any]] = []
        self.runs = folder / "runs"
        self.outcome: Outcome | None = None

    def run(self, *tasks: dict[str, Any], path: Path | None = None, **workflow: Any) -> Outcome:
        """Write the workflow and run it."""
        options = {key: workflow.pop(key) for key in ("max_retries", "grace_s", "environ") if key in workflow}
        path = path or write_flow(self.folder, *tasks, **workflow)
        options.setdefault("grace_s", 2.0)
        self.outcome = run(
            load(path), runs=self.runs, base=self.folder, machine=self.machine, credentials=self.credentials,
            on_event=self.events.append, storage_secrets=self.storage_secrets, **options,
        )  # fmt: skip
        return self.outcome

    def resume(self, *, accept_version: bool = False, sets: tuple[str, ...] = ()) -> Outcome:
        """Go on with the last run."""
        self.events.clear()
        self.outcome = work(
            self.place, require(reload(self.place, sets=sets)), machine=self.machine, credentials=self.credentials,
            accept_version=accept_version, on_event=self.events.append, grace_s=2.0,
            storage_secrets=self.storage_secrets,
        )  # fmt: skip
        return self.outcome

    @property
    def place(self) -> RunFolder:
        """The last run's folder."""
        if self.outcome is not None:
            return RunFolder(self.outcome.run)
        return RunFolder(sorted(p for p in self.runs.iterdir() if p.is_dir())[-1].absolute())

    @property
    def state(self) -> RunState:
        """How the last run stands, from its journal."""
        return read_state(self.place.journal)

    def task(self, name: str) -> TaskFolder:
        """The folder of the last try."""
        last = self.state.tasks[name].last
        assert last is not None, f"{name} was never tried"
        return self.place.task(name, last.retry)

    def status(self, name: str) -> str:
        """Of a task."""
        return self.state.status_of(self.state.tasks[name]).value

    def code(self, name: str) -> int | None:
        """Exit code of a task."""
        return self.state.code_of(self.state.tasks[name])

    def message(self, name: str) -> str:
        """Why it failed."""
        last = self.state.tasks[name].last
        return last.message if last else ""

    def log(self, name: str) -> str:
        """What it said."""
        return self.task(name).log.read_text("utf-8", "replace")

    def ran(self) -> list[str]:
        """Tasks whose command was started since the last start of the engine, in order."""
        return [e["task"] for e in self.events if e["event"] == "task" and e["status"] == "RUNNING"]

    def made(self) -> dict[str, str]:
        """Every output of every task, by task and path."""
        found = {}
        for name, task in self.state.tasks.items():
            if task.last is None:
                continue
            output = self.task(name).output
            for path in sorted(output.rglob("*")):
                if path.is_file():
                    found[f"{name}/{path.relative_to(output)}"] = path.read_text("utf-8", "replace")
        return found


def processes_with(text: str) -> list[int]:
    """Living processes whose environment or command line holds `text` (not this one)."""
    found = []
    for place in Path("/proc").glob("[1-9]*"):
        if int(place.name) == os.getpid():
            continue
        try:
            if (place / "stat").read_bytes().rpartition(b")")[2].split()[0] == b"Z":
                continue
            words = (place / "environ").read_bytes() + (place / "cmdline").read_bytes()
        except OSError:
            continue
        if text.encode() in words:
            found.append(int(place.name))
    return found


def leftovers(run: RunFolder) -> list[int]:
    """Processes of a run that are still there."""
    token = json.loads(run.facts.read_text("utf-8"))["token"]
    return processes_with(token)


__all__ = ["MACHINE", "Bench", "kill_marked", "leftovers", "processes_with", "sh", "write_flow"]
