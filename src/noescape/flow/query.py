"""The query JSON of a run: the cluster's own keys, filled from the journal."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from noescape.flow.engine.layout import RunFolder
from noescape.flow.engine.state import GroupState, RunState, TaskState, Try, read_state
from noescape.flow.status import TaskStatus

_GROUP_TIMES = ("start_time", "end_time", "processing_start_time", "scheduling_start_time", "initializing_start_time")
_TASK_TIMES = (
    "processing_start_time",
    "scheduling_start_time",
    "initializing_start_time",
    "start_time",
    "end_time",
    "input_download_start_time",
    "input_download_end_time",
    "output_upload_start_time",
)


def query(run: Path) -> dict[str, Any]:
    """How the run in that folder stands, from its journal. DataError when that is damaged."""
    folder = RunFolder(run)
    return query_of(folder, read_state(folder.journal))


def query_of(run: RunFolder, state: RunState) -> dict[str, Any]:
    """The same from a state that is at hand. Durations in seconds; times in ISO 8601, UTC; null = not (yet)."""
    start, end = state.start_time, state.end_time
    status = state.status
    completed = {name for name, group in state.groups.items() if group.status is TaskStatus.COMPLETED}
    behind: dict[str, list[str]] = {name: [] for name in state.groups}
    for group in state.groups.values():
        for before in group.after:
            behind.setdefault(before, []).append(group.name)
    return {
        "name": run.id,
        "uuid": "",
        "submitted_by": os.environ.get("USER", ""),
        "cancelled_by": state.cancelled_by,
        "spec": str(run.workflow),
        "template_spec": str(run.source),
        "logs": str(run.log),
        "events": str(run.journal),
        "overview": str(run.path),
        "parent_name": None,
        "parent_job_id": None,
        "dashboard_url": None,
        "grafana_url": None,
        "tags": [],
        "submit_time": _iso(state.submit_time),
        "start_time": _iso(start),
        "end_time": _iso(None if status.alive else end),
        "exec_timeout": state.exec_timeout,
        "queue_timeout": state.queue_timeout,
        "duration": None if start is None else max(0.0, (end if end and not status.alive else time.time()) - start),
        "queued_time": 0.0 if state.submit_time is None or start is None else max(0.0, start - state.submit_time),
        "status": status.value,
        "outputs": "",
        "groups": [_group(run, state, group, completed, behind[group.name]) for group in state.groups.values()],
        "pool": None,
        "backend": "local",
        "app_owner": None,
        "app_name": None,
        "app_version": None,
        "plugins": {"rsync": False},
        "priority": "NORMAL",
        "labels": {},
        "warnings": [],
    }


def _group(
    run: RunFolder, state: RunState, group: GroupState, completed: set[str], behind: list[str]
) -> dict[str, Any]:
    return {
        "name": group.name,
        "status": group.status.value,
        **{key: _iso(group.times.get(key)) for key in _GROUP_TIMES},
        "remaining_upstream_groups": [name for name in group.after if name not in completed],
        "downstream_groups": behind,
        "failure_message": group.message or None,
        "tasks": [row for name in group.tasks for row in _tries(run, state, state.tasks[name])],
    }


def _tries(run: RunFolder, state: RunState, task: TaskState) -> list[dict[str, Any]]:
    """Every try, the last one last; a task that has not been tried (again) has a row for the try to come."""
    rows = [_task(run, task, one) for one in task.tries]
    if not task.live:
        to_come = Try(
            retry=state.next_retry(task.name),
            status=state.status_of(task),
            code=state.code_of(task),
            message=state.groups[task.group].message,
        )
        rows.append(_task(run, task, to_come))
    return rows


def _task(run: RunFolder, task: TaskState, one: Try) -> dict[str, Any]:
    folder = run.task(task.name, one.retry)
    return {
        "name": task.name,
        "retry_id": one.retry,
        "status": one.status.value,
        "failure_message": one.message or None,
        "exit_code": one.code,
        "logs": str(folder.log),
        "error_logs": None,
        **{key: _iso(one.times.get(key)) for key in _TASK_TIMES},
        "events": str(run.journal),
        "dashboard_url": None,
        "pod_name": "",
        "pod_ip": "127.0.0.1",
        "task_uuid": "",
        "node_name": "localhost",
        "lead": task.lead,
    }


def _iso(moment: float | None) -> str | None:
    return None if moment is None else datetime.fromtimestamp(moment, UTC).isoformat().replace("+00:00", "Z")
