"""Flows as text: the list of them, and one card as a page."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterable, Iterator, Sequence

from noescape.flow.cards.card import Card
from noescape.flow.cards.card_parts import Knob
from noescape.flow.cards.catalog import Flow
from noescape.flow.cards.knobs import as_text


def list_text(flows: Sequence[Flow]) -> str:
    """A table of flow, state, use cases, with what each makes under its name; setup flows apart."""
    lines: list[str] = []
    names = max((len(flow.stem) for flow in flows), default=0)
    for kind, head in (("flow", "Flows"), ("setup", "Setup, once for each dig_url_root")):
        rows = [flow for flow in flows if (flow.card.kind if flow.card else "flow") == kind]
        if rows:
            lines += [f"{head:<{names + 2}}  state    for"]
        for flow in rows:
            uses = ", ".join(flow.card.usecases) if flow.card else ""
            state = "ready" if flow.ready else "planned"
            lines.append(f"  {flow.stem:<{names}}  {state:<7}  {uses or 'any'}")
            lines += _wrapped(flow.card.makes if flow.card else "no card; see `noescape flow validate`", "      ")
        lines.append("")
    lines.append("noescape flow show NAME tells all about one; noescape flow plan NAME what a run of it needs")
    return "\n".join(lines) + "\n"


def show_text(flow: Flow) -> str:
    """What a flow says about itself, on one page."""
    card = flow.card
    if card is None:
        return f"{flow.stem}: no card beside {flow.path}; `noescape flow validate {flow.place}` checks the workflow\n"
    lines = [f"{flow.stem}: {card.title} ({'ready' if flow.ready else 'planned'})", ""]
    lines += [*_wrapped(f"Makes {card.makes}.", ""), *_wrapped(card.summary, ""), ""]
    sections: list[tuple[str, Iterable[str]]] = [
        ("From", [card.entry_point]),
        ("Steps", [f"{number}. {step}" for number, step in enumerate(card.steps, 1)]),
        ("Use cases", [f"{name}: {use.title}" for name, use in card.usecases.items()]),
        ("Makes", _classes(card)),
        ("Needs, under dig_url_root", _needs(card)),
        ("Puts there", card.provides),
        ("Knobs", _knobs(card)),
        ("Not here", [f"{name}: {reason}" for name, reason in card.absent.items()]),
        ("Never asked", [f"{knob}: {value}" for knob, value in card.settled.items()]),
        ("Wishes", _wishes(card)),
        ("Yield", _yields(card)),
        ("Results", [f"runs/<name>/{card.output.folder}/: {card.output.holds}"] if card.output else []),
        ("Notes", card.notes),
    ]
    for head, body in sections:
        rows = list(body)
        if rows:
            lines += [f"{head}:", *(part for row in rows for part in _wrapped(row, "  ", "      ")), ""]
    return "\n".join(lines)


def knob_values(knob: Knob) -> str:
    """What a knob takes, in a few words."""
    if knob.choices:
        text = "|".join(knob.choices)
    else:
        text = knob.type
        if knob.min is not None or knob.max is not None:
            low, high = (f"{v:g}" if v is not None else "" for v in (knob.min, knob.max))
            text += f" {low}..{high}"
    words = ", ".join(f"{word!r} = {meaning}" for word, meaning in knob.words.items())
    return text + (f"; {words}" if words else "")


def _classes(card: Card) -> Iterator[str]:
    for name, made in card.classes.items():
        also = f" (also: {', '.join(made.also)})" if made.also else ""
        uses = f"; {', '.join(made.usecases)}" if len(card.usecases) > 1 else ""
        yield f"{name}{also}{uses}{'; ' + made.note if made.note else ''}"


def _needs(card: Card) -> Iterator[str]:
    for artifact in card.artifacts:
        when = ", ".join(f"{knob}={' or '.join(values)}" for knob, values in artifact.when.items())
        yield f"{artifact.path}: {artifact.holds}; made by {artifact.setup}{'; with ' + when if when else ''}"


def _knobs(card: Card) -> Iterator[str]:
    for name, knob in card.knobs.items():
        if knob.stamp:
            default = "stamped afresh each time"
        else:
            default = "no default" if knob.default is None else f"default {as_text(knob.default)!r}"
        yield f"{name} [{knob.stage}] {knob_values(knob)}; {default}: {knob.help}"


def _wishes(card: Card) -> Iterator[str]:
    for name, intent in card.intents.items():
        if intent.refuse:
            yield f"--{name}: not here, {intent.refuse}{'; use ' + ', '.join(intent.instead) if intent.instead else ''}"
        elif intent.sizing:
            knobs = " and ".join(dict.fromkeys(table.knob for table in card.yields))
            yield f"--{name} N: {knobs} by the yield{', then cut by ' + intent.cut if intent.cut else ''}"
        else:
            yield f"--{name}: " + ", ".join(f"{k}={as_text(v).replace('{n}', 'N')}" for k, v in intent.sets.items())


def _yields(card: Card) -> Iterator[str]:
    for table in card.yields:
        points = ", ".join(f"{setting} gives {count:g}" for setting, count in sorted(table.points.items()))
        when = ", ".join(f"{knob}={' or '.join(values)}" for knob, values in table.when.items())
        yield f"{table.knob}{' (' + when + ')' if when else ''}: {points}; twice as much gives {table.growth:g} times"
        yield table.source


def _wrapped(text: str, indent: str, rest: str | None = None) -> list[str]:
    width = max(60, min(shutil.get_terminal_size((100, 24)).columns, 120))
    hanging = indent if rest is None else rest
    found = textwrap.wrap(
        text, width, initial_indent=indent, subsequent_indent=hanging, break_long_words=False, break_on_hyphens=False
    )
    return found or [""]
