"""A reader of VRML97 text as CAD programs write it: nodes and their fields as plain Python, nothing interpreted.

A node becomes `Node(type, fields)`; DEF and USE are resolved; lists of numbers become arrays. PROTO, EXTERNPROTO and
Script are refused. Text from outside is bounded: bytes, depth, and the number of nodes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from noescape.records import DataError

MAX_BYTES = 128 << 20
MAX_DEPTH = 60
MAX_NODES = 200_000
_TOKEN = re.compile(r'(?:[\s,]|#[^\r\n]*)*(?:"((?:[^"\\]|\\.)*)"|([{}\[\]])|([^\s,{}\[\]"#]+))')
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$|0[xX][0-9a-fA-F]+$")


@dataclass
class Node:
    """A node: its type and fields. Values: array of numbers, string, bool, None, Node, or a list of these."""

    type: str
    name: str = ""
    fields: dict[str, Any] = field(default_factory=dict)

    def child(self, key: str) -> Node | None:
        """The node in a field, None where there is none."""
        value = self.fields.get(key)
        return value if isinstance(value, Node) else None

    def numbers(self, key: str, count: int, otherwise: tuple[float, ...]) -> Any:
        """A field of `count` numbers as an array; `otherwise` where the file does not say or says something else."""
        value = self.fields.get(key)
        if isinstance(value, np.ndarray) and value.size == count:
            return value.astype(np.float64)
        return np.array(otherwise, np.float64)


def parse_vrml(data: bytes, where: str) -> list[Node]:
    """Top-level nodes of a VRML97 file. DataError names the file and the place where it stops making sense."""
    if len(data) > MAX_BYTES:
        raise DataError(f"{where}: {len(data) >> 20} MiB of VRML; at most {MAX_BYTES >> 20} are read")
    if not data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"#VRML V2.0"):
        raise DataError(
            f"{where}: does not begin with '#VRML V2.0'; only VRML97 text is read (export it as .wrl again)"
        )
    return _Reader(data.decode("utf-8", "replace"), where).nodes()


class _Reader:
    """Walks the text once; each method leaves `at` behind what it read."""

    def __init__(self, text: str, where: str) -> None:
        self.text, self.where, self.at = text, where, 0
        self.known: dict[str, Node] = {}
        self.count = 0

    def nodes(self) -> list[Node]:
        out = []
        while (word := self._peek()) is not None:
            if word == "ROUTE":
                for _ in range(4):
                    self._take()
                continue
            out.append(self._node(0))
        return out

    def _fail(self, wanted: str) -> DataError:
        line = self.text.count("\n", 0, self.at) + 1
        came = self.text[self.at : self.at + 30].strip()
        return DataError(
            f"{self.where}, line {line}: expected {wanted}, found {came!r}; the model file is damaged or no VRML97"
        )

    def _peek(self) -> str | None:
        found = _TOKEN.match(self.text, self.at)
        if not found:
            rest = re.sub(r"#[^\r\n]*", "", self.text[self.at :][:4096]).strip(" \t\r\n,\0")
            if rest:
                raise self._fail("a word")
            return None
        return '"' + found[1] if found[1] is not None else found[2] or found[3]

    def _take(self) -> str:
        word = self._peek()
        if word is None:
            raise self._fail("more text before the end")
        found = _TOKEN.match(self.text, self.at)
        assert found  # noqa: S101  _peek has just matched it
        self.at = found.end()
        return word

    def _node(self, depth: int) -> Node:
        self.count += 1
        if depth > MAX_DEPTH or self.count > MAX_NODES:
            raise DataError(f"{self.where}: more than {MAX_DEPTH} nodes inside one another, or {MAX_NODES} in all")
        word = self._take()
        name = ""
        if word == "USE":
            name = self._take()
            if name not in self.known:
                raise self._fail(f"a DEF of {name[:40]!r} before its USE")
            return self.known[name]
        if word == "DEF":
            name, word = self._take(), self._take()
        if word in ("PROTO", "EXTERNPROTO", "Script"):
            raise self._fail("plain nodes (PROTO, EXTERNPROTO and Script are not read)")
        if not re.match(r"[A-Za-z_]\w*$", word) or self._take() != "{":
            raise self._fail(f"'{{' after the node {word[:40]!r}")
        node = Node(word, name)
        while (key := self._take()) != "}":
            if key == "ROUTE":
                for _ in range(3):
                    self._take()
                continue
            if not re.match(r"[A-Za-z_]\w*$", key):
                raise self._fail(f"the name of a field in {word}")
            node.fields[key] = self._value(depth)
        if name:
            self.known[name] = node  # only now: a node cannot contain itself
        return node

    def _value(self, depth: int) -> Any:
        word = self._peek()
        if word is None:
            raise self._fail("a value")
        if word == "[":
            self._take()
            return self._list(depth)
        if word.startswith('"'):
            return self._take()[1:]
        if word in ("TRUE", "FALSE", "NULL"):
            return {"TRUE": True, "FALSE": False, "NULL": None}[self._take()]
        if not _NUMBER.match(word):
            return self._node(depth + 1)
        values = []
        while (word := self._peek()) is not None and _NUMBER.match(word):
            values.append(_number(self._take()))
        return np.array(values, np.float64)

    def _list(self, depth: int) -> Any:
        """What stands between brackets: millions of numbers are read in one go, anything else piece by piece."""
        end = self.text.find("]", self.at)
        if end < 0:
            raise self._fail("']' after '['")
        words = re.sub(r"#[^\r\n]*", " ", self.text[self.at : end]).replace(",", " ").split()
        if not words or _NUMBER.match(words[0]):
            try:
                values = np.array(words, np.float64)
            except ValueError as error:
                raise self._fail("numbers only between '[' and ']'") from error
            self.at = end + 1
            return values
        out: list[Any] = []
        while (word := self._peek()) != "]":
            if word is None:
                raise self._fail("']'")
            out.append(self._take()[1:] if word.startswith('"') else self._node(depth + 1))
        self._take()
        return out


def _number(word: str) -> float:
    return float(int(word, 16)) if word[:2].lower() == "0x" else float(word)
