"""A task as this machine runs it: tokens replaced, and the container's paths led into the task's folder."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from noescape.flow.engine.layout import TaskFolder
from noescape.flow.engine.places import container_paths, local_place, replacer
from noescape.flow.format.spec import Task
from noescape.flow.format.tokens import Tokens, input_names, substitute

LOOPBACK = "127.0.0.1"
# A place that waits for its real path, in characters that no text has use for. The real path goes in last, so that
# neither a token nor another path is ever replaced inside of it.
_WAITING = re.compile("\ue0f0([0-9]+)\ue0f1")


def tokens_of(task: Task, folder: TaskFolder, run_id: str, hosts: Sequence[str]) -> Tokens:
    """What stands for the tokens of a task whose folder is `folder`; every host is this one."""
    return Tokens(
        output=str(folder.output),
        workflow_id=run_id,
        inputs={name: str(folder.input(index)) for name, index in input_names(task.inputs).items()},
        hosts=dict.fromkeys(hosts, LOOPBACK),
    )


def localized(task: Task, folder: TaskFolder, run_id: str, hosts: Sequence[str]) -> Task:
    """The task with all its texts as its command sees them. Paths are those of `folder`, as it is written.

    Files and checkpoints keep the container's paths as their names (`places.local_place` tells where they lie).
    """
    if not _names_places(task):
        return task
    paths = container_paths(task)
    marks = {path: f"\ue0f0{index}\ue0f1" for index, path in enumerate(paths)}
    waiting = _over_texts(task, replacer(paths, marks.__getitem__))
    real = [str(local_place(folder, path)) for path in paths]
    replaced = substitute(waiting, tokens_of(task, folder, run_id, hosts))
    return _over_texts(replaced, lambda text: _WAITING.sub(lambda match: real[int(match[1])], text))


def _names_places(task: Task) -> bool:
    """Whether there is anything to replace at all."""
    text = task.model_dump_json(exclude_none=True)
    return "{{" in text or any(path in text for path in container_paths(task))


def _over_texts(task: Task, change: Callable[[str], str]) -> Task:
    """The texts that may name paths: command, arguments, environment, contents of files (encoded ones stay)."""
    return task.model_copy(
        update={
            "command": tuple(map(change, task.command)),
            "args": tuple(map(change, task.args)),
            "environment": {key: change(value) for key, value in task.environment.items()},
            "files": tuple(
                file if file.base64 else file.model_copy(update={"contents": change(file.contents)})
                for file in task.files
            ),
        }
    )
