"""What people ask for, in knobs: a number of results, a quick try, classes by name. All of it read from cards."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from noescape.flow.cards.card import Card
from noescape.flow.cards.card_parts import Intent
from noescape.flow.cards.catalog import Flow, cards_of
from noescape.flow.cards.knobs import as_text, problem_with
from noescape.flow.cards.sizing import expected, setting_for, table_for
from noescape.records import UsageError

Asked = Mapping[str, int | bool]


@dataclass(frozen=True, kw_only=True)
class Applied:
    """What the wishes became: knob values, what a person should know, and the number of results asked for, if one was.

    `derived` are the knobs among `sets` that were worked out; a value that the user gives goes before them.
    """

    sets: dict[str, str]
    derived: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()
    wanted: int | None = None


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A flow for some of the classes asked for; `usecase` when these classes belong to one."""

    flow: Flow
    classes: tuple[str, ...]
    usecase: str | None


class AmbiguousError(UsageError):
    """Words that mean something in several use cases; `usecases` are those for which all of them do."""

    def __init__(self, message: str, usecases: list[str]) -> None:
        super().__init__(message)
        self.usecases = usecases


def apply(card: Card, asked: Asked, values: Mapping[str, str], given: Iterable[str] = ()) -> Applied:
    """Turn wishes (`{"smoke": True, "patches": 4}`) into knobs of this flow.

    `values` are all values known so far, `given` the knobs among them that the user set himself. UsageError names the
    right knob where a wish does not exist, and both sides where two wishes contradict each other.
    """
    sets: dict[str, str] = {}
    source: dict[str, str] = {}
    sized: list[tuple[str, int, Intent]] = []
    wanted = None
    for name, number in sorted(asked.items(), key=lambda item: item[1] is not True):  # quick try first, numbers over it
        intent = _of(card, name, number)
        if intent.sizing:
            sized.append((name, int(number), intent))
        for knob, value in intent.sets.items():
            text = as_text(value).replace("{n}", str(int(number)))
            if wrong := problem_with(card.knobs[knob], text):
                raise UsageError(f"{_flag(name, number)} sets {knob}: {wrong}")
            if knob in given and values.get(knob) != text and number is not True:
                raise UsageError(
                    f"{_flag(name, number)} sets {knob}={text}, and {knob}={values[knob]} is set too: choose one"
                )
            if knob not in given:
                sets[knob], source[knob] = text, name
        if card.output and card.output.count and card.output.count in intent.sets and number is not True:
            wanted = int(number)
    fixed = {**values, **sets}
    notes: list[str] = []
    derived: set[str] = set()
    for name, number, intent in sized:
        wanted = number
        quick = {knob for knob, by in source.items() if asked[by] is True}
        own = {*given, *(sets.keys() - quick)}
        new, said = _size(card, name, number, intent, fixed, own)
        sets |= new
        derived |= new.keys()
        notes += said
    return Applied(sets=sets, derived=frozenset(derived), notes=tuple(notes), wanted=wanted)


def class_sets(card: Card, wanted: Sequence[str]) -> dict[str, str]:
    """The knob that makes exactly these classes (names as on the card)."""
    if card.classes_knob is None or not wanted:
        return {}
    entries = [card.classes[name].entry for name in wanted]
    if card.knobs[card.classes_knob].type == "json":
        return {card.classes_knob: json.dumps(entries, separators=(",", ":"))}
    return {card.classes_knob: ",".join(str(entry) for entry in entries)}


def class_notes(card: Card, wanted: Sequence[str]) -> tuple[str, ...]:
    """What stands in the way of these classes."""
    return tuple(f"{name}: {card.classes[name].note}" for name in wanted if card.classes[name].note)


def named(card: Card, word: str) -> str | None:
    """The class on this card that a word means, whatever its case and hyphens; None when it makes none such."""
    plain = _plain(word)
    for name, made in card.classes.items():
        if plain in {_plain(name), *map(_plain, made.also)}:
            return name
    return None


