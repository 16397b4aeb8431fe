"""The words for how a workflow, a group and a task stand, their exit codes, and how many become one."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class TaskStatus(StrEnum):
    """Of a task, and (all but RESCHEDULED) of a group."""

    SUBMITTING = "SUBMITTING"
    WAITING = "WAITING"
    PROCESSING = "PROCESSING"
    SCHEDULING = "SCHEDULING"
    INITIALIZING = "INITIALIZING"
    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    RESCHEDULED = "RESCHEDULED"
    FAILED = "FAILED"
    FAILED_CANCELED = "FAILED_CANCELED"
    FAILED_SERVER_ERROR = "FAILED_SERVER_ERROR"
    FAILED_BACKEND_ERROR = "FAILED_BACKEND_ERROR"
    FAILED_EXEC_TIMEOUT = "FAILED_EXEC_TIMEOUT"
    FAILED_QUEUE_TIMEOUT = "FAILED_QUEUE_TIMEOUT"
    FAILED_IMAGE_PULL = "FAILED_IMAGE_PULL"
    FAILED_UPSTREAM = "FAILED_UPSTREAM"
    FAILED_EVICTED = "FAILED_EVICTED"
    FAILED_START_ERROR = "FAILED_START_ERROR"
    FAILED_START_TIMEOUT = "FAILED_START_TIMEOUT"
    FAILED_PREEMPTED = "FAILED_PREEMPTED"

    @property
    def failed(self) -> bool:
        """Ended, and not well."""
        return self.value.startswith("FAILED")

    @property
    def ended(self) -> bool:
        """Nothing more will happen to it."""
        return self.failed or self in (TaskStatus.COMPLETED, TaskStatus.RESCHEDULED)


class WorkflowStatus(StrEnum):
    """Of a whole workflow; the first three are alive."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    WAITING = "WAITING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    FAILED_SUBMISSION = "FAILED_SUBMISSION"
    FAILED_SERVER_ERROR = "FAILED_SERVER_ERROR"
    FAILED_EXEC_TIMEOUT = "FAILED_EXEC_TIMEOUT"
    FAILED_QUEUE_TIMEOUT = "FAILED_QUEUE_TIMEOUT"
    FAILED_CANCELED = "FAILED_CANCELED"
    FAILED_BACKEND_ERROR = "FAILED_BACKEND_ERROR"
    FAILED_IMAGE_PULL = "FAILED_IMAGE_PULL"
    FAILED_EVICTED = "FAILED_EVICTED"
    FAILED_START_ERROR = "FAILED_START_ERROR"
    FAILED_START_TIMEOUT = "FAILED_START_TIMEOUT"
    FAILED_PREEMPTED = "FAILED_PREEMPTED"

    @property
    def alive(self) -> bool:
        """Still to be watched."""
        return self in (WorkflowStatus.PENDING, WorkflowStatus.RUNNING, WorkflowStatus.WAITING)


# Exit codes beyond a task's own 0-255.
INIT_OFFSET = 255
CODE_PREFLIGHT = 1001
CODE_DOWNLOAD = 2010
CODE_UPLOAD = 2012
CODE_DATA_AUTH = 2013
CODE_UNAUTHORIZED = 2014
CODE_BARRIER = 2024
CODE_UPSTREAM = 3000
CODE_BACKEND = 3001
CODE_SERVER = 3002
CODE_START_ERROR = 3003
CODE_EVICTED = 3004
CODE_START_TIMEOUT = 3005
CODE_PREEMPTED = 3006
CODE_UNKNOWN = 4000

_GROUP_ORDER = (
    TaskStatus.FAILED_UPSTREAM,
    TaskStatus.FAILED_SERVER_ERROR,
    TaskStatus.FAILED_PREEMPTED,
    TaskStatus.FAILED_EVICTED,
)
_WORKFLOW_ORDER = (
    TaskStatus.FAILED_CANCELED,
    TaskStatus.FAILED_SERVER_ERROR,
    TaskStatus.FAILED_EXEC_TIMEOUT,
    TaskStatus.FAILED_QUEUE_TIMEOUT,
)


def of_workflow(groups: Iterable[TaskStatus]) -> WorkflowStatus:
    """One status for the workflow from those of its groups.

    All ended: canceled before server error before the timeouts; else, if all failed groups (those that failed only
    for an upstream aside) share one status, that; else FAILED; COMPLETED when none failed.
    """
    found = list(groups)
    if any(not status.ended for status in found):
        waiting = {TaskStatus.SUBMITTING, TaskStatus.WAITING, TaskStatus.PROCESSING, TaskStatus.SCHEDULING}
        return WorkflowStatus.PENDING if all(s in waiting for s in found) else WorkflowStatus.RUNNING
    for status in _WORKFLOW_ORDER:
        if status in found:
            return WorkflowStatus(status.value)
    failed = {status for status in found if status.failed} - {TaskStatus.FAILED_UPSTREAM}
    if not failed:
        return WorkflowStatus.FAILED if TaskStatus.FAILED_UPSTREAM in found else WorkflowStatus.COMPLETED
    return WorkflowStatus(failed.pop().value) if len(failed) == 1 else WorkflowStatus.FAILED


def of_group(tasks: Iterable[TaskStatus]) -> TaskStatus:
    """One status for a group from the last tries of those of its tasks that count."""
    found = list(tasks)
    for status in _GROUP_ORDER:
        if status in found:
            return status
    failed = [status for status in found if status.failed]
    if failed:
        return failed[0] if len(set(failed)) == 1 else TaskStatus.FAILED
    return TaskStatus.COMPLETED
