"""What a flow says about itself: a card, `<flow>.card.yaml` beside `<flow>.yaml`. Data, and nothing that acts.

The rest of `flow` interprets cards: what the flow makes and from what, its knobs with stage, range and default, what
must be there before it starts, how many outputs a setting gives, which questions are worth asking and which are
settled. The parts, and how conditions read, are in `card_parts.py`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from noescape.files import load_yaml
from noescape.flow.cards.card_parts import (
    Artifact,
    Class,
    Credential,
    Endpoint,
    Intent,
    Knob,
    Line,
    Option,
    Output,
    Profile,
    Question,
    Timeouts,
    UseCase,
    Yield,
)
from noescape.flow.cards.card_refs import problems
from noescape.flow.cards.knobs import as_text
from noescape.records import UsageError


class Card(BaseModel):
    """The whole card. `order` sorts lists and decides which flow makes a class that several make; see the parts.

    `own_usecase`: knobs that have no default when the use case is one of the user's own.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    card: Literal[1]
    title: Line
    kind: Literal["flow", "setup"]
    makes: Line
    summary: Line
    mechanism: Line
    entry_point: Line
    steps: Annotated[tuple[str, ...], Field(min_length=1)]
    order: int
    aliases: tuple[str, ...] = ()
    usecases: dict[str, UseCase] = {}
    usecase_knob: str | None = None
    own_usecase: tuple[str, ...] = ()
    classes: dict[str, Class] = {}
    classes_knob: str | None = None
    artifacts: tuple[Artifact, ...] = ()
    provides: tuple[str, ...] = ()
    credentials: tuple[Credential, ...] = ()
    endpoint: Endpoint | None = None
    knobs: dict[str, Knob]
    absent: dict[str, str] = {}
    questions: dict[str, Question] = {}
    settled: dict[str, str] = {}
    intents: dict[str, Intent] = {}
    yields: tuple[Yield, ...] = ()
    quiet: dict[str, Annotated[int, Field(ge=1)]] = {}
    output: Output | None = None
    folders: tuple[str, ...] = ()
    profiles: dict[str, Profile] = {}
    timeouts: Timeouts | None = None
    time: Line
    notes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Card:
        if wrong := problems(self):
            raise ValueError("; ".join(wrong))
        return self

    def defaults(self) -> dict[str, str]:
        """Every knob that has a default, as text."""
        return {name: as_text(k.default) for name, k in self.knobs.items() if k.default is not None}

    def required(self, values: Mapping[str, str]) -> tuple[Required, ...]:
        """The artifacts that a run with these knob values needs, with `{knob}` filled in (unknown ones stay)."""
        full = self.defaults() | dict(values)
        return tuple(
            Required(path=fill(a.path, full), holds=fill(a.holds, full), setup=fill(a.setup, full))
            for a in self.artifacts
            if holds(a.when, full)
        )


@dataclass(frozen=True, kw_only=True)
class Required:
    """An artifact that must be there: its path under `dig_url_root`, what it holds, the setup flow that makes it."""

    path: str
    holds: str
    setup: str


def holds(when: Mapping[str, tuple[str, ...]], values: Mapping[str, str]) -> bool:
    """Whether the condition holds for these values; a knob without a value matches the empty text only."""
    return all(_fits(values.get(knob, ""), allowed) for knob, allowed in when.items())


def _fits(value: str, allowed: tuple[str, ...]) -> bool:
    return value in allowed or ("!" in allowed and value != "")


def fill(text: str, values: Mapping[str, str]) -> str:
    """`text` with `{knob}` replaced by its value; a knob without one stays as it is."""
    return re.sub(r"\{(\w+)\}", lambda m: values.get(m[1]) or m[0], text)


def read_card(path: Path) -> Card:
    """The card in this file; UsageError with file and key for each thing that is wrong."""
    value = load_yaml(path)
    if not isinstance(value, dict):
        raise UsageError(f"{path}: expected a card, a mapping of keys; got {type(value).__name__}")
    try:
        return Card.model_validate(value)
    except ValidationError as error:
        lines = "\n".join(f"  {_explain(problem)}" for problem in error.errors())
        raise UsageError(f"{path}: this card cannot be used:\n{lines}") from None


def _explain(problem: Any) -> str:
    where = ".".join(str(part) for part in problem["loc"]) or "card"
    if problem["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(problem["loc"][-1]), _keys_beside(problem["loc"]), 1)
        return f"{where}: unknown key" + (f", did you mean {near[0]!r}?" if near else "")
    return f"{where}: {str(problem['msg']).removeprefix('Value error, ')}"


def _keys_beside(loc: tuple[Any, ...]) -> list[str]:
    models = (Card, Knob, UseCase, Class, Artifact, Credential, Option, Question, Intent, Yield, Output, Profile)
    return [key for model in (models[:1] if len(loc) == 1 else models[1:]) for key in model.model_fields]
