"""The special tokens of a task (`{{output}}`, `{{input:0}}` …) and what takes their place."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from noescape.flow.format.spec import Input, Task

# Blanks are allowed here, unlike before the rendering: what comes out of a variable may have them.
TOKEN = re.compile(r"\{\{ *(uuid|workflow_id|output|input:[^{}\s]+|host:[^{}\s]+) *\}\}")
ANY_BRACES = re.compile(r"\{\{.*?\}\}")
T = TypeVar("T", str, Task)


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """What stands for the tokens of one task: paths as text, hosts by task of the same group.

    `inputs` has the folder of each input, by index and, for inputs from tasks, by the name of the task.
    """

    output: str
    workflow_id: str
    inputs: Mapping[str, str] = field(default_factory=dict)
    hosts: Mapping[str, str] = field(default_factory=dict)

    def value(self, token: str) -> str | None:
        """What stands for `input:0`; None for what nothing stands for (`uuid` never has a value)."""
        kind, _, name = token.partition(":")
        if kind in ("input", "host"):
            return (self.inputs if kind == "input" else self.hosts).get(name)
        return {"output": self.output, "workflow_id": self.workflow_id}.get(kind)


def input_names(inputs: tuple[Input, ...] | list[Input]) -> dict[str, int]:
    """The names an input goes by, with its index: `0`, and `train` for the outputs of `train` or `old-wf-3:train`.

    Of two inputs from the same task the later one has the name.
    """
    names: dict[str, int] = {}
    for index, each in enumerate(inputs):
        names[str(index)] = index
        if each.task:
            names[each.task.rpartition(":")[2]] = index
    return names


def substitute(target: T, tokens: Tokens) -> T:
    """`target` (a text or a whole task) with its tokens replaced; tokens that nothing stands for stay as they are.

    A task is replaced over its JSON as a whole, so keys, arguments, environment, file contents, urls and checkpoints
    all take part. One pass: a token inside of a value is text.
    """
    if isinstance(target, str):
        return TOKEN.sub(lambda match: _or_same(tokens.value(match[1]), match[0]), target)
    dumped = target.model_dump_json(exclude_none=True)
    replaced = TOKEN.sub(lambda match: _escaped(tokens.value(match[1]), match[0]), dumped)
    return Task.model_validate_json(replaced)


def _or_same(value: str | None, same: str) -> str:
    return same if value is None else value


def _escaped(value: str | None, same: str) -> str:
    return same if value is None else json.dumps(value)[1:-1]


def texts_of(value: Any) -> Iterator[str]:
    """Every text inside of plain data, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, held in value.items():
            yield from texts_of(key)
            yield from texts_of(held)
    elif isinstance(value, (list, tuple)):
        for held in value:
            yield from texts_of(held)
