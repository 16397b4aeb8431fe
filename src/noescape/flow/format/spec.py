"""The portable subset of the workflow format, as strict models: what a rendered file may say.

Task and url inputs and outputs; no datasets and no labels, which some versions of the cluster refuse. Rules that one
value can answer for stand here; rules between values (order, names, tokens) in `rules.py`.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from noescape.flow.format.units import parse_duration, parse_size

NAME = re.compile(r"[a-zA-Z]([a-zA-Z0-9_-]*[a-zA-Z0-9])?")
MAX_NAME = 64
_CODES = re.compile(r"\d+(-\d+)?(,\d+(-\d+)?)*")
_DATA = re.compile(r"\{\{ *(?:input:([^{}]+?)|(output)) *\}\}")
ACTIONS = ("COMPLETE", "FAIL", "RESCHEDULE")


def _name(value: str) -> str:
    if not NAME.fullmatch(value):
        raise ValueError(
            f"a name has letters, digits, '-' and '_', a letter first and no '-' or '_' last; got {value!r}"
        )
    return value


def _text(value: Any) -> Any:
    return str(value) if isinstance(value, (bool, int, float)) else value  # true becomes 'True', as on the cluster


def _duration(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError("expected a duration such as 90 (seconds), 90m or 2h")
    seconds = parse_duration(value)
    return (
        value if isinstance(value, str) else f"{seconds:.0f}s" if seconds == int(seconds) else f"{seconds * 1e6:.0f}us"
    )


def _size(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise ValueError("expected a size such as 8Gi")
    parse_size(str(value))
    return str(value)


def _cache(value: Any) -> Any:
    percent = re.fullmatch(r"(\d+(?:\.\d+)?)%", value) if isinstance(value, str) else None
    if percent and float(percent[1]) <= 100:
        return value
    return _size(value)


def _credential(value: Any) -> Any:
    if isinstance(value, dict) and all(isinstance(held, (str, bool, int, float)) for held in value.values()):
        return {str(key): str(held) for key, held in value.items()}
    if isinstance(value, (str, bool, int, float)):
        return str(value)
    raise ValueError("a credential is a folder to mount it at (/secrets) or a map {VARIABLE: key}")


def _pattern(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"not a regular expression ({error}): {value!r}") from None
    return value


Name = Annotated[str, AfterValidator(_name)]  # after: a bare number has become text by then
Duration = Annotated[str, BeforeValidator(_duration)]
Size = Annotated[str, BeforeValidator(_size)]
Pattern = Annotated[str, BeforeValidator(lambda v: _pattern(v) if isinstance(v, str) else v)]
CacheSize = Annotated[str, BeforeValidator(_cache)]
Text = Annotated[str, BeforeValidator(_text)]
Credential = Annotated[str | dict[str, str], BeforeValidator(_credential)]


class Model(BaseModel):
    """Unknown keys are errors; numbers become text where text is expected, true and false do not."""

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)


class Input(Model):
    """What a task reads: another task's outputs, or a url. `regex` picks relative paths (anchored at the start)."""

    task: str | None = None
    url: str | None = None
    regex: Pattern | None = None

    @model_validator(mode="after")
    def _one(self) -> Input:
        if (self.task is None) == (self.url is None):
            raise ValueError("an input has either 'task' or 'url'")
        return self


class Output(Model):
    """Where a task's outputs go besides the workflow's own storage."""

    url: str
    regex: Pattern | None = None


class File(Model):
    """A file that is there before the task starts. `localpath` has become `contents` when this is made."""

    path: str
    contents: str
    base64: bool = False


class Checkpoint(Model):
    """A folder of the task that is uploaded every `frequency`, and once more at the end."""

    path: str
    url: str
    frequency: Duration
    regex: Pattern | None = None

    @property
    def place(self) -> str:
        """Where the files go: below `url` under the folder's own name, as on a cluster (`/tmp/models` to `URL/models`).

        Outputs are different: what lies in their folder goes to their url itself.
        """
        name = PurePosixPath(_DATA.sub(lambda m: m[1] or m[2], self.path)).name
        return f"{self.url.rstrip('/')}/{name}" if name else self.url


class Kpi(Model):
    """A figure file that is kept separately."""

    index: str
    path: str


class Topology(Model):
    """Where the tasks of a group should stand to each other in the cluster."""

    key: str
    group: str = "default"
    requirementType: Literal["required", "preferred"] = "required"  # noqa: N815 - the format's own names


class Resource(Model):
    """What a task asks of the machine: whole cores, whole GPUs, memory and storage in Ki, Mi, Gi, Ti."""

    cpu: int | None = Field(default=None, ge=0)
    gpu: int | None = Field(default=None, ge=0)
    memory: Size | None = None
    storage: Size | None = None
    platform: str | None = None
    nodesExcluded: tuple[str, ...] = ()  # noqa: N815
    topology: tuple[Topology, ...] = ()


class Timeout(Model):
    """How long a group may wait, and run."""

    exec_timeout: Duration | None = None
    queue_timeout: Duration | None = None


class Task(Model):
    """One command with its inputs, outputs, environment and credentials."""

    name: Name
    image: str
    command: tuple[str, ...] = Field(min_length=1)
    args: tuple[str, ...] = ()
    environment: dict[Text, Text] = {}
    inputs: tuple[Input, ...] = ()
    outputs: tuple[Output, ...] = ()
    files: tuple[File, ...] = ()
    resource: str = "default"
    credentials: dict[Text, Credential] = {}
    exitActions: dict[str, Text] = {}  # noqa: N815
    checkpoint: tuple[Checkpoint, ...] = ()
    lead: bool = False
    kpis: tuple[Kpi, ...] = ()
    privileged: bool = False
    hostNetwork: bool = False  # noqa: N815
    volumeMounts: tuple[str, ...] = ()  # noqa: N815
    downloadType: Literal["download"] | None = None  # noqa: N815
    cacheSize: CacheSize | None = None  # noqa: N815
    backend: str | None = None

    @field_validator("exitActions")
    @classmethod
    def _actions(cls, value: dict[str, str]) -> dict[str, str]:
        wrong = [
            f"an exit action is one of {', '.join(ACTIONS)}, got {action!r}"
            for action in value
            if action.upper() not in ACTIONS
        ]
        wrong += [
            f"exit codes are written '137,200-210', without spaces, got {codes!r}"
            for codes in value.values()
            if not _CODES.fullmatch(codes)
        ]
        if wrong:
            raise ValueError("; ".join(wrong))
        actions: dict[str, str] = {}
        for action, codes in value.items():  # `fail` and `FAIL` are one action, and both lists of codes count
            actions[action.upper()] = ",".join(filter(None, (actions.get(action.upper()), codes)))
        return actions


class Group(Model):
    """Tasks that start together; the unit of scheduling. Exactly one of them leads."""

    name: Name
    tasks: tuple[Task, ...] = Field(min_length=1)
    barrier: bool = True
    ignoreNonleadStatus: bool = True  # noqa: N815


class Workflow(Model):
    """A whole workflow in its one normal form: groups only.

    A file lists `tasks` or `groups`; a top-level task `t` becomes the group `t-group` whose lead it is (`parse` in
    `load.py` does that, so that nothing behind it needs to know both forms).
    """

    name: Name
    groups: tuple[Group, ...]
    resources: dict[str, Resource] = {}
    timeout: Timeout = Timeout()
    pool: str | None = None

    @property
    def tasks(self) -> tuple[Task, ...]:
        """Every task, in the order of the file."""
        return tuple(task for group in self.groups for task in group.tasks)
