"""Watch a run until it ends: look often while things change and seldom while they do not, and say what to do.

Works against a function that gives the query JSON, so that an engine of this process, a run folder and the cluster
are watched by the same code.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import IO, Any

from noescape.flow.cluster.osmo_error import OsmoError
from noescape.flow.watching.failure import KINDS, STATUSES, Failure, explain_all, needs_log, sentence
from noescape.flow.watching.foreign import harmless
from noescape.flow.watching.silence import DEFAULT_QUIET_S, Listener
from noescape.flow.watching.snapshot import Snapshot, TaskState, failed, read_query
from noescape.flow.watching.view import Change, View, clock, view_for
from noescape.records import NoescapeError

TAIL_LINES = 200
REDRAW_S = 1.0
ORPHAN_S = 2.0


@dataclass(frozen=True, kw_only=True)
class Cadence:
    """How long between two looks: `first_s` after a change, then `factor` times longer each, up to `longest_s`."""

    first_s: float
    factor: float
    longest_s: float

    def after(self, wait_s: float) -> float:
        """The next wait when nothing has changed."""
        return min(self.longest_s, max(self.first_s, wait_s * self.factor))


CLUSTER = Cadence(first_s=2.0, factor=1.5, longest_s=60.0)
LOCAL = Cadence(first_s=0.2, factor=1.0, longest_s=0.2)


@dataclass(frozen=True, kw_only=True)
class Watched:
    """How it ended: exit code 0 only for a run that completed."""

    exit_code: int
    snapshot: Snapshot
    failures: tuple[Failure, ...] = ()


def watch(
    source: Callable[[], Mapping[str, Any]],
    *,
    out: IO[str] | None = None,
    view: View | None = None,
    as_json: bool = False,
    tail: Callable[[TaskState], Sequence[str]] = lambda task: (),
    life: Callable[[TaskState], float | None] = lambda task: None,
    orphaned: Callable[[], str | None] = lambda: None,
    quiet: Mapping[str, float] | None = None,
    default_quiet_s: float = DEFAULT_QUIET_S,
    cadence: Cadence = LOCAL,
    patience_s: float = 1800.0,
    now: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> Watched:
    """Show the run that `source` tells of on `out` (or `view`) until it has ended; what came of it.

    `tail` gives the last lines of a try's log, `life` the time of its last word (None = unknown), `orphaned` a mend
    when nobody works on the run any more. While the cluster does not answer, it is asked ever less often, and given up
    after `patience_s`. An interrupt ends the watching, never the run.
    """
    shown = view or view_for(out or sys.stdout, as_json=as_json)
    listener = Listener(quiet=quiet or {}, tail=_careful(tail, shown), life=life, default_s=default_quiet_s)
    watcher = _Watcher(source, shown, listener, _careful(tail, shown), cadence, patience_s, now, sleep)
    try:
        return watcher.run(orphaned)
    finally:
        shown.close()


def changes_between(before: Snapshot | None, after: Snapshot) -> list[Change]:
    """Every status that is another now, in the order of the run; all of them at first sight."""
    found = []
    if before is None or before.status != after.status:
        found.append(Change(what="workflow", name=after.id, before=before.status if before else "", now=after.status))
    old_groups = {group.name: group.status for group in before.groups} if before else {}
    old_tasks = {task.key: task for task in before.tasks} if before else {}
    several = {group.name for group in after.groups if len({task.name for task in group.tasks}) > 1}
    for group in after.groups:
        if group.name in several and old_groups.get(group.name) != group.status:
            old = old_groups.get(group.name, "")
            found.append(Change(what="group", name=group.name, before=old, now=group.status))
    for task in after.tasks:
        known = old_tasks.get(task.key)
        if known is None or (known.status, known.retry_id) != (task.status, task.retry_id):
            found.append(
                Change(
                    what="task",
                    name=task.name,
                    before=known.status if known else "",
                    now=task.status,
                    group=task.group,
                    retry_id=task.retry_id,
                    exit_code=task.exit_code,
                )
            )
    return found


class _Watcher:
    """The loop, with what it must remember."""

    def __init__(
        self,
        source: Callable[[], Mapping[str, Any]],
        view: View,
        listener: Listener,
        tail: Callable[[TaskState], Sequence[str]],
        cadence: Cadence,
        patience_s: float,
        now: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        self._source, self._view, self._listener, self._tail = source, view, listener, tail
        self._cadence, self._patience_s, self._now, self._sleep = cadence, patience_s, now, sleep
        self._last: Snapshot | None = None
        self._tails: dict[tuple[str, str, int], Sequence[str]] = {}
        self._trouble_since: float | None = None
        self._drawn = 0.0

    def run(self, orphaned: Callable[[], str | None]) -> Watched:
        wait, alone_since = self._cadence.first_s, None
        while True:
            snapshot = self._look()
            if snapshot is None:
                wait = self._cadence.after(max(wait, 1.0))
                self._pause(wait)
                continue
            changed = changes_between(self._last, snapshot)
            if changed or self._last is None:
                self._draw(snapshot, changed)
            self._last = snapshot
            self._pull_failed(snapshot)
            if snapshot.ended:
                return self._end(snapshot)
            for silence in self._listener.listen(snapshot, self._now()):
                said = f"{clock(silence.seconds)} (normal: up to {clock(silence.window_s)})"
                name = harmless(silence.task.name)
                self._view.note(f"{name} has said nothing for {said}; it is left alone")
                if silence.tail:
                    self._view.lines(f"{name}, the last {len(silence.tail)} lines", silence.tail)
            mend = orphaned()
            if mend is None or changed:
                alone_since = None
            elif alone_since is None:
                alone_since = self._now()
            elif self._now() - alone_since >= ORPHAN_S:
                return self._end(snapshot, mend)
            wait = self._cadence.first_s if changed else self._cadence.after(wait)
            self._pause(wait)

    def _look(self) -> Snapshot | None:
        """One query; None if the cluster is busy or away, for which there is patience."""
        try:
            found = read_query(self._source())
        except OsmoError as error:
            since = self._trouble_since
            if not (error.again or error.reason == "garbled"):
                raise
            if since is not None and self._now() - since > self._patience_s:
                raise
            if since is None:
                self._trouble_since = self._now()
                self._view.note(f"no answer ({error.reason}); the run goes on, and is asked about again, less often")
            return None
        if self._trouble_since is not None:
            self._trouble_since = None
            self._view.note("the cluster answers again")
        return found

    def _pull_failed(self, snapshot: Snapshot) -> None:
        """The log of a task that has failed, once."""
        for task in snapshot.tasks:
            key = (*task.key, task.retry_id)
            if needs_log(task) and key not in self._tails:
                self._tails[key] = lines = list(self._tail(task))
                if lines:
                    self._view.lines(f"{harmless(task.name)}, the last {len(lines)} lines", lines)

    def _pause(self, seconds: float) -> None:
        """Sleep, with the table's times moving."""
        while seconds > 0:
            piece = min(seconds, REDRAW_S)
            self._sleep(piece)
            seconds -= piece
            if self._last is not None and self._now() - self._drawn >= REDRAW_S:
                self._draw(self._last, ())

    def _draw(self, snapshot: Snapshot, changes: Sequence[Change]) -> None:
        self._drawn = self._now()
        self._view.update(snapshot, changes)

    def _end(self, snapshot: Snapshot, mend: str | None = None) -> Watched:
        failures = explain_all(snapshot, lambda task: self._tails.get((*task.key, task.retry_id), ()))
        code = 0 if snapshot.status == "COMPLETED" and mend is None else 1
        sentences = [
            f"{snapshot.id}: {snapshot.status}",
            *summary(snapshot, failures),
            *([f"mend: {mend}"] if mend else []),
        ]
        facts = {"run": snapshot.id, "status": snapshot.status, "exit_code": code}
        facts |= {"failures": [asdict(failure) for failure in failures], "mend": mend}
        self._view.end(facts, sentences)
        return Watched(exit_code=code, snapshot=snapshot, failures=failures)


