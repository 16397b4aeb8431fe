"""Asking a person: one question, two to four answers, on a terminal; and saying what to give when there is none."""

from __future__ import annotations

import sys
from collections.abc import Callable

from noescape.flow.cards.card_parts import Question
from noescape.flow.cards.knobs import as_text
from noescape.records import UsageError

Ask = Callable[[str, Question], dict[str, str]]
_TRIES = 3


def on_terminal() -> Ask | None:
    """An asker when a person sits there (input and messages are both a terminal), else None."""
    return ask if sys.stdin.isatty() and sys.stderr.isatty() else None


def ask(knob: str, question: Question, *, read: Callable[[], str] | None = None) -> dict[str, str]:
    """Put the question on stderr and read the answer; the knobs it sets. UsageError when none comes."""
    reader = read or sys.stdin.readline
    _say(f"\n{question.ask}")
    for number, option in enumerate(question.options, 1):
        _say(f"  {number}  {option.label}")
    for _ in range(_TRIES):
        answer = _line(reader, f"1-{len(question.options)}: ")
        if answer.isdecimal() and 1 <= int(answer) <= len(question.options):
            option = question.options[int(answer) - 1]
            if not option.type_in:
                return {name: as_text(value) for name, value in option.sets.items()}
            if typed := _line(reader, f"{option.type_in}: "):
                return {knob: typed}
        else:
            _say(f"please type a number from 1 to {len(question.options)}")
    raise UsageError(f"{knob}: no answer; give it with --set {knob}=…")


def answers(question: Question) -> str:
    """The answers in one line, for those who cannot be asked."""
    return "; ".join(option.label for option in question.options)


def _line(read: Callable[[], str], prompt: str) -> str:
    print(prompt, end="", file=sys.stderr, flush=True)
    line = read()
    if not line:
        raise UsageError("no answer: the input ended")
    return line.strip()


def _say(text: str) -> None:
    print(text, file=sys.stderr)
