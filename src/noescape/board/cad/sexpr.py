"""S-expressions, as KiCad writes them: text in, a tree of named nodes out, bounded in size and depth.

    (footprint "R_0603" (layer "F.Cu") (at 10 20 90))

becomes `Node(name="footprint", items=["R_0603", Node("layer", ["F.Cu"]), Node("at", ["10", "20", "90"])])`. Atoms stay
text; what is a number is decided by who reads it. A file of 7 MB takes 1.5 s and about 20 times its size in memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from noescape.records import DataError

MAX_BYTES = 128 * 2**20  # ten times the largest board we know
MAX_DEPTH = 60  # real boards: 12

_TOKEN = re.compile(r'\s*+(?:([()])|"([^"\\]*(?:\\.[^"\\]*)*)"|([^\s()"]+))', re.DOTALL)
_ESCAPE = re.compile(r"\\(?:([0-7]{1,3})|x([0-9a-fA-F]{1,2})|(.))", re.DOTALL)
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
_BLANK = re.compile(r"\s*")


class Node:
    """One list of the file: its first word, and the rest. `at` is the offset of its parenthesis in the text."""

    __slots__ = ("at", "items", "name")

    def __init__(self, name: str, at: int) -> None:
        self.name, self.at = name, at
        self.items: list[str | Node] = []

    def child(self, name: str) -> Node | None:
        """The first list in this one whose first word is `name`."""
        for item in self.items:
            if isinstance(item, Node) and item.name == name:
                return item
        return None

    def children(self, *names: str) -> Iterator[Node]:
        """The lists in this one whose first word is one of `names` (all of them when none is given), in order."""
        for item in self.items:
            if isinstance(item, Node) and (not names or item.name in names):
                yield item

    def words(self) -> list[str]:
        """The atoms of this list after its name, in order."""
        return [item for item in self.items if isinstance(item, str)]


def read_file(path: Path) -> tuple[Node, str]:
    """The one list that a file holds, and its text (for `line_of`); DataError names the line of what is wrong."""
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise DataError(f"{path}: {size / 2**20:.0f} MB; boards of up to {MAX_BYTES / 2**20:.0f} MB are read")
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text at byte {error.start}; is this a KiCad file?") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from None
    return parse(text, str(path)), text


def line_of(text: str, at: int) -> int:
    """The number, from 1, of the line at offset `at`."""
    return text.count("\n", 0, at) + 1


def parse(text: str, source: str) -> Node:
    """The one list in `text`; `source` stands in the errors."""
    root: Node | None = None
    open_lists: list[Node] = []
    waiting = -1  # the offset of a parenthesis whose first word has not come yet
    end = 0
    token = _TOKEN.match  # not a search: that would try a blank of a million spaces a million times
    while match := token(text, end):
        end = match.end()
        kind = match.lastindex
        if kind == 1:
            at = end - 1
            if waiting >= 0:
                raise _wrong(source, text, waiting, "a list without a name")
            if text[at] == "(":
                if root is not None and not open_lists:
                    raise _wrong(source, text, at, "a second list after the end of the first")
                if len(open_lists) >= MAX_DEPTH:
                    raise _wrong(source, text, at, f"lists more than {MAX_DEPTH} deep")
                waiting = at
            elif open_lists:
                open_lists.pop()
            else:
                raise _wrong(source, text, at, "a closing parenthesis too many")
            continue
        word = match[3] if kind == 3 else _unescaped(match[2])
        if waiting >= 0:
            node = Node(word, waiting)
            if open_lists:
                open_lists[-1].items.append(node)
            else:
                root = node
            open_lists.append(node)
            waiting = -1
        elif open_lists:
            open_lists[-1].items.append(word)
        else:
            raise _wrong(source, text, match.start(), f"expected an opening parenthesis, found {word[:30]!r}")
    blank = _BLANK.match(text, end)
    end = blank.end() if blank else end
    if end < len(text):
        raise _wrong(source, text, end, "a string without an end")
    if waiting >= 0 or open_lists:
        at = waiting if waiting >= 0 else open_lists[-1].at
        raise _wrong(source, text, at, "a list without an end; is the file cut off?")
    if root is None:
        raise DataError(f"{source}: empty; expected a KiCad board")
    return root


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(_plain, text) if "\\" in text else text


def _plain(match: re.Match[str]) -> str:
    if match[1]:
        return chr(int(match[1], 8))
    if match[2]:
        return chr(int(match[2], 16))
    return _ESCAPED.get(match[3], match[3])


def _wrong(source: str, text: str, at: int, what: str) -> DataError:
    return DataError(f"{source}, line {line_of(text, at)}: {what}")
