"""Where everything of a run lies; see the folder drawing in each class."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from noescape.files import read_json_object, write_json
from noescape.records import UsageError, WorkError

DEFAULT_RUNS = "flow-runs"
_RUN_ID = re.compile(r"(?P<name>.+)-(?P<number>\d+)")


@dataclass(frozen=True)
class TaskFolder:
    """One try of one task.

    tasks/<task>/<retry_id>/{input/<N>/, output/, files/, work/, log.txt, outputs.jsonl}
    """

    path: Path

    def input(self, index: int) -> Path:
        """Contents of input number `index`."""
        return self.path / "input" / str(index)

    @cached_property
    def output(self) -> Path:
        """What the task makes."""
        return self.path / "output"

    @cached_property
    def files(self) -> Path:
        """Files, credentials and checkpoints that the workflow names by absolute paths of a container."""
        return self.path / "files"

    @cached_property
    def work(self) -> Path:
        """The current directory of the command."""
        return self.path / "work"

    @cached_property
    def log(self) -> Path:
        """Standard output and standard error, in the order they came."""
        return self.path / "log.txt"

    @cached_property
    def manifest(self) -> Path:
        """What lay in `output` when the task ended: a row a file (absent: nothing)."""
        return self.path / "outputs.jsonl"


@dataclass(frozen=True)
class RunFolder:
    """One run.

    <runs>/<name>-<n>/{run.json, source.yaml, workflow.yaml, journal.jsonl, status.json, engine.lock, engine.log,
    cancel, tasks/}
    """

    path: Path

    @cached_property
    def id(self) -> str:
        """`<name>-<n>`, which is {{workflow_id}}."""
        return self.path.name

    @cached_property
    def facts(self) -> Path:
        """What was asked for, written once."""
        return self.path / "run.json"

    @cached_property
    def source(self) -> Path:
        """The workflow file as given."""
        return self.path / "source.yaml"

    @cached_property
    def workflow(self) -> Path:
        """The workflow as rendered, with its tokens."""
        return self.path / "workflow.yaml"

    @cached_property
    def journal(self) -> Path:
        """Every event, the one truth."""
        return self.path / "journal.jsonl"

    @cached_property
    def status(self) -> Path:
        """The query JSON, derived."""
        return self.path / "status.json"

    @cached_property
    def lock(self) -> Path:
        """Locked while an engine works; holds its process id."""
        return self.path / "engine.lock"

    @cached_property
    def log(self) -> Path:
        """Notices of the engine."""
        return self.path / "engine.log"

    @cached_property
    def cancel(self) -> Path:
        """There when somebody asked for an end; holds the reason."""
        return self.path / "cancel"

    def task(self, name: str, retry: int) -> TaskFolder:
        """The folder of one try."""
        return TaskFolder(self.path / "tasks" / name / str(retry))

    def read_facts(self) -> dict[str, Any]:
        """run.json; WorkError when it is not there or broken."""
        return read_json_object(self.facts, "what the run was started with", error=WorkError)


def reserve(runs: Path, name: str) -> RunFolder:
    """A new folder `<name>-<n>` with the next free number; two at once get two numbers."""
    try:
        runs.mkdir(parents=True, exist_ok=True)
        taken = [_RUN_ID.fullmatch(p.name) for p in runs.iterdir()]
        number = 1 + max((int(m["number"]) for m in taken if m and m["name"] == name), default=0)
        while True:
            path = runs.absolute() / f"{name}-{number}"
            try:
                path.mkdir()
            except FileExistsError:
                number += 1
            else:
                return RunFolder(path)
    except OSError as error:
        raise WorkError(f"{runs}: a run cannot be kept here ({error.strerror or error})") from None


def write_facts(run: RunFolder, facts: Mapping[str, Any], source: str) -> None:
    """Write what makes the folder a run: first its source, last run.json."""
    try:
        run.source.write_bytes(source.encode("utf-8", "backslashreplace"))
        write_json(run.facts, dict(facts))
    except OSError as error:
        raise WorkError(f"{run.path}: cannot be written ({error.strerror or error})") from None


def list_runs(runs: Path) -> list[RunFolder]:
    """Every run below `runs`, by name, then number."""
    found = [(m["name"], int(m["number"]), p) for p in _folders(runs) if (m := _RUN_ID.fullmatch(p.name))]
    return [RunFolder(path.absolute()) for _, _, path in sorted(found) if (path / "run.json").exists()]


def find_run(runs: Path, run_id: str) -> RunFolder:
    """The run of that id; UsageError, with those there are, when there is none."""
    match = _RUN_ID.fullmatch(run_id)
    path = runs.absolute() / run_id
    if match and "/" not in run_id and "\0" not in run_id and (path / "run.json").exists():
        return RunFolder(path)
    known = [run.id for run in list_runs(runs)]
    there = f"; there are: {', '.join(known[-10:])}" if known else ""
    raise UsageError(f"no run {run_id!r} in {runs}{there}")


def _folders(runs: Path) -> list[Path]:
    try:
        return [p for p in runs.iterdir() if p.is_dir() and not p.name.startswith(".")]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise WorkError(f"{runs}: cannot be read ({error.strerror or error})") from None
