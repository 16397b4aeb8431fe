"""What all tries of a run share: where things lie, what the caller gave, and who hears of news."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from noescape.flow.engine import manifest
from noescape.flow.engine.layout import RunFolder, find_run
from noescape.flow.engine.manifest import Made
from noescape.flow.engine.state import RunState, read_state
from noescape.flow.format.spec import Task
from noescape.flow.secrets.credentials import Granted
from noescape.flow.status import TaskStatus
from noescape.records import WorkError


class Granter(Protocol):
    """Where a task's credentials come from."""

    def grant(self, task: Task) -> Granted:
        """Everything the task asks for."""


def owner_of(run_id: str, token: str, task: str) -> str:
    """The owner of a task's output folders; the token tells runs of one id in different folders apart."""
    return f"{run_id}.{token[:12]}/{task}"


@dataclass(frozen=True, kw_only=True)
class Upstream:
    """A finished task, as an input: who it is, and what it left."""

    identity: str
    tool: str
    digest: str
    output: Path
    made: list[Made]


@dataclass(frozen=True, kw_only=True)
class Shop:
    """One engine's surroundings. `root` is the run folder by a name that needs no quotes in a shell."""

    run: RunFolder
    root: RunFolder
    token: str
    base: Path
    environment: dict[str, str]
    credentials: Granter
    kept: tuple[str, ...] = ()  # where checkpoints of the flow go, absolute
    storage_secrets: Mapping[str, Mapping[str, str]] = field(default_factory=dict, repr=False)
    state: Callable[[], RunState]
    post: Callable[[tuple[Any, ...]], None]
    note: Callable[[str], None]

    def owner(self, task: str) -> str:
        """Who writes a task's output folders: this task in this run, whatever number its try has."""
        return owner_of(self.run.id, self.token, task)

    def upstream(self, task: str) -> Upstream:
        """The outputs of a completed task, `<task>` of this run or `<run id>:<task>` of another in the same folder.

        WorkError when it has not completed, or what it left was damaged.
        """
        run, state = self.run, self.state
        if ":" in task:
            run_id, _, task = task.partition(":")
            run = find_run(self.run.path.parent, run_id)
            found = read_state(run.journal)
        else:
            found = state()
        last = found.tasks[task].last if task in found.tasks else None
        if last is None or last.status is not TaskStatus.COMPLETED:
            raise WorkError(f"input from task {task} of run {run.id}, which has not completed")
        folder = run.task(task, last.retry)
        made = manifest.read(folder.manifest)
        if manifest.digest_of(made) != last.record.get("digest"):
            raise WorkError(f"{folder.manifest}: not what was recorded when task {task} ended")
        return Upstream(
            identity=last.record.get("identity", ""),
            tool=last.record.get("tool", ""),
            digest=last.record["digest"],
            output=folder.output,
            made=made,
        )
