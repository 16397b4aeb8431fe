"""How a run stands, as its query JSON tells it: the same reading for a run of this machine and one of the cluster.

Tolerant: unknown keys stay in `raw`, missing or misshapen ones become None or empty, unknown statuses stay words.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, kw_only=True)
class TaskState:
    """One try of one task. Times are in UTC; `exit_code` None = not known (yet)."""

    name: str
    group: str
    status: str = UNKNOWN
    retry_id: int = 0
    exit_code: int | None = None
    failure_message: str = ""
    start_time: datetime | None = None
    end_time: datetime | None = None
    lead: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """Which task this is a try of."""
        return self.group, self.name

    def seconds(self, now: datetime) -> float | None:
        """How long it ran, or has run until `now`; None before its start."""
        if self.start_time is None:
            return None
        return max(0.0, ((self.end_time or now) - self.start_time).total_seconds())


@dataclass(frozen=True, kw_only=True)
class GroupState:
    """A group with its tasks: all tries where the query was verbose, else the last of each."""

    name: str
    status: str = UNKNOWN
    failure_message: str = ""
    tasks: tuple[TaskState, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """A whole run at one moment."""

    id: str
    status: str = UNKNOWN
    groups: tuple[GroupState, ...] = ()
    raw: Mapping[str, Any] = field(default_factory=dict)

    @property
    def tasks(self) -> tuple[TaskState, ...]:
        """The last try of every task, in order."""
        last: dict[tuple[str, str], TaskState] = {}
        for group in self.groups:
            for task in group.tasks:
                known = last.get(task.key)
                if known is None or task.retry_id >= known.retry_id:
                    last[task.key] = task
        return tuple(last.values())

    @property
    def ended(self) -> bool:
        """Nothing more will happen."""
        return ended(self.status)

    def task(self, name: str) -> TaskState | None:
        """The last try of the task of that name."""
        return next((task for task in self.tasks if task.name == name), None)


def failed(status: str) -> bool:
    """Ended badly; also for statuses that newer servers may add."""
    return status.startswith("FAILED")


def ended(status: str) -> bool:
    """Ended; an unknown word that does not begin with FAILED is taken for alive."""
    return failed(status) or status in ("COMPLETED", "RESCHEDULED")


def read_query(value: object, *, run_id: str = "") -> Snapshot:
    """A snapshot of what a query answered; never fails, whatever `value` is."""
    raw = value if isinstance(value, Mapping) else {}
    groups = [group for group in _list(raw.get("groups")) if isinstance(group, Mapping)]
    return Snapshot(
        id=_text(raw.get("name")) or run_id,
        status=_text(raw.get("status")) or UNKNOWN,
        groups=tuple(_group(group, index) for index, group in enumerate(groups)),
        raw=raw,
    )


def _group(raw: Mapping[str, Any], index: int) -> GroupState:
    name = _text(raw.get("name")) or f"group-{index}"
    tasks = [task for task in _list(raw.get("tasks")) if isinstance(task, Mapping)]
    return GroupState(
        name=name,
        status=_text(raw.get("status")) or UNKNOWN,
        failure_message=_text(raw.get("failure_message")),
        tasks=tuple(_task(task, name, number) for number, task in enumerate(tasks)),
    )


def _task(raw: Mapping[str, Any], group: str, index: int) -> TaskState:
    return TaskState(
        name=_text(raw.get("name")) or f"task-{index}",
        group=group,
        status=_text(raw.get("status")) or UNKNOWN,
        retry_id=_int(raw.get("retry_id")) or 0,
        exit_code=_int(raw.get("exit_code")),
        failure_message=_text(raw.get("failure_message")),
        start_time=parse_time(raw.get("start_time")),
        end_time=parse_time(raw.get("end_time")),
        lead=raw.get("lead") is True,
    )


def parse_time(value: object) -> datetime | None:
    """A moment written in ISO 8601 (without a zone: UTC) or as seconds since 1970; None for anything else."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
        try:
            return datetime.fromtimestamp(value, UTC)
        except (ValueError, OverflowError, OSError):
            return None
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
        if moment is None:
            return None
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _int(value: object) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, str) and value.lstrip("-").isdecimal() and len(value) < 12:
        return int(value)
    return None