def summary(snapshot: Snapshot, failures: Sequence[Failure]) -> list[str]:
    """What failed and what to do: causes in full, consequences in one line."""
    alike: dict[tuple[str, str, int | None, str], list[Failure]] = {}
    for failure in failures:
        if failure.kind not in ("upstream", "lead ended"):
            alike.setdefault((failure.kind, failure.status, failure.exit_code, failure.evidence), []).append(failure)
    found = [sentence(*same) for same in alike.values()]
    for kind in ("upstream", "lead ended"):
        names = [harmless(failure.task) for failure in failures if failure.kind == kind]
        if names:
            found.append(f"{', '.join(names)}: {KINDS[kind].meaning}")
    if not failures and failed(snapshot.status):
        why = KINDS[STATUSES.get(snapshot.status, "unknown")]
        found.append(f"the whole run: {why.name}: {why.meaning}\n  mend: {why.mend}")
    return found


def _careful(tail: Callable[[TaskState], Sequence[str]], view: View) -> Callable[[TaskState], Sequence[str]]:
    """A log that cannot be had is a remark, not the end of the watching."""

    def careful(task: TaskState) -> Sequence[str]:
        try:
            return tuple(tail(task))[-TAIL_LINES:]
        except (NoescapeError, OSError) as error:
            view.note(f"the log of {harmless(task.name)} cannot be had: {harmless(str(error))}")
            return ()

    return careful
