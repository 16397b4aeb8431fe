"""Which line of the user's file a rendered line came from.

A twin of the template carries, before the first visible character of each piece of literal text, a mark with its line
number in private-use characters. Rendered like the template, the twin says for each line of the result where it came
from, through loops and conditions. It is believed only if without the marks it equals the real rendering.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_OPEN, _CLOSE = "\ue000", "\ue001"
_MARK = re.compile(f"{_OPEN}(\\d+){_CLOSE}")
_TAG = re.compile(r"\{\{|\{%|\{#")
_RAW = re.compile(r"\{%[-+]?\s*raw\s*[-+]?%\}")
_ENDRAW = re.compile(r"\{%[-+]?\s*endraw\s*[-+]?%\}")
_BRACKETS = {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}


def mark(text: str, first_line: int) -> str | None:
    """The twin of `text`, whose first line has the number `first_line`; None when it already holds such characters."""
    if _OPEN in text or _CLOSE in text:
        return None
    made, line, marked = [], first_line, 0
    for piece, literal in _pieces(text):
        if not literal:
            if marked != line and piece.startswith("{{") and not piece.startswith("{{-"):
                made.append(f"{_OPEN}{line}{_CLOSE}")
                marked = line
            made.append(piece)
            line += piece.count("\n")
            continue
        for i, row in enumerate(piece.split("\n")):
            if i:
                made.append("\n")
                line += 1
            visible = len(row) - len(row.lstrip())
            if visible < len(row):
                made.append(f"{row[:visible]}{_OPEN}{line}{_CLOSE}{row[visible:]}")
                marked = line
            else:
                made.append(row)
    return "".join(made)


def lines_of(marked: str | None, text: str, first_line: int) -> list[int] | None:
    """For each line of the rendered `text` the line it came from; None when the twin does not fit."""
    if marked is None or _MARK.sub("", marked) != text:
        return None
    lines, last = [], first_line
    for row in marked.split("\n"):
        found = _MARK.search(row)
        last = int(found[1]) if found else last
        lines.append(last)
    return lines


def _pieces(text: str) -> Iterator[tuple[str, bool]]:
    """The text cut into literal pieces (True) and tags (False), in order and without loss."""
    here = 0
    while found := _TAG.search(text, here):
        yield text[here : found.start()], True
        raw = _RAW.match(text, found.start())
        if raw:
            end = _ENDRAW.search(text, raw.end())
            yield raw[0], False
            if not end:
                yield text[raw.end() :], True
                return
            yield text[raw.end() : end.start()], True
            yield end[0], False
            here = end.end()
            continue
        here = _end_of_tag(text, found)
        yield text[found.start() : here], False
    yield text[here:], True


def _end_of_tag(text: str, start: re.Match[str]) -> int:
    close = {"{{": "}}", "{%": "%}", "{#": "#}"}[start[0]]
    if start[0] == "{#":
        end = text.find(close, start.end())
        return end + 2 if end >= 0 else len(text)
    depth, quote, i = 0, "", start.end()
    while i < len(text):
        char = text[i]
        if quote:
            i += char == "\\"
            quote = "" if char == quote else quote
        elif char in "\"'":
            quote = char
        elif depth <= 0 and text.startswith(close, i):
            return i + 2
        else:
            depth += _BRACKETS.get(char, 0)
        i += 1
    return len(text)
