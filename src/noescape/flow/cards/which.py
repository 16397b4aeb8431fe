"""Which flow, when none is named: a few questions on a terminal, else the list of what there is to choose from."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from noescape.files import parse_yaml
from noescape.flow.cards.ask import Ask
from noescape.flow.cards.card_parts import Option, Question
from noescape.records import UsageError

_KEY = "flow"


class Answer(BaseModel):
    """One answer: the stem of a flow, or the question it leads to."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    label: str
    flow: str | None = None
    then: Branch | None = None

    @model_validator(mode="after")
    def _one(self) -> Answer:
        if (self.flow is None) == (self.then is None):
            raise ValueError("an answer has either 'flow' or 'then'")
        return self


class Branch(BaseModel):
    """A question with two to four answers."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ask: str
    options: Annotated[tuple[Answer, ...], Field(min_length=2, max_length=4)]


def tree() -> Branch:
    """The questions, as data has them."""
    name = "which_flow.yaml"
    text = (resources.files("noescape.assets") / "flow" / name).read_text("utf-8")
    return Branch.model_validate(parse_yaml(text, name=name))


def leaves(branch: Branch) -> Iterator[tuple[str, str]]:
    """Stem and label of every flow that the questions lead to."""
    for option in branch.options:
        if option.then:
            yield from leaves(option.then)
        elif option.flow:
            yield option.flow, option.label


def which(ask: Ask | None) -> str:
    """The stem of the flow wanted. UsageError with all there are when nobody can be asked."""
    branch = tree()
    if ask is None:
        width = max(len(stem) for stem, _ in leaves(branch))
        lines = [f"  {stem:<{width}}  {label}" for stem, label in leaves(branch)]
        raise UsageError("\n".join(["which flow? Name one, or say what to make:", *lines]))
    while True:
        labels = [option.label for option in branch.options]
        options = tuple(Option(label=label, sets={_KEY: str(i)}) for i, label in enumerate(labels))
        chosen = branch.options[int(ask(_KEY, Question(ask=branch.ask, options=options))[_KEY])]
        if chosen.flow:
            return chosen.flow
        assert chosen.then  # noqa: S101 - one of the two, as the model checks
        branch = chosen.then


def of_usecases(ask: Ask, words: list[str], usecases: list[str]) -> str:
    """Which use case is meant by words that several know."""
    options = tuple(Option(label=name, sets={_KEY: name}) for name in usecases[:4])
    return ask(_KEY, Question(ask=f"For which use case is {', '.join(words)} meant?", options=options))[_KEY]
