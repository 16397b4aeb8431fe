"""What can be said before anything starts: all of it at once."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Protocol

from noescape.flow.engine.layout import TaskFolder
from noescape.flow.engine.localize import tokens_of
from noescape.flow.engine.needs import gpu_problems
from noescape.flow.format.spec import Task, Workflow
from noescape.flow.format.tokens import substitute
from noescape.flow.machine import Machine
from noescape.records import UsageError


class Giver(Protocol):
    """What is asked of credentials before a start."""

    def missing(self, workflow: Workflow) -> list[str]:
        """Credentials without a value."""


def written_urls(task: Task) -> list[str]:
    """The urls that a task uploads to, as it writes them."""
    return list(dict.fromkeys([one.url for one in task.outputs] + [one.place for one in task.checkpoint]))


def checkpoint_places(workflow: Workflow, base: Path, run_id: str) -> tuple[str, ...]:
    """Where the checkpoints of all tasks go, absolute."""
    return tuple(
        place
        for task in workflow.tasks
        for place in resolved(task, [one.place for one in task.checkpoint], base, run_id)[0]
    )


def problems_before(workflow: Workflow, *, machine: Machine, credentials: Giver, base: Path, run_id: str) -> list[str]:
    """Everything that would stop the run later: GPUs, credentials, urls, two tasks that write one folder."""
    found = [*gpu_problems(workflow, machine), *credentials.missing(workflow)]
    places: dict[str, str] = {}
    for task in workflow.tasks:
        urls = [one.url for one in task.inputs if one.url is not None]
        _, wrong = resolved(task, urls, base, run_id)
        written, also_wrong = resolved(task, written_urls(task), base, run_id)
        found += wrong + also_wrong
        for place in written:
            other = next((p for p in places if _overlap(p, place)), None)
            if other is not None and places[other] != task.name:
                found.append(f"tasks {places[other]} and {task.name} both write {place}: give each a folder of its own")
            places.setdefault(place, task.name)
    return found


def resolved(task: Task, urls: Iterable[str], base: Path, run_id: str) -> tuple[list[str], list[str]]:
    """`urls` with tokens replaced, absolute; and what is wrong with the others, in words."""
    from noescape.flow.storage import absolute

    tokens = tokens_of(task, TaskFolder(base / "tasks" / task.name / "0"), run_id, ())
    good, bad = [], []
    for url in urls:
        try:
            good.append(absolute(substitute(url, tokens), base))
        except UsageError as error:
            bad.append(f"task {task.name}: {error}")
    return good, bad


def _overlap(one: str, other: str) -> bool:
    first, second = PurePosixPath(one), PurePosixPath(other)
    return first.is_relative_to(second) or second.is_relative_to(first)


def folder_problem(folder: Path) -> str | None:
    """Why nothing can be written below `folder`, which exists; None if it can."""
    return None if os.access(folder, os.W_OK | os.X_OK) else f"{folder}: not writable"
