"""Flags that say what a run should be, alike for every command that decides one, and the decision they lead to."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from noescape.flow.cards.intent import Choice
    from noescape.flow.cards.resolve import Resolved, Target

WISHES = ("images", "crops", "patches", "smoke")


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Knobs and wishes."""
    parser.add_argument("--set", nargs="+", action="extend", default=[], metavar="K=V", help="knobs of the flow")
    parser.add_argument("--set-string", nargs="+", action="extend", default=[], metavar="K=V", help="never as numbers")
    parser.add_argument("--usecase", help="what is inspected, such as pcb, metal_surface, glass, or one of your own")
    parser.add_argument(
        "--images", type=_count, metavar="N", help="final images wanted; the flow's card knows the knobs"
    )
    parser.add_argument(
        "--crops", type=_count, metavar="N", help="most crops per material and cell, where there are crops"
    )
    parser.add_argument("--patches", type=_count, metavar="N", help="patches to render, where something is rendered")
    parser.add_argument("--smoke", action="store_true", help="a quick try, as small as the flow can be")
    parser.add_argument(
        "--defects", type=_words, default=[], metavar="A,B", help="what to make, such as bridge,tombstone"
    )


def wishes(args: argparse.Namespace) -> dict[str, int | bool]:
    """The wishes among the flags."""
    return {name: value for name in WISHES if (value := getattr(args, name, None)) not in (None, False)}


def decide(flow: Any, args: argparse.Namespace, *, target: Target = "local", name: str | None = None) -> Resolved:
    """One run of this flow, decided by the flags, what is remembered, and questions on a terminal."""
    from noescape.flow.cards.ask import on_terminal
    from noescape.flow.cards.preferences import read
    from noescape.flow.cards.resolve import resolve

    return resolve(
        flow,
        sets=args.set,
        string_sets=args.set_string,
        asked=wishes(args),
        classes=args.defects,
        usecase=args.usecase,
        preferences=read(),
        target=target,
        ask=on_terminal(),
        name=name,
    )


def decide_all(place: str | None, args: argparse.Namespace, *, target: Target = "local") -> list[Resolved]:
    """The runs asked for: of the named flow, or one for each flow that the wanted defects need, all with one name."""
    from noescape.flow.cards.ask import on_terminal
    from noescape.flow.cards.catalog import find
    from noescape.flow.cards.which import which
    from noescape.flow.cluster.submit import stamped

    if place is not None:
        return [decide(find(place), args, target=target)]
    if not args.defects:
        return [decide(find(which(on_terminal())), args, target=target)]
    usecase, chosen = _pick(args)
    name = stamped(chosen[0].flow.stem)
    decided = []
    for choice in chosen:
        own = argparse.Namespace(**{**vars(args), "defects": list(choice.classes)})
        own.usecase = choice.usecase if usecase is None and choice.usecase else args.usecase
        decided.append(decide(choice.flow, own, target=target, name=name))
    return decided


def _pick(args: argparse.Namespace) -> tuple[str | None, list[Choice]]:
    """The use case that was given or chosen, and the flows for the wanted defects."""
    from noescape.flow.cards.ask import on_terminal
    from noescape.flow.cards.catalog import flows
    from noescape.flow.cards.intent import AmbiguousError, pick
    from noescape.flow.cards.resolve import pairs
    from noescape.flow.cards.which import of_usecases

    given = pairs(args.set, "--set") | pairs(args.set_string, "--set-string")
    usecase = args.usecase or given.get("usecase")
    known = flows()
    try:
        return usecase, pick(known, args.defects, usecase)
    except AmbiguousError as error:
        asker = on_terminal()
        if asker is None or len(error.usecases) < 2:
            raise
        usecase = of_usecases(asker, args.defects, error.usecases)
        args.usecase = usecase
        return usecase, pick(known, args.defects, usecase)


def pool(args: argparse.Namespace) -> str | None:
    """The pool given, else the remembered one."""
    from noescape.flow.cards.preferences import read

    return args.pool or read().get("pool")


def _count(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a whole number, got {text!r}") from None


def _words(text: str) -> list[str]:
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not words:
        raise argparse.ArgumentTypeError("expected words with commas between, such as bridge,tombstone")
    return words
