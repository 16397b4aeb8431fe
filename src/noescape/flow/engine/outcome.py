"""What came of a pass over a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from noescape.flow.engine.group import LEAD_FINISHED
from noescape.flow.engine.layout import RunFolder
from noescape.flow.engine.state import RunState
from noescape.flow.status import TaskStatus, WorkflowStatus


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A task that failed for itself, not only because of others."""

    task: str
    retry: int
    status: TaskStatus
    code: int | None
    message: str
    log: Path


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a pass over a run ended. `kept` and `ran` count groups; `seconds` is the time of this pass."""

    run: Path
    run_id: str
    status: WorkflowStatus
    failures: tuple[Failure, ...]
    kept: int
    ran: int
    seconds: float


def failures_of(run: RunFolder, state: RunState) -> tuple[Failure, ...]:
    """Tasks that failed for themselves, in order."""
    return tuple(
        Failure(
            task=task.name,
            retry=last.retry,
            status=last.status,
            code=last.code,
            message=last.message,
            log=run.task(task.name, last.retry).log,
        )
        for task in state.tasks.values()
        if (last := task.last) is not None and last.status.failed and last.message != LEAD_FINISHED
    )
