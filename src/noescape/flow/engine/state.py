"""How a run stands, told by the events of its journal; the same whether they are read back or just happen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from noescape.files import read_jsonl
from noescape.flow.format.spec import Task, Workflow
from noescape.flow.status import CODE_UPSTREAM, TaskStatus, WorkflowStatus, of_workflow
from noescape.records import DataError

# The time of a query's field that each status sets.
TIME_OF = {
    TaskStatus.PROCESSING: "processing_start_time",
    TaskStatus.SCHEDULING: "scheduling_start_time",
    TaskStatus.INITIALIZING: "initializing_start_time",
    TaskStatus.RUNNING: "start_time",
}
STOPPED = "The engine was stopped before this try ended."


@dataclass(kw_only=True)
class Try:
    """One try of a task. `record` holds what a finished one leaves for a resume: identity, tool, outputs."""

    retry: int
    status: TaskStatus
    code: int | None = None
    message: str = ""
    times: dict[str, float] = field(default_factory=dict)
    record: dict[str, Any] = field(default_factory=dict)


@dataclass(kw_only=True)
class TaskState:
    """A task and its tries; `live` = the last of them belongs to what is being run now."""

    name: str
    group: str
    lead: bool
    tries: list[Try] = field(default_factory=list)
    live: bool = False

    @property
    def last(self) -> Try | None:
        """The try that tells how the task stands, if there is one yet."""
        return self.tries[-1] if self.live else None


@dataclass(kw_only=True)
class GroupState:
    """A group. `after`: the groups it waits for."""

    name: str
    tasks: tuple[str, ...]
    after: tuple[str, ...]
    status: TaskStatus = TaskStatus.WAITING
    message: str = ""
    times: dict[str, float] = field(default_factory=dict)


def shape_of(workflow: Workflow) -> list[dict[str, Any]]:
    """What the journal keeps of a workflow: its groups, their tasks, and what waits for what."""
    home = {task.name: group.name for group in workflow.groups for task in group.tasks}
    return [
        {
            "name": group.name,
            "tasks": [{"name": t.name, "lead": t.lead or len(group.tasks) == 1} for t in group.tasks],
            "after": list(dict.fromkeys(home[name] for t in group.tasks for name in _upstream(t) if name in home)),
        }
        for group in workflow.groups
    ]


def _upstream(task: Task) -> list[str]:
    return [one.task for one in task.inputs if one.task is not None]


class RunState:
    """Groups and tasks in the order of the file; `apply` one event after another."""

    def __init__(self) -> None:
        self.groups: dict[str, GroupState] = {}
        self.tasks: dict[str, TaskState] = {}
        self.exec_timeout: float | None = None
        self.queue_timeout: float | None = None
        self.submit_time: float | None = None
        self.end_time: float | None = None
        self.cancelled_by: str | None = None

    @property
    def status(self) -> WorkflowStatus:
        """Of the whole workflow."""
        if not self.groups:
            return WorkflowStatus.PENDING
        return of_workflow(group.status for group in self.groups.values())

    @property
    def start_time(self) -> float | None:
        """When the first group began to run."""
        return min((g.times["start_time"] for g in self.groups.values() if "start_time" in g.times), default=None)

    def status_of(self, task: TaskState) -> TaskStatus:
        """Of the task's last try; before its first, of its group."""
        return task.last.status if task.last else self.groups[task.group].status

    def code_of(self, task: TaskState) -> int | None:
        """The exit code, if it has one."""
        if task.last:
            return task.last.code
        return CODE_UPSTREAM if self.groups[task.group].status is TaskStatus.FAILED_UPSTREAM else None

    def next_retry(self, task: str) -> int:
        """The number of the next try."""
        tries = self.tasks[task].tries
        return tries[-1].retry + 1 if tries else 0

    def apply(self, row: dict[str, Any]) -> None:
        """Take in one event; events of a kind that is not known are passed over."""
        if row["event"] == "engine":
            self._begin(row)
        elif row["event"] == "group":
            self._group(row)
        elif row["event"] == "task":
            self._task(row)
        elif row["event"] == "cancel":
            self.cancelled_by = row.get("by", "")
        elif row["event"] == "end":
            self.end_time = row["time"]

    def _begin(self, row: dict[str, Any]) -> None:
        """An engine starts, or goes on: kept groups stay as they are, all others start afresh."""
        kept, before, tasks = set(row.get("kept", ())), self.groups, self.tasks
        self.submit_time = self.submit_time or row["time"]
        self.exec_timeout, self.queue_timeout = row.get("exec_timeout"), row.get("queue_timeout")
        self.end_time = self.cancelled_by = None
        self.groups, self.tasks = {}, {}
        for shape in row["groups"]:
            name, members = shape["name"], shape["tasks"]
            fresh = GroupState(name=name, tasks=tuple(t["name"] for t in members), after=tuple(shape["after"]))
            self.groups[name] = before[name] if name in kept and name in before else fresh
            self.groups[name].after = fresh.after
            for member in members:
                old = tasks.get(member["name"])
                task = TaskState(name=member["name"], group=name, lead=member["lead"], tries=old.tries if old else [])
                task.live = name in kept and bool(task.tries)
                for one in task.tries:
                    if not one.status.ended:
                        one.status, one.message = TaskStatus.RESCHEDULED, STOPPED
                self.tasks[task.name] = task

    def _group(self, row: dict[str, Any]) -> None:
        group = self.groups[row["group"]]
        group.status = TaskStatus(row["status"])
        group.message = row.get("message", "")
        _note_time(group.times, group.status, row["time"])

    def _task(self, row: dict[str, Any]) -> None:
        task = self.tasks[row["task"]]
        if not task.live or task.tries[-1].retry != row["retry"]:
            task.tries.append(Try(retry=row["retry"], status=TaskStatus(row["status"])))
            task.live = True
        one = task.tries[-1]
        one.status = TaskStatus(row["status"])
        one.code = row.get("code")
        one.message = row.get("message", "")
        one.times.update(row.get("marks", {}))
        _note_time(one.times, one.status, row["time"])
        one.record.update(row.get("record", {}))


def _note_time(times: dict[str, float], status: TaskStatus, moment: float) -> None:
    """When a status began; one that was passed through at once began with the next that was told."""
    if status.ended:
        times.setdefault("end_time", moment)
    elif status in TIME_OF:
        for one, key in TIME_OF.items():
            times.setdefault(key, moment)
            if one is status:
                return


def read_state(journal: Path) -> RunState:
    """The state that a journal tells (an empty or missing one: nothing has begun). DataError when it is damaged."""
    state = RunState()
    for row in _rows(journal):
        try:
            state.apply(row)
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise DataError(f"{journal}: an event that cannot be ({type(error).__name__}: {error})") from None
    return state


def _rows(journal: Path) -> Iterator[dict[str, Any]]:
    try:
        yield from read_jsonl(journal)
    except FileNotFoundError:
        return
    except OSError as error:
        raise DataError(f"{journal}: cannot be read ({error.strerror or error})") from None
