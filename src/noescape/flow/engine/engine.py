"""The engine: starts groups when their upstream groups have completed and the machine has room, until all have ended.

One thread owns all state and does all deciding; it sleeps until a message comes (a try was staged, started, ended,
settled; somebody asked for an end) or something is due (a timeout, the end of a grace, status.json).
"""

from __future__ import annotations

import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from noescape.flow.engine import process
from noescape.flow.engine.attempt import Attempt
from noescape.flow.engine.cancel import wish_of
from noescape.flow.engine.environment import mark
from noescape.flow.engine.group import GroupRun
from noescape.flow.engine.journal import Journal
from noescape.flow.engine.needs import Need, Stock, need_of, resource_of
from noescape.flow.engine.shop import Shop
from noescape.flow.format.spec import Group, Task, Workflow
from noescape.flow.format.units import parse_duration
from noescape.flow.machine import Machine
from noescape.flow.status import CODE_UPSTREAM, TaskStatus

CANCEL_LOOK_S = 0.5  # how often the file by which other processes ask for an end is looked for
SWEEP_S = 0.5  # how long what an ended task left in other sessions may live on
Message = tuple[Any, ...]


class Engine:
    """One pass over a workflow's groups; those the journal calls kept are not touched."""

    def __init__(
        self, workflow: Workflow, shop: Shop, journal: Journal, inbox: queue.SimpleQueue[Message],
        *, machine: Machine, max_retries: int, grace_s: float, notice: Callable[[str], None],
        tick: Callable[[], None],
    ) -> None:  # fmt: skip
        self.notice, self._tick = notice, tick
        self.journal, self.max_retries = journal, max_retries
        self._workflow, self._shop, self._inbox = workflow, shop, inbox
        self._stock = Stock(machine)
        self._grace_s = grace_s
        timeout = workflow.timeout
        self._exec_timeout = parse_duration(timeout.exec_timeout) if timeout.exec_timeout is not None else None
        self._queue_timeout = parse_duration(timeout.queue_timeout) if timeout.queue_timeout is not None else None
        states = journal.state.groups
        self._waiting = {g.name: g for g in workflow.groups if not states[g.name].status.ended}
        self._needs = {name: need_of(workflow, group, machine) for name, group in self._waiting.items()}
        self._order = {group.name: index for index, group in enumerate(workflow.groups)}
        self._missing = {name: {o for o in states[name].after if not states[o].status.ended} for name in self._waiting}
        self._behind: dict[str, list[str]] = {}
        for name in self._waiting:
            for other in states[name].after:
                self._behind.setdefault(other, []).append(name)
        self._ready: set[str] = set()  # all upstream groups have completed
        self._fresh: list[str] = []  # ready since the last look
        for name in self._waiting:
            self._note_ready(name)
        self._queued: dict[str, float] = {}  # groups that wait for room alone, with the end of their patience
        self._running: dict[str, tuple[GroupRun, Need, tuple[str, ...]]] = {}
        self._kills: dict[Attempt, float] = {}
        self._ended_marks: list[str] = []
        self._sweep_at: float | None = None
        self._look_at = 0.0
        self._cancelled = False

    def work(self) -> None:
        """Until every group has ended. Whatever happens, no process of a task is left when this returns."""
        try:
            with self._signals():
                self._admit()
                while self._waiting or self._running:
                    self._handle(self._next_message())
                    self._do_what_is_due()
        except BaseException:
            self._abandon()
            raise
        self._sweep()

    def attempt(self, group: GroupRun, task: Task, retry: int, gpus: tuple[str, ...]) -> Attempt:
        """A new try of a task."""
        return Attempt(self._shop, task, retry, gpus=gpus, hosts=tuple(t.name for t in group.group.tasks))

    def kill_later(self, attempt: Attempt) -> None:
        """KILL it after the grace."""
        self._kills.setdefault(attempt, time.monotonic() + self._grace_s)

    def group_over(self, group: GroupRun) -> None:
        """Make room, and start what can start now."""
        _, need, gpus = self._running.pop(group.group.name)
        self._stock.give(need, gpus)
        self._tell_downstream(group.group.name)
        self._admit()

    def _next_message(self) -> Message | None:
        now = time.monotonic()
        try:
            return self._inbox.get(timeout=max(0.0, min(self._due_times()) - now))
        except queue.Empty:
            return None

    def _due_times(self) -> Iterator[float]:
        yield self._look_at
        yield from self._kills.values()
        yield from self._queued.values()
        for group, _, _ in self._running.values():
            if group.exec_deadline is not None:
                yield group.exec_deadline
        if self._sweep_at is not None:
            yield self._sweep_at
        if self.journal.due is not None:
            yield self.journal.due

    def _handle(self, message: Message | None) -> None:
        if message is None:
            return
        kind, *rest = message
        if kind == "cancel":
            self._cancel(rest[0])
            return
        if kind == "note":
            self.notice(rest[0])
            return
        attempt: Attempt = rest[0]
        home = next((g for g, _, _ in self._running.values() if attempt in g.active), None)
        if home is None:
            return
        if kind == "staged":
            home.on_staged(attempt)
        elif kind == "started":
            home.on_started(attempt)
        elif kind == "ended":
            self._kills.pop(attempt, None)
            self._ended_marks.append(attempt.mark)
            self._sweep_at = self._sweep_at or time.monotonic() + SWEEP_S
            home.on_ended(attempt, rest[1])
        elif kind == "settled":
            home.on_settled(attempt, rest[1])

    def _do_what_is_due(self) -> None:
        now = time.monotonic()
        if now >= self._look_at:
            self._look_at = now + CANCEL_LOOK_S
            self._tick()
            if not self._cancelled and (by := wish_of(self._shop.run)) is not None:
                self._cancel(by)
        for attempt in [a for a, due in self._kills.items() if due <= now]:
            del self._kills[attempt]
            attempt.kill()
        for name in [n for n, due in self._queued.items() if due <= now]:
            self._time_out_in_queue(name)
        for group, _, _ in list(self._running.values()):
            if group.exec_deadline is not None and group.exec_deadline <= now:
                group.exec_timed_out()
        if self._sweep_at is not None and self._sweep_at <= now:
            self._sweep()
        if self.journal.due is not None and self.journal.due <= now:
            problem = self.journal.write_status()
            if problem:
                self.notice(problem)

    def _admit(self) -> None:
        """Start every group that can, in the order of the file."""
        if not self._stock.full:
            for name in sorted(self._ready, key=self._order.__getitem__):
                if self._stock.fits(self._needs[name]):
                    self._start(self._waiting[name], self._needs[name])
        for name in self._fresh:
            if name in self._ready:
                self.journal.write("group", group=name, status=TaskStatus.SCHEDULING)
                if self._queue_timeout is not None:
                    self._queued[name] = time.monotonic() + self._queue_timeout
        self._fresh.clear()

    def _tell_downstream(self, name: str) -> None:
        """A group has ended: those behind it wait for one less, or fail with it, and so on behind those."""
        ended = [name]
        while ended:
            name = ended.pop()
            failed = self.journal.state.groups[name].status.failed
            for behind in [other for other in self._behind.get(name, ()) if other in self._waiting]:
                if failed:
                    self._end(behind, TaskStatus.FAILED_UPSTREAM, f"Upstream failed: {name}", CODE_UPSTREAM)
                    ended.append(behind)
                else:
                    self._missing[behind].discard(name)
                    self._note_ready(behind)

    def _note_ready(self, name: str) -> None:
        if not self._missing[name]:
            self._ready.add(name)
            self._fresh.append(name)

    def _start(self, group: Group, need: Need) -> None:
        del self._waiting[group.name]
        self._ready.discard(group.name)
        self._queued.pop(group.name, None)
        gpus = self._stock.take(need)
        shares: dict[str, tuple[str, ...]] = {}
        left = list(gpus)
        for task in group.tasks:
            count = resource_of(self._workflow, task).gpu or 0
            shares[task.name], left = tuple(left[:count]), left[count:]
        run = GroupRun(self, group, shares, self._exec_timeout)
        self._running[group.name] = (run, need, gpus)
        run.begin()

    def _end(self, name: str, status: TaskStatus, message: str, code: int | None = None) -> None:
        del self._waiting[name]
        self._ready.discard(name)
        self._queued.pop(name, None)
        self.journal.write("group", group=name, status=status, message=message, code=code)

    def _time_out_in_queue(self, name: str) -> None:
        message = f"No room on this machine within the queue_timeout of {self._queue_timeout:g} s"
        self._end(name, TaskStatus.FAILED_QUEUE_TIMEOUT, message)
        self._tell_downstream(name)
        self._admit()

    def _cancel(self, by: str) -> None:
        """End everything; asked a second time, at once."""
        if self._cancelled:
            for group, _, _ in self._running.values():
                for attempt in group.active:
                    attempt.kill()
            return
        self._cancelled = True
        self.journal.write("cancel", by=by)
        waiting, self._waiting = self._waiting, {}
        self._ready.clear()
        self._queued.clear()
        for name in waiting:
            self.journal.write("group", group=name, status=TaskStatus.FAILED_CANCELED, message=f"Canceled by {by}")
        for group, _, _ in list(self._running.values()):
            group.stop_all(TaskStatus.FAILED_CANCELED, f"Canceled by {by}")

    def _sweep(self) -> None:
        """Kill what ended tasks left behind in sessions of its own."""
        if self._ended_marks:
            process.kill_marked(self._ended_marks)
        self._ended_marks, self._sweep_at = [], None

    def _abandon(self) -> None:
        """The engine itself fails (its journal cannot be written): nothing may go on unseen."""
        for group, _, _ in self._running.values():
            for attempt in group.active:
                attempt.stop()
                attempt.kill()
        process.kill_marked([mark(self._shop.run.id, self._shop.token)], settle=process.SETTLE_S)

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """SIGINT, SIGTERM and a closed terminal cancel the run; only the main thread can hear them."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def ask(number: int, _: FrameType | None) -> None:
            self._inbox.put(("cancel", signal.Signals(number).name))

        before: dict[signal.Signals, Callable[[int, FrameType | None], Any] | int | None] = {}
        for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(one) is not signal.SIG_IGN:  # nohup and background jobs of a shell mean it
                before[one] = signal.signal(one, ask)
        try:
            yield
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)
