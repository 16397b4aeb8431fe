"""When is a running task silent for longer than is normal for it?

Where the time of its last word is known (a log of this machine), that decides. On the cluster only its log can tell,
and that is pulled seldom: once when the window is over, to have something to compare with, and once more a little
later; the same last lines twice are silence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from noescape.flow.watching.snapshot import Snapshot, TaskState

DEFAULT_QUIET_S = 600.0
RECHECK_S = 120.0  # between two looks at a log of the cluster, at most
_Key = tuple[str, str, int]


@dataclass(frozen=True, kw_only=True)
class Silence:
    """A task that has said nothing for `seconds`, and its last words."""

    task: TaskState
    seconds: float
    window_s: float
    tail: tuple[str, ...]


@dataclass
class _Ear:
    """What is known of one try."""

    sign: float  # when it last gave a sign of life
    look: float  # when to look next
    heard: tuple[str, ...] | None = None
    times: int = 0  # how often it was reported; each report doubles the wait


class Listener:
    """Watches over the running tasks of one run.

    `quiet`: seconds per task during which silence is normal. `life` tells when (same clock as `now`) a task last said
    something, or None; `tail` pulls the end of its log.
    """

    def __init__(
        self,
        *,
        quiet: Mapping[str, float],
        tail: Callable[[TaskState], Sequence[str]],
        life: Callable[[TaskState], float | None],
        default_s: float = DEFAULT_QUIET_S,
    ) -> None:
        self._quiet, self._tail, self._life, self._default_s = quiet, tail, life, default_s
        self._ears: dict[_Key, _Ear] = {}

    def window(self, task: str) -> float:
        """Seconds during which silence of this task is normal."""
        return float(self._quiet.get(task, self._default_s))

    def listen(self, snapshot: Snapshot, now: float) -> list[Silence]:
        """Those that are silent past their window, each told once per doubling of it. Pulls logs only where needed."""
        running = {(t.group, t.name, t.retry_id): t for t in snapshot.tasks if t.status == "RUNNING"}
        self._ears = {key: ear for key, ear in self._ears.items() if key in running}
        found = []
        for key, task in running.items():
            window = self.window(task.name)
            ear = self._ears.setdefault(key, _Ear(sign=now, look=now + window))
            known = self._life(task)
            if known is not None and (known > ear.sign or ear.heard is None):
                ear.sign, ear.heard, ear.times = known, (), 0
                ear.look = known + window
            if now < ear.look:
                continue
            silence = self._look(task, ear, window, now, sure=known is not None)
            if silence:
                found.append(silence)
        return found

    def _look(self, task: TaskState, ear: _Ear, window: float, now: float, *, sure: bool) -> Silence | None:
        tail = tuple(self._tail(task))
        if not sure and tail != ear.heard:
            if ear.heard is not None:
                ear.sign, ear.times = now, 0
            ear.heard = tail
            ear.look = now + min(window, RECHECK_S)
            return None
        ear.heard = tail
        ear.times += 1
        ear.look = now + window * 2**ear.times
        return Silence(task=task, seconds=now - ear.sign, window_s=window, tail=tail)
