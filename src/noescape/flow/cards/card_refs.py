"""Whether the parts of a card fit together: every knob named exists, every default fits, nothing is both ways."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from string import Formatter
from typing import TYPE_CHECKING

from noescape.flow.cards.knobs import as_text, problem_with

if TYPE_CHECKING:
    from noescape.flow.cards.card import Card
    from noescape.flow.cards.card_parts import When


def problems(card: Card) -> list[str]:
    """Every disagreement, one line each."""
    found = [*_knobs(card), *_references(card), *_values(card), *_questions(card), *_classes(card)]
    if card.kind == "flow" and card.output is None:
        found.append("output: a flow says where its results lie")
    if card.output and card.output.folder.split("/")[0] not in card.folders:
        found.append(f"folders: {card.output.folder.split('/')[0]!r}, which holds the output, is not listed")
    return found


def _knobs(card: Card) -> Iterator[str]:
    for name, knob in card.knobs.items():
        if not name.isidentifier():
            yield f"knobs.{name}: a knob is a template variable: letters, digits and '_'"
        if (knob.type in ("choice", "list")) != bool(knob.choices):
            yield f"knobs.{name}: 'choices' belong to a choice or a list, and those need them"
        if knob.default is not None and (wrong := problem_with(knob, as_text(knob.default))):
            yield f"knobs.{name}.default: {wrong}"
        if knob.load_bearing and knob.default is not None:
            yield f"knobs.{name}: what is load-bearing has no default"
        if knob.min is not None and knob.max is not None and knob.min > knob.max:
            yield f"knobs.{name}: min {knob.min:g} is above max {knob.max:g}"
    for name in card.absent.keys() & card.knobs.keys():
        yield f"absent.{name}: it is a knob of this flow"


def _named(card: Card) -> Iterator[tuple[str, str]]:
    whens: list[tuple[str, When]] = [(f"knobs.{n}.matters", k.matters) for n, k in card.knobs.items()]
    whens += [(f"artifacts.{i}.when", a.when) for i, a in enumerate(card.artifacts)]
    whens += [(f"credentials.{i}.when", c.when) for i, c in enumerate(card.credentials)]
    whens += [(f"yields.{i}.when", y.when) for i, y in enumerate(card.yields)]
    yield from ((f"{where}.{knob}", knob) for where, when in whens for knob in when)
    yield from ((f"artifacts.{i}", n) for i, a in enumerate(card.artifacts) for n in _fields(a.path + a.setup))
    yield from ((f"yields.{i}.knob", y.knob) for i, y in enumerate(card.yields))
    yield from ((f"yields.{i}.scale.knob", y.scale.knob) for i, y in enumerate(card.yields) if y.scale)
    yield from ((f"settled.{knob}", knob) for knob in card.settled)
    yield from (("own_usecase", knob) for knob in card.own_usecase)
    yield from ((f"questions.{knob}", knob) for knob in card.questions)
    yield from ((f"intents.{n}.instead", k) for n, i in card.intents.items() for k in i.instead)
    yield from ((f"intents.{n}.cut", i.cut) for n, i in card.intents.items() if i.cut)
    single = {"usecase_knob": card.usecase_knob, "classes_knob": card.classes_knob}
    single["endpoint.knob"] = card.endpoint.knob if card.endpoint else None
    single["output.count"] = card.output.count if card.output else None
    yield from ((where, knob) for where, knob in single.items() if knob)


def _references(card: Card) -> Iterator[str]:
    for where, knob in _named(card):
        if knob not in card.knobs:
            yield f"{where}: there is no knob {knob!r}"
    for name, intent in card.intents.items():
        if intent.sizing and not card.yields:
            yield f"intents.{name}: sizing needs 'yields'"


def _values(card: Card) -> Iterator[str]:
    layers: list[tuple[str, Mapping[str, object]]] = [(f"usecases.{n}.sets", u.sets) for n, u in card.usecases.items()]
    layers += [
        (f"questions.{n}.options.{i}", o.sets) for n, q in card.questions.items() for i, o in enumerate(q.options)
    ]
    layers += [(f"intents.{n}.sets", i.sets) for n, i in card.intents.items()]
    for where, sets in layers:
        for knob, value in sets.items():
            if knob not in card.knobs:
                yield f"{where}.{knob}: there is no such knob"
            elif as_text(value) != "{n}" and (wrong := problem_with(card.knobs[knob], as_text(value))):
                yield f"{where}.{knob}: {wrong}"
    for i, table in enumerate(card.yields):
        if table.everything and table.knob in card.knobs and problem_with(card.knobs[table.knob], table.everything):
            yield f"yields.{i}.everything: {problem_with(card.knobs[table.knob], table.everything)}"


def _questions(card: Card) -> Iterator[str]:
    for knob in card.settled.keys() & card.questions.keys():
        yield f"settled.{knob}: what is settled is not asked about"
    for name, knob_ in card.knobs.items():
        if knob_.load_bearing and not knob_.stamp and name not in card.questions:
            yield f"questions.{name}: it is load-bearing, so there must be a question for it"
    for name, question in card.questions.items():
        for i, option in enumerate(question.options):
            if option.sets and name not in option.sets:
                yield f"questions.{name}.options.{i}: does not answer the question"


def _classes(card: Card) -> Iterator[str]:
    if card.classes and not card.classes_knob and any(len(c.usecases) > 1 for c in card.classes.values()):
        yield "classes_knob: classes for several use cases need a knob that names them"
    for name, made in card.classes.items():
        for usecase in made.usecases:
            if usecase not in card.usecases:
                yield f"classes.{name}: there is no use case {usecase!r}"


def _fields(text: str) -> list[str]:
    return [field for _, field, _, _ in Formatter().parse(text) if field]
