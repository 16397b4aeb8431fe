"""What is wrong with a workflow file: one record per problem, all of them collected, each with its line."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

Place = tuple[str | int, ...]  # ("workflow", "tasks", 0, "args")
LIKE = 3
Level = Literal["error", "warning"]
Target = Literal["local", "osmo"]


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing to mend: where, what was expected and came (`message`), what to do (`mend`).

    `rule` is a short stable word for programs. A warning does not stop a run.
    """

    file: str
    line: int | None
    rule: str
    message: str
    mend: str = ""
    level: Level = "error"

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        warn = "warning: " if self.level == "warning" else ""
        return f"{where}: {warn}{_sentence(self.message)}" + (f" {_sentence(_capital(self.mend))}" if self.mend else "")


class Found:
    """Collects problems of one file.

    `lines` (filled once the YAML is read) turns places into lines of that file; `places` are those that something has
    been said of.

    Values that hold one of `placeholders` stand for what the user has not given yet: nothing is said about them.
    """

    def __init__(self, file: str, target: Target) -> None:
        self.file, self.target = file, target
        self.lines: dict[Place, int | None] = {}
        self.placeholders: set[str] = set()
        self.places: set[Place] = set()
        self._problems: dict[Problem, None] = {}

    def add(
        self, line: int | None, rule: str, message: str, mend: str = "", level: Level = "error", file: str = ""
    ) -> None:
        """Note a problem at a line of the file, or of another `file`."""
        self._problems[
            Problem(file=file or self.file, line=line, rule=rule, message=message, mend=mend, level=level)
        ] = None

    def at(
        self, place: Place, rule: str, message: str, mend: str = "", level: Level = "error", value: Any = None
    ) -> None:
        """Note a problem of the value at `place`; silent when `value` holds a placeholder."""
        self.places.add(place)
        if not self.unknown(value):
            self.add(self.line(place), rule, message, mend, level)

    def cluster(self, place: Place, rule: str, message: str, mend: str = "", value: Any = None) -> None:
        """What only the cluster refuses: an error for `osmo`, a warning for `local`."""
        self.at(place, rule, message, mend, "error" if self.target == "osmo" else "warning", value)

    def told(self, rule: str) -> bool:
        """Whether a problem of this rule has been noted."""
        return any(problem.rule == rule for problem in self._problems)

    def unknown(self, value: Any) -> bool:
        """Whether a value depends on something that has not been given."""
        if not self.placeholders or value is None:
            return False
        text = value if isinstance(value, str) else repr(value)
        return any(mark in text for mark in self.placeholders)

    def line(self, place: Place) -> int | None:
        """The line of a place, or of the nearest thing around it."""
        while place:
            for known in (place, (*place[:-1], str(place[-1]))):
                if known in self.lines:
                    return self.lines[known]
            place = place[:-1]
        return self.lines.get(())

    def all(self) -> tuple[Problem, ...]:
        """Every problem once, by file, line and message; those without a line first.

        Of many that differ in names only (a loop makes one for each turn) the first LIKE are kept, with a count.
        """
        ordered = sorted(self._problems, key=lambda p: (p.file != self.file, p.file, p.line or 0, p.rule, p.message))
        like: dict[tuple[object, ...], list[Problem]] = {}
        for each in ordered:
            like.setdefault((each.file, each.line, each.rule, each.level, each.mend), []).append(each)
        kept = []
        for alike in like.values():
            first = alike if len(alike) <= LIKE + 1 or alike[0].line is None else alike[:LIKE]
            kept += first
            if len(first) < len(alike):
                kept[-1] = replace(
                    kept[-1], message=f"{kept[-1].message} ({len(alike) - LIKE} more like it in this line)"
                )
        return tuple(kept)


def nearest(word: str, known: Iterable[str]) -> str:
    """` Did you mean 'x'?` or nothing."""
    choices = sorted(set(known))
    low = {choice.lower().replace("-", "_"): choice for choice in choices}
    found = difflib.get_close_matches(word.lower().replace("-", "_"), low, n=1, cutoff=0.7)
    return f"did you mean {low[found[0]]!r}?" if found else ""


def short(value: Any, limit: int = 60) -> str:
    """A value as it may stand in a message: YAML words for true, false and nothing, cut to `limit`."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a map" + (f" ({', '.join(str(k) for k in list(value)[:4])})" if value else " with nothing in it")
    if isinstance(value, (list, tuple)):
        return f"a list of {len(value)}"
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 4] + "…" + text[-2:]


def listed(words: Sequence[str], limit: int = 8) -> str:
    """`a, b, c` or the first few with how many more."""
    more = f" and {len(words) - limit} more" if len(words) > limit else ""
    return ", ".join(words[:limit]) + more


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else text + "."


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
