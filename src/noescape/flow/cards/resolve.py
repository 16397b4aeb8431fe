"""From what was given to what is set: wishes, remembered choices and questions become the `--set` of one run.

Later goes over earlier: the card's defaults, the use case's own values, remembered choices, wishes, what the user set.
What is load-bearing and still unknown is asked on a terminal; otherwise all of it is listed in one error. What is
settled is never asked.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from noescape.flow.cards.ask import Ask, answers
from noescape.flow.cards.card import Card, holds
from noescape.flow.cards.catalog import Flow
from noescape.flow.cards.intent import Asked, apply, class_notes, class_sets, named
from noescape.flow.cards.knobs import as_text, keeps_its_text, merged, problem_with
from noescape.flow.cluster.submit import stamped
from noescape.flow.storage import url_problem
from noescape.records import UsageError

Target = Literal["local", "osmo"]
DEPLOYED, NO_SERVICE = "deploy", "none"  # remembered words for an endpoint of one's own on the cluster, and for none


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """One run, decided. `sets` and `string_sets` (`k=v`) are what a command is given; `values` every knob, as text.

    `wanted`: the number of results asked for, if one was. `notes`: what a person should know.
    """

    flow: Flow
    target: Target
    sets: tuple[str, ...]
    string_sets: tuple[str, ...]
    values: Mapping[str, str]
    notes: tuple[str, ...] = ()
    wanted: int | None = None
    classes: tuple[str, ...] = ()


def resolve(
    flow: Flow,
    *,
    sets: Sequence[str] = (),
    string_sets: Sequence[str] = (),
    asked: Asked | None = None,
    classes: Sequence[str] = (),
    usecase: str | None = None,
    preferences: Mapping[str, str] | None = None,
    target: Target = "local",
    ask: Ask | None = None,
    name: str | None = None,
) -> Resolved:
    """Decide every knob. UsageError with all that is wrong, or with all that is not known and how to give it.

    `asked` are wishes such as `{"patches": 4}`, `classes` words for what to make; `name` replaces the fresh stamp. A
    flow without a card is passed through as it was given.
    """
    plain, texts = pairs(sets, "--set"), pairs(string_sets, "--set-string")
    given = plain | texts
    card = flow.card
    if card is None:
        _needs_card(flow, asked, classes, usecase)
        return Resolved(flow=flow, target=target, sets=tuple(sets), string_sets=tuple(string_sets), values=given)
    _known(flow, card, given)
    if usecase is not None and card.usecase_knob:
        given.setdefault(card.usecase_knob, usecase)
        plain.setdefault(card.usecase_knob, usecase)
    names = _class_names(card, classes, given)
    known, notes = _remembered(card, preferences or {}, target)
    given_use = given.get(card.usecase_knob or "") or _use_of(card, names)
    layers = merged(card.defaults(), _usecase(card, given_use), known, class_sets(card, names), given)
    wishes = apply(card, asked or {}, layers, given)
    chosen = merged(known, class_sets(card, names), wishes.sets, given)
    if given_use and card.usecase_knob:
        chosen[card.usecase_knob] = given_use
    chosen |= _answers(flow, card, chosen, ask)
    if _stamp(card) and _stamp(card) not in chosen:
        chosen[_stamp(card)] = name or stamped(flow.stem)
    full = merged(card.defaults(), _usecase(card, chosen.get(card.usecase_knob or "")), chosen)
    values = {n: full[n] for n in (*card.knobs, *(full.keys() - card.knobs.keys())) if n in full}  # in the card's order
    _check(flow, card, values, chosen, target)
    asked_for = given.keys() | wishes.sets.keys() | class_sets(card, names).keys()
    shown = {n: v for n, v in values.items() if n in asked_for or _is_shown(card, n, v, values)}
    out = [f"{n}={v}" for n, v in shown.items() if n not in texts and (n in plain or not _as_string(card, n, v))]
    strings = [f"{n}={v}" for n, v in shown.items() if n in texts or (n not in plain and _as_string(card, n, v))]
    return Resolved(
        flow=flow,
        target=target,
        sets=tuple(out),
        string_sets=tuple(strings),
        values=values,
        notes=(*notes, *class_notes(card, names), *wishes.notes),
        wanted=wishes.wanted,
        classes=names,
    )


def pairs(words: Iterable[str], flag: str) -> dict[str, str]:
    """`k=v` words as a mapping; UsageError names the word that is none."""
    found: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key.isidentifier():
            raise UsageError(f"{flag} {word}: expected KNOB=VALUE")
        if key in found and found[key] != value:
            raise UsageError(f"{flag}: {key} is given twice, as {found[key]!r} and {value!r}")
        found[key] = value
    return found


def _needs_card(flow: Flow, asked: Asked | None, classes: Sequence[str], usecase: str | None) -> None:
    wishes = [*(f"--{name}" for name in asked or {}), *map(repr, classes), *(["--usecase"] if usecase else [])]
    if wishes:
        raise UsageError(
            f"{flow.place} has no card, so {', '.join(wishes)} cannot be understood: set its knobs with --set, or "
            f"write {flow.stem}.card.yaml beside it"
        )


def _known(flow: Flow, card: Card, given: Mapping[str, str]) -> None:
    wrong = []
    text = flow.path.read_text("utf-8", "replace") if flow.path else ""
    for knob in given:
        if knob in card.knobs or re.search(rf"\b{re.escape(knob)}\b", text):
            continue
        near = difflib.get_close_matches(knob, card.knobs, 1)
        hint = card.absent.get(knob) or (f"did you mean {near[0]}?" if near else f"it has: {', '.join(card.knobs)}")
        wrong.append(f"{flow.stem} has no knob {knob}: {hint}")
    if wrong:
        raise UsageError("\n".join(wrong))


def _class_names(card: Card, words: Sequence[str], given: Mapping[str, str]) -> tuple[str, ...]:
    names = []
    for word in words:
        name = named(card, word)
        if name is None:
            raise UsageError(
                f"{card.title!r} does not make {word!r}; it makes: {', '.join(card.classes) or 'no classes'}"
            )
        names.append(name)
    if names and card.classes_knob in given:
        raise UsageError(f"classes are asked for and {card.classes_knob} is set too: choose one")
    return tuple(dict.fromkeys(names))


def _use_of(card: Card, names: Sequence[str]) -> str:
    uses = [set(card.classes[name].usecases) for name in names if card.classes[name].usecases]
    common = set.intersection(*uses) if uses else set()
    if uses and not common:
        raise UsageError(f"{', '.join(names)} belong to different use cases: ask for them one use case at a time")
    return common.pop() if len(common) == 1 else ""


def _usecase(card: Card, usecase: str | None) -> Mapping[str, object]:
    return card.usecases[usecase].sets if usecase in card.usecases else {}


def _remembered(card: Card, preferences: Mapping[str, str], target: Target) -> tuple[dict[str, str], list[str]]:
    known = {knob: value for knob, value in preferences.items() if knob in card.knobs and value != ""}
    notes: list[str] = []
    service = card.endpoint
    if service and known.get(service.knob) == NO_SERVICE:
        known[service.knob] = ""
    if service and known.get(service.knob) == DEPLOYED:
        known[service.knob] = service.deployed if target == "osmo" else ""
        if target == "local":
            meaning = card.knobs[service.knob].words.get("", "none")
            notes.append(f"{service.knob}: the one you deployed lives in the cluster; here it is {meaning}")
    return known, notes


def _answers(flow: Flow, card: Card, chosen: Mapping[str, str], ask: Ask | None) -> dict[str, str]:
    answered: dict[str, str] = {}
    missing = []
    for knob, spec in card.knobs.items():
        if not spec.load_bearing or spec.stamp or chosen.get(knob) or knob in answered:
            continue
        question = card.questions[knob]
        if ask:
            answered |= ask(knob, question)
        else:
            missing.append(f"  --set {knob}=…   {question.ask} ({answers(question)})")
    if missing:
        head = f"{flow.stem}: this must be known, and nothing is assumed for it:"
        raise UsageError(
            "\n".join([head, *missing, "  (`noescape flow init` asks for what is the same each time, once)"])
        )
    return answered


def _stamp(card: Card) -> str:
    return next((name for name, knob in card.knobs.items() if knob.stamp), "")


def _check(flow: Flow, card: Card, values: Mapping[str, str], chosen: Mapping[str, str], target: Target) -> None:
    wrong = []
    for name, value in values.items():
        knob = card.knobs.get(name)
        problem: str | None = problem_with(knob, value) if knob else ""
        if knob and not problem and knob.type == "place" and value not in knob.words:
            problem = url_problem(value, target)
        if problem:
            wrong.append(f"{flow.stem}: {name}: {problem}")
    usecase = values.get(card.usecase_knob or "", "")
    if usecase and usecase not in card.usecases:
        wrong += [
            f"{flow.stem}: {usecase!r} is a use case of your own ({', '.join(card.usecases)} ship), so --set {knob}=… "
            f"must be given: {card.knobs[knob].help}"
            for knob in card.own_usecase
            if knob not in chosen
        ]
    if wrong:
        raise UsageError("\n".join(wrong))


def _is_shown(card: Card, name: str, value: str, values: Mapping[str, str]) -> bool:
    knob = card.knobs[name]
    return (knob.shown and holds(knob.matters, values)) or value != as_text(knob.default)


def _as_string(card: Card, name: str, value: str) -> bool:
    knob = card.knobs.get(name)
    return (
        knob is not None
        and knob.type in ("text", "place", "url", "choice", "json", "list")
        and not keeps_its_text(value)
    )
