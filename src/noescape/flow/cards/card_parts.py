"""The parts of a card, each a strict model: what a knob, an artifact, an intent, a yield ... may say.

A condition (`When`) maps knobs to the values for which something holds; all must match, and an empty condition always
holds. Values are compared as text: true is `true`, 5 is `5`; `!` stands for any value but the empty one.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from noescape.flow.cards.knobs import Scalar, Type, as_text
from noescape.flow.format.units import parse_duration, parse_size


def _texts(value: Any) -> Any:
    return tuple(as_text(v) for v in value) if isinstance(value, (list, tuple)) else (as_text(value),)


def _size(value: Any) -> Any:
    parse_size(str(value))
    return value


def _duration(value: Any) -> Any:
    parse_duration(value)
    return str(value)


Size = Annotated[str, BeforeValidator(_size)]
Duration = Annotated[str, BeforeValidator(_duration)]
When = dict[str, Annotated[tuple[str, ...], BeforeValidator(_texts)]]
Line = Annotated[str, Field(min_length=1)]


class Part(BaseModel):
    """Unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Knob(Part):
    """One variable of the flow's template that a user may set.

    `default` absent: the flow has none. `words`: values outside of type and range that have a meaning of their own,
    each with it. `load_bearing`: without a value there is no run. `stamp`: filled afresh per run or submission.
    `shown`: written into commands even when it has its default. `matters`: only shown and asked under that condition.
    """

    type: Type
    stage: Line
    help: Line
    default: Scalar = None
    min: float | None = None
    max: float | None = None
    choices: tuple[str, ...] = ()
    words: dict[str, str] = {}
    load_bearing: bool = False
    stamp: bool = False
    shown: bool = False
    matters: When = {}


class UseCase(Part):
    """One kind of material or product the flow works for; `sets` are its own knob values."""

    title: Line
    sets: dict[str, Scalar] = {}


class Class(Part):
    """One class of result the flow makes: `also` are other words for it, `entry` is how its knob names it.

    `note` says what stands in the way, if something does.
    """

    usecases: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    entry: str | tuple[str, ...]
    note: str = ""


class Artifact(Part):
    """Something that must lie under `dig_url_root` before the start. `{knob}` in path and setup is filled in."""

    path: Line
    holds: Line
    setup: Line
    when: When = {}


class Credential(Part):
    """A credential that tasks use: its name on the cluster, its key, and the variable it is read from here."""

    name: Line
    key: Line
    variable: Line
    why: Line
    target: Literal["local", "osmo", "both"] = "both"
    when: When = {}


class Option(Part):
    """One answer: what it sets, or with `type_in` the words that ask for a value."""

    label: Line
    sets: dict[str, Scalar] = {}
    type_in: str = ""

    @model_validator(mode="after")
    def _either(self) -> Option:
        if bool(self.sets) == bool(self.type_in):
            raise ValueError("an option has either 'sets' or 'type_in'")
        return self


class Question(Part):
    """What is asked on a terminal when its knob is needed and not known: two to four answers."""

    ask: Line
    options: Annotated[tuple[Option, ...], Field(min_length=2, max_length=4)]


class Intent(Part):
    """What people ask for, in knobs. `{n}` in `sets` is the number asked for.

    `sizing`: the knob comes from the yields, so that at least that many come out; `cut` then names the knob that cuts
    to exactly that many. `refuse`: it does not exist here, and why; `instead` names the knobs that do it.
    """

    sets: dict[str, Scalar] = {}
    sizing: bool = False
    cut: str | None = None
    refuse: str = ""
    instead: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _one(self) -> Intent:
        if sum((bool(self.sets), self.sizing, bool(self.refuse))) != 1:
            raise ValueError("an intent has exactly one of 'sets', 'sizing' and 'refuse'")
        return self


class Scale(Part):
    """The yield shrinks with the number of entries in a list knob: `full` of them (or one of `all`) give all of it."""

    knob: str
    full: int = Field(ge=1)
    all: tuple[str, ...] = ()


class Yield(Part):
    """How many results a setting of `knob` gives: measured points, in between straight lines, beyond `growth`.

    `growth`: the factor per doubling outside of the points (2 is linear). `floor`: smallest setting to use.
    `most`: settings above it become `everything`, which means all there is. `spare`: aim for that many times more.
    """

    knob: str
    points: Annotated[dict[int, float], Field(min_length=1)]
    growth: float = Field(default=2.0, gt=1, le=2)
    floor: int = Field(default=1, ge=1)
    most: int | None = Field(default=None, ge=1)
    everything: str = ""
    spare: float = Field(default=1.0, ge=1)
    scale: Scale | None = None
    when: When = {}
    source: Line

    @model_validator(mode="after")
    def _monotone(self) -> Yield:
        if any(v <= 0 for v in self.points.values()) or min(self.points) < 1:
            raise ValueError("points are a positive setting and a positive number of results")
        counts = [self.points[k] for k in sorted(self.points)]
        if any(b <= a for a, b in pairwise(counts)):
            raise ValueError(f"more of the knob must give more results, got {counts}")
        return self


class Output(Part):
    """Where the results lie under `runs/<name>/`, which files count as results, and the knob that is their number."""

    folder: Line
    files: Line
    holds: Line
    count: str | None = None

    @model_validator(mode="after")
    def _regex(self) -> Output:
        try:
            re.compile(self.files)
        except re.error as error:
            raise ValueError(f"files: not a regular expression ({error})") from None
        return self


class Resources(Part):
    """What one task of a stage asks for."""

    cpu: int = Field(ge=1)
    memory: Size
    gpu: int = Field(ge=0)


class Profile(Part):
    """One size of the flow: per stage what its tasks ask for, and what the machine must offer beside it."""

    stages: dict[str, Resources]
    shm: Size | None = None
    nvoptix: bool = False
    disk: Size | None = None
    disk_note: str = ""


class Endpoint(Part):
    """A service that the flow calls when `knob` is not empty.

    `deployed`: the address of one of our own on the cluster, and `capacity` the GPUs that the pool must have in all to
    run it beside the flow.
    """

    knob: str
    deployed: str = ""
    capacity: int = 2


class Timeouts(Part):
    """Of each group."""

    exec: Duration
    queue: Duration
