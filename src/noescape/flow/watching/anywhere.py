"""One run, wherever it is: the same questions and answers for a folder of this machine and an id of the cluster."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from noescape.files import safe_name
from noescape.flow.cluster.osmo import Logs, Osmo, find_osmo, has_osmo
from noescape.flow.engine.cancel import request_cancel
from noescape.flow.engine.layout import RunFolder, list_runs
from noescape.flow.engine.lock import engine_pid
from noescape.flow.watching.snapshot import Snapshot, TaskState, read_query
from noescape.flow.watching.tail import last_lines
from noescape.records import DataError, UsageError, WorkError

_STAMPED = re.compile(r"(?P<stem>.+)-[0-9a-f]{8}-\d+")
_NUMBERED = re.compile(r"(?P<stem>.+)-\d+")


class Run(Protocol):
    """A run that exists. `where` is `local` or `osmo`."""

    id: str
    where: str

    def query(self, *, verbose: bool = False) -> Mapping[str, Any]:
        """The query JSON, with all its keys."""

    def logs(self, task: str | None, *, retry_id: int | None = None, error: bool = False, lines: int = 200) -> Logs:
        """The end of a log, as it was written."""

    def life(self, task: TaskState) -> float | None:
        """When (POSIX seconds) the task last said something; None if that cannot be known without its log."""

    def orphaned(self) -> str | None:
        """What to do if nobody works on the run any more although it has not ended; None if somebody does."""

    def cancel(self, *, message: str | None = None, force: bool = False) -> str:
        """Ask for its end; one line on what happens now."""

    def spec(self) -> str:
        """The rendered workflow file, its tokens still in."""

    def stem(self) -> str | None:
        """Name of the flow it was made from, as far as that can be known."""


class LocalRun:
    """A run folder of this machine."""

    where = "local"

    def __init__(self, folder: RunFolder) -> None:
        self.folder, self.id = folder, folder.id

    def query(self, *, verbose: bool = False) -> Mapping[str, Any]:
        """status.json as the engine last wrote it: all tries with `verbose`, else the last of each task."""
        path, until = self.folder.status, time.monotonic() + 1.0
        while True:
            try:
                value = json.loads(path.read_bytes())
                break
            except FileNotFoundError:
                if time.monotonic() > until:  # an engine that has just begun writes it any moment
                    raise WorkError(f"{self.folder.path}: no status yet; noescape flow resume {self.id}") from None
                time.sleep(0.05)
            except (OSError, ValueError, RecursionError) as error:
                raise DataError(f"{path}: expected the status of a run, cannot be read ({error})") from None
        if not isinstance(value, dict):
            raise DataError(f"{path}: expected the status of a run, a JSON object; got {type(value).__name__}")
        return value if verbose else _last_tries(value)

    def logs(self, task: str | None, *, retry_id: int | None = None, error: bool = False, lines: int = 200) -> Logs:
        """From log.txt of the try (all of a task's words lie there, errors too); without a task: the engine's."""
        if task is None:
            found, more = last_lines(self.folder.log, lines)
            return Logs(lines=tuple(found), cut=more)
        tries = self._tries(task)
        if not tries:
            raise UsageError(
                f"{self.id} has no log of a task {task!r}; there are: {', '.join(self._tasks()) or 'none'}"
            )
        chosen = tries[-1] if retry_id is None else retry_id
        if chosen not in tries:
            raise UsageError(f"task {task}: no try {chosen}; there are {', '.join(map(str, tries))}")
        found, more = last_lines(self.folder.task(task, chosen).log, lines)
        return Logs(lines=tuple(found), cut=more)

    def life(self, task: TaskState) -> float | None:
        """When its log last grew, or its start."""
        started = task.start_time.timestamp() if task.start_time else None
        try:
            written = self.folder.task(safe_name(task.name), task.retry_id).log.stat().st_mtime
        except OSError:
            return started
        return max(written, started or 0.0)

    def orphaned(self) -> str | None:
        """Looks at the engine's lock."""
        if engine_pid(self.folder) is not None:
            return None
        return (
            f"no engine works on it any more (killed, or the machine was switched off): noescape flow resume {self.id}"
        )

    def cancel(self, *, message: str | None = None, force: bool = False) -> str:
        """Through the engine, which stops its tasks and writes the end down."""
        who = os.environ.get("USER") or "another process"
        if request_cancel(self.folder, f"{who}: {message}" if message else who):
            return f"the engine is canceling {self.id}"
        raise WorkError(f"{self.id}: nothing to cancel: {self.orphaned() or 'it has just ended'}")

    def spec(self) -> str:
        """workflow.yaml."""
        try:
            return self.folder.workflow.read_text("utf-8")
        except (OSError, ValueError) as error:
            raise DataError(f"{self.folder.workflow}: cannot be read ({error})") from None

    def stem(self) -> str | None:
        """From run.json."""
        value = self.folder.read_facts().get("flow")
        return value if isinstance(value, str) else None

    def _tasks(self) -> list[str]:
        folder = self.folder.path / "tasks"
        return sorted(p.name for p in folder.iterdir() if p.is_dir()) if folder.is_dir() else []

    def _tries(self, task: str) -> list[int]:
        if task not in self._tasks():  # so no name from outside becomes a path
            return []
        folder = self.folder.path / "tasks" / task
        return sorted(int(p.name) for p in folder.iterdir() if p.name.isdecimal() and len(p.name) < 9)


class ClusterRun:
    """A run of the cluster, by its id."""

    where = "osmo"

    def __init__(self, run_id: str, osmo: Osmo) -> None:
        self.id, self.osmo = run_id, osmo

    def query(self, *, verbose: bool = False) -> Mapping[str, Any]:
        """What the cluster answers, unchanged."""
        return self.osmo.query(self.id, verbose=verbose)

    def logs(self, task: str | None, *, retry_id: int | None = None, error: bool = False, lines: int = 200) -> Logs:
        """As `osmo workflow logs`."""
        return self.osmo.logs(self.id, task=task, retry_id=retry_id, error=error, lines=lines)

    def life(self, task: TaskState) -> float | None:
        """Unknown: only the log could tell, and it is pulled seldom."""
        return None

    def orphaned(self) -> str | None:
        """Never: the cluster looks after its runs."""
        return None

    def cancel(self, *, message: str | None = None, force: bool = False) -> str:
        """As `osmo workflow cancel`, but a no is an error."""
        name = self.osmo.cancel(self.id, message=message, force=force)
        return f"the cluster is canceling {name}"

    def spec(self) -> str:
        """As `osmo workflow spec`."""
        return self.osmo.spec(self.id)

    def stem(self) -> str | None:
        """Guessed from an id such as `<flow>-<8 hex>-<n>`."""
        match = _STAMPED.fullmatch(self.id) or _NUMBERED.fullmatch(self.id)
        return match["stem"] if match else None


def find_anywhere(run_id: str, runs: Path, *, cluster: bool = False) -> Run:
    """The run of that id: in the folder of runs (an id, or a path to a run folder), else on the cluster.

    `cluster` True asks the cluster at once. UsageError, with the runs of this machine, when it can be nowhere.
    """
    if cluster:
        return ClusterRun(run_id, find_osmo())
    if not run_id.strip() or "\0" in run_id:
        raise UsageError("expected the id of a run, such as inspect_folder-1a2b3c4d-1")
    given = Path(run_id)
    path = given if len(given.parts) > 1 else runs / run_id
    if run_id not in (".", "..") and (path / "run.json").is_file():
        return LocalRun(RunFolder(path.absolute()))
    if _NUMBERED.fullmatch(run_id) and len(given.parts) == 1 and has_osmo():
        return ClusterRun(run_id, find_osmo())
    known = ", ".join(run.id for run in list_runs(runs)[-10:])
    where = f"there are: {known}" if known else "there are none (another --runs-dir?)"
    osmo = "" if has_osmo() else "; the cluster's command `osmo` is not installed"
    raise UsageError(f"no run {run_id!r} in {runs}: {where}{osmo}")


def running(snapshot: Snapshot) -> list[str]:
    """Names of the tasks that run now."""
    return [task.name for task in snapshot.tasks if task.status in ("RUNNING", "INITIALIZING")]


def _last_tries(value: dict[str, Any]) -> dict[str, Any]:
    """The query JSON with only the last try of every task, as a query that is not verbose answers."""
    groups = value.get("groups")
    if not isinstance(groups, list):
        return value
    return {**value, "groups": [_last_of(group) for group in groups]}


def _last_of(group: object) -> object:
    if not isinstance(group, dict) or not isinstance(group.get("tasks"), list):
        return group
    rows = [row for row in group["tasks"] if isinstance(row, dict)]
    tries = read_query({"groups": [{**group, "tasks": rows}]}).groups[0].tasks
    last = {state.key: number for number, state in sorted(enumerate(tries), key=lambda item: item[1].retry_id)}
    return {**group, "tasks": [row for number, row in enumerate(rows) if number in last.values()]}