def pick(known: Iterable[Flow], words: Sequence[str], usecase: str | None = None) -> list[Choice]:
    """The flows that make these classes, each class once, in the order of the cards.

    Of several flows the first by its card's `order` makes a class. UsageError for a word nobody knows,
    AmbiguousError when words mean something in several use cases and `usecase` does not decide.
    """
    cards = [(flow, card) for flow, card in cards_of(known) if card.classes]
    spots = [_candidates(cards, word, usecase) for word in words]
    uses = [{use for _, _, use in found} for found in spots]
    common = set.intersection(*uses) if uses else set()
    if len(set.union(*uses) if uses else ()) > 1:
        if len(common) != 1:
            raise AmbiguousError(_ambiguous(words, uses, bool(common)), sorted(common))
        spots = [[spot for spot in found if spot[2] in common] for found in spots]
    chosen: dict[str, Choice] = {}
    for found in spots:
        flow, name, use = found[0]
        before = chosen[flow.stem].classes if flow.stem in chosen else ()
        classes = before if name in before else (*before, name)
        chosen[flow.stem] = Choice(flow=flow, classes=classes, usecase=use or None)
    return list(chosen.values())


def _candidates(cards: list[tuple[Flow, Card]], word: str, usecase: str | None) -> list[tuple[Flow, str, str]]:
    found = []
    for flow, card in cards:
        if name := named(card, word):
            uses = card.classes[name].usecases or ("",)
            found += [(flow, name, use) for use in uses if usecase in (None, use) or not use]
    if found:
        return found
    made = sorted({name for _, card in cards for name, c in card.classes.items() if usecase in (None, *c.usecases)})
    where = f" for {usecase}" if usecase else ""
    raise UsageError(f"no flow makes {word!r}{where}; there are: {', '.join(made) or 'none'}")


def _ambiguous(words: Sequence[str], uses: Sequence[set[str]], common: bool) -> str:
    lines = [f"  {word}: {' or '.join(sorted(found))}" for word, found in zip(words, uses, strict=True)]
    reason = "made for several use cases" if common else "of different use cases: ask for them one use case at a time"
    everything = sorted(set.union(*uses))
    return "\n".join([f"these are {reason}; say which with --usecase {'|'.join(everything)}:", *lines])


def _of(card: Card, name: str, number: int | bool) -> Intent:
    intent = card.intents.get(name)
    if intent is None:
        known = ", ".join(f"--{other}" for other in card.intents) or "none"
        raise UsageError(f"{_flag(name, number)}: not a wish that {card.title!r} knows; it knows: {known}")
    if intent.refuse:
        ways = [_way(card, knob) for knob in intent.instead]
        raise UsageError(f"{_flag(name, number)}: {intent.refuse}" + (f"; use {' or '.join(ways)}" if ways else ""))
    if number is not True and int(number) < 1:
        raise UsageError(f"{_flag(name, number)}: expected a number of 1 or more")
    return intent


def _way(card: Card, knob: str) -> str:
    """How to reach a knob: the wish that sets it, with the knob's name."""
    for name, intent in card.intents.items():
        if any(as_text(v) == "{n}" for k, v in intent.sets.items() if k == knob):
            return f"--{name} N (the knob {knob})"
    return f"--set {knob}=…"


def _size(
    card: Card, name: str, number: int, intent: Intent, values: Mapping[str, str], own: set[str]
) -> tuple[dict[str, str], list[str]]:
    table = table_for(card, values)
    sets = {intent.cut: str(number)} if intent.cut and intent.cut not in own else {}
    if table is None:
        knobs = " or ".join(_way(card, knob) for knob in dict.fromkeys(t.knob for t in card.yields))
        which = ", ".join(f"{k}={values.get(k, '')}" for t in card.yields for k in t.when)
        raise UsageError(
            f"--{name} {number}: how many results {which} gives was never measured; use {knobs}, once, and count"
        )
    if table.knob in own:
        if values[table.knob].isdecimal():
            most = expected(table, int(values[table.knob]), values)
            if most < number:
                return sets, [
                    f"{table.knob}={values[table.knob]} gives about {most:.0f}, fewer than the {number} asked for"
                ]
        return sets, []
    setting = setting_for(table, number, values)
    sets[table.knob] = table.everything if setting is None else str(setting)
    if setting is None:
        return sets, [f"all there is is used, which may be fewer than {number}"]
    about = expected(table, setting, values)
    rest = f", of which {number} are kept" if intent.cut else ""
    return sets, [
        f"{table.knob}={setting} gives about {about:.0f}{rest} ({table.source}); the run's end tells how many it gave"
    ]


def _flag(name: str, number: int | bool) -> str:
    return f"--{name}" if number is True else f"--{name} {int(number)}"


def _plain(word: str) -> str:
    return re.sub(r"[\s-]+", "_", word.strip().lower())
