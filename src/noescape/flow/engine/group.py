"""One group at work: its tasks start together, the lead's end is the end of all, and exit actions decide on retries.

Everything here runs in the engine's one thread; what takes time happens in the attempts' own.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from noescape.flow.engine.actions import FAIL, RESCHEDULE, action_for
from noescape.flow.engine.attempt import Attempt, Ending, Verdict
from noescape.flow.engine.journal import Journal
from noescape.flow.format.spec import Group, Task
from noescape.flow.status import CODE_BARRIER, CODE_START_ERROR, TaskStatus, of_group

LEAD_FINISHED = "Lead task finished"


class Home(Protocol):
    """What a group needs of its engine."""

    journal: Journal
    max_retries: int

    def attempt(self, group: GroupRun, task: Task, retry: int, gpus: tuple[str, ...]) -> Attempt:
        """A new try, not begun."""

    def kill_later(self, attempt: Attempt) -> None:
        """KILL it if it has not ended after the grace."""

    def group_over(self, group: GroupRun) -> None:
        """The group has ended and its end is journalled."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a try ends, or shall end."""

    status: TaskStatus
    code: int | None = None
    message: str = ""


class GroupRun:
    """See above. `on_…` are the messages of the attempts; `stop_all` ends it from outside."""

    def __init__(self, home: Home, group: Group, gpus: dict[str, tuple[str, ...]], exec_timeout: float | None) -> None:
        self.group = group
        self.exec_deadline: float | None = None
        self._home, self._gpus, self._exec_timeout = home, gpus, exec_timeout
        self._tasks = {task.name: task for task in group.tasks}
        self.lead = next((t.name for t in group.tasks if t.lead), group.tasks[0].name)
        self._attempts: dict[str, Attempt] = {}
        self._staged: set[str] = set()  # ready, waiting for the barrier
        self._settling: dict[str, Outcome] = {}  # the command has ended, this is to become of it
        self._over: dict[str, Outcome] = {}
        self._stops: dict[str, Outcome] = {}
        self._again: set[str] = set()  # to be tried again once all of these are over
        self._launched = False
        self._forced: Outcome | None = None
        self._done = False
        self._used: dict[str, int] = {}

    def begin(self) -> None:
        """Stage all members."""
        self._home.journal.write("group", group=self.group.name, status=TaskStatus.INITIALIZING)
        self._try(self._tasks)

    @property
    def active(self) -> list[Attempt]:
        """Tries that have not ended yet."""
        return [attempt for name, attempt in self._attempts.items() if name not in self._over]

    def stop_all(self, status: TaskStatus, message: str) -> None:
        """End the whole group with that status; what has ended stays as it is, what is being uploaded breaks off."""
        self._again.clear()
        self._forced = Outcome(status, None, message)
        self._stop([n for n in self._attempts if n not in self._over], self._forced, breaking=True)
        self._finish_if_over()

    def exec_timed_out(self) -> None:
        """The time for running is over (for a lead that is only uploading its outputs it is not)."""
        self.exec_deadline = None
        lead = self._over.get(self.lead) or self._settling.get(self.lead)
        if lead is not None and lead.status is not TaskStatus.RESCHEDULED:
            return
        message = f"The group ran longer than its exec_timeout of {self._exec_timeout:g} s"
        self._again.clear()
        self._forced = Outcome(TaskStatus.FAILED_EXEC_TIMEOUT, None, message)
        self._stop([n for n in self._attempts if n not in self._over], self._forced)

    def on_staged(self, attempt: Attempt) -> None:
        """Ready to start: at once, or when all are."""
        self._staged.add(attempt.task.name)
        if not self.group.barrier or self._launched or len(self._staged) == len(self._tasks):
            self._launched = True
            for name in sorted(self._staged):
                self._attempts[name].go()
            self._staged.clear()

    def on_started(self, attempt: Attempt) -> None:
        """The command runs."""
        journal = self._home.journal
        if journal.state.groups[self.group.name].status is not TaskStatus.RUNNING:
            journal.write("group", group=self.group.name, status=TaskStatus.RUNNING)
            if self._exec_timeout is not None:
                self.exec_deadline = time.monotonic() + self._exec_timeout
        name, retry = attempt.task.name, attempt.retry
        journal.write("task", task=name, retry=retry, status=TaskStatus.RUNNING, marks=attempt.marks or None)

    def on_ended(self, attempt: Attempt, ending: Ending) -> None:
        """The command, or what came before it, has ended: decide what becomes of the try."""
        name = attempt.task.name
        self._staged.discard(name)
        outcome = self._stops.get(name) or self._judge(attempt.task, ending)
        self._settling[name] = outcome
        completed = outcome.status is TaskStatus.COMPLETED
        attempt.settle(Verdict(completed, outcome.status is not TaskStatus.FAILED_CANCELED))

    def on_settled(self, attempt: Attempt, problem: Ending | None) -> None:
        """Outputs are kept, or not: the try is over."""
        name = attempt.task.name
        outcome = self._settling.pop(name)
        if problem is not None:
            code = max(outcome.code or 0, problem.code or 0) or None
            stop = self._stops.get(name)
            if stop is not None and (problem.code is None or stop.status is not TaskStatus.COMPLETED):
                outcome = stop
            elif stop is not None:
                outcome = Outcome(TaskStatus.FAILED, code, problem.message)
            elif outcome.status is TaskStatus.COMPLETED or outcome.status is TaskStatus.FAILED:
                outcome = self._judge(attempt.task, Ending(code, problem.message))
        self._over[name] = outcome
        self._home.journal.write(
            "task",
            task=name,
            retry=attempt.retry,
            status=outcome.status,
            code=outcome.code,
            message=outcome.message or None,
            marks=attempt.marks or None,
            record=attempt.record if outcome.status is not TaskStatus.RESCHEDULED else None,
        )
        self._after(name, outcome)

    def _judge(self, task: Task, ending: Ending) -> Outcome:
        """By the exit actions; for codes beyond a command's own COMPLETE does not count, there is nothing to keep."""
        code = ending.code
        action = action_for(task.exitActions, code)
        if action == RESCHEDULE:
            if self._used.get(task.name, 0) < self._home.max_retries:
                return Outcome(TaskStatus.RESCHEDULED, code, ending.message)
            limit = f"No exit action applied due to retry limit {self._home.max_retries}."
            return Outcome(TaskStatus.FAILED, code, f"{ending.message}. {limit}" if ending.message else limit)
        if action == FAIL:
            status = TaskStatus.FAILED_START_ERROR if code == CODE_START_ERROR else TaskStatus.FAILED
            return Outcome(status, code, ending.message or f"exit code {code}")
        return Outcome(TaskStatus.COMPLETED, code)

    def _after(self, name: str, outcome: Outcome) -> None:
        """What one task's end means for the others."""
        strict = not self.group.ignoreNonleadStatus
        if name not in self._stops and self._forced is None:
            if outcome.status is TaskStatus.RESCHEDULED:
                self._used[name] = self._used.get(name, 0) + 1
                self._restart(self._tasks if name == self.lead or strict else [name], name)
            elif name == self.lead:
                status = TaskStatus.FAILED if outcome.status.failed else TaskStatus.COMPLETED
                self._stop(self._others(name), Outcome(status, None, LEAD_FINISHED))
            elif outcome.status.failed and strict:
                self._stop(self._others(name), Outcome(TaskStatus.FAILED, None, f"Task {name} failed"))
            elif self.group.barrier and not self._launched:
                message = f"Task {name} ended before all tasks of the group were ready"
                self._stop(self._others(name), Outcome(TaskStatus.FAILED, CODE_BARRIER, message))
        if self._again and self._again <= self._over.keys():
            again, self._again = self._again, set()
            self._launched = self._launched and len(again) < len(self._tasks)
            self._try([task for task in self._tasks if task in again])
        self._finish_if_over()

    def _others(self, name: str) -> list[str]:
        return [other for other in self._attempts if other != name and other not in self._over]

    def _restart(self, names: Iterable[str], because: str) -> None:
        self._again |= set(names)
        stopped = Outcome(TaskStatus.RESCHEDULED, None, f"Task {because} is tried again")
        self._stop([n for n in self._others(because) if n in self._again], stopped)

    def _stop(self, names: list[str], outcome: Outcome, *, breaking: bool = False) -> None:
        """Stop those whose command has not ended (`breaking`: also those that upload)."""
        for name in names:
            if name in self._settling and not breaking:
                continue
            self._stops[name] = outcome
            self._attempts[name].stop()
            self._home.kill_later(self._attempts[name])

    def _try(self, names: Iterable[str]) -> None:
        journal = self._home.journal
        for name in names:
            self._over.pop(name, None)
            self._stops.pop(name, None)
            retry = journal.state.next_retry(name)
            journal.write("task", task=name, retry=retry, status=TaskStatus.INITIALIZING)
            self._attempts[name] = self._home.attempt(self, self._tasks[name], retry, self._gpus[name])
            self._attempts[name].begin()

    def _finish_if_over(self) -> None:
        if self._done or self._again or len(self._over) < len(self._tasks):
            return
        self._done = True
        forced = self._forced
        if forced and (forced in self._over.values() or self._over[self.lead].status is TaskStatus.RESCHEDULED):
            outcome = forced
        elif self.group.ignoreNonleadStatus:
            outcome = self._over[self.lead]
        else:
            status = of_group(one.status for one in self._over.values())
            worst = [
                f"{n}: {one.message}" for n, one in self._over.items() if one.status.failed and n not in self._stops
            ]
            outcome = Outcome(status, None, worst[0] if worst and status.failed else "")
        self._home.journal.write("group", group=self.group.name, status=outcome.status, message=outcome.message or None)
        self._home.group_over(self)
