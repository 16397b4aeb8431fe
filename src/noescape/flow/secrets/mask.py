"""Secrets become *** in streams of bytes, wherever the borders of the pieces fall.

Every byte that belongs to an occurrence of a secret is covered, also where occurrences overlap; each unbroken run of
covered bytes becomes one ***. Looked for are the values and the forms they travel in (see `forms`).

Search is an Aho-Corasick automaton, entered only where a secret may begin: a regular expression over the first few
bytes of all secrets skips what is harmless. Time is linear in the stream, memory bounded by the secrets alone.
"""

from __future__ import annotations

import base64
import json
import re
from collections import deque
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

MASK = b"***"
LEAST_ENCODED = 8  # shorter values are looked for only as they are: their encodings are too common
_ENTRY = 12  # bytes of a secret that the skipping expression looks at


def forms(value: bytes) -> set[bytes]:
    """What `value` may look like in a log.

    Itself, without blanks around it, and each of its lines that has a letter or digit; from 8 bytes on the whole also
    as base64 (both alphabets, alone or inside something longer), percent-encoded, and as inside JSON.
    """
    whole = {value, value.strip()} - {b""}
    lines = [line.strip() for line in value.splitlines()]
    out = whole | {line for line in lines if any(chr(byte).isalnum() or byte > 127 for byte in line)}
    for text in whole:
        if len(text) >= LEAST_ENCODED:
            out |= _base64_forms(text) | _escaped_forms(text)
    return out


def _base64_forms(value: bytes) -> set[bytes]:
    out: set[bytes] = set()
    for before in range(3):  # bytes that may stand in front within the same group of three
        # Characters that nothing in front of the value can change, and of those the ones that nothing behind it can.
        text = base64.b64encode(b"\0" * before + value)[-(-before * 8 // 6) :]
        known = (before + len(value)) * 8 // 6 - -(-before * 8 // 6)
        out |= {text[:known], text.rstrip(b"="), text}
    return out | {text.translate(bytes.maketrans(b"+/", b"-_")) for text in out}


def _escaped_forms(value: bytes) -> set[bytes]:
    out = set()
    for text in (quote(value, safe=""), quote(value), quote_plus(value)):
        lower = re.sub(r"%[0-9A-F]{2}", lambda match: match[0].lower(), text)
        out |= {text.encode(), lower.encode()}
    try:
        words = value.decode("utf-8")
    except UnicodeDecodeError:
        return out
    return out | {json.dumps(words, ensure_ascii=ascii)[1:-1].encode() for ascii in (True, False)}


class Masker:
    """Masks one stream: `feed` it pieces, write what it returns, and at the end what `flush` returns.

    What could be the beginning of a secret is held back until the next piece tells: at most the longest form's bytes.
    """

    def __init__(self, secrets: Iterable[str | bytes], *, exact: bool = False) -> None:
        """`exact` looks for the values alone, not for their other forms. Empty values are left out."""
        raw = {s.encode("utf-8", "surrogateescape") if isinstance(s, str) else bytes(s) for s in secrets} - {b""}
        patterns = raw if exact else {form for value in raw for form in forms(value)}
        self._machine = _Machine(sorted(patterns)) if patterns else None
        self._held = b""
        self._state = 0
        self._covered: list[list[int]] = []  # runs of covered bytes within what is held, as [start, end)
        self._in_run = False  # the last byte that went out was covered, its *** is written

    def __repr__(self) -> str:
        return f"Masker({len(self._held)} bytes held)"

    def feed(self, chunk: bytes) -> bytes:
        """The masked bytes that are now decided."""
        machine = self._machine
        if machine is None or not chunk:
            return bytes(chunk)
        text = self._held + chunk
        at, state = len(self._held), self._state
        enter = machine.entry.search
        while True:
            if not state:
                hit = enter(text, at)
                # The last few bytes may hold a beginning that is too short for the expression.
                at = min(hit.start(), max(at, len(text) - _ENTRY + 1)) if hit else max(at, len(text) - _ENTRY + 1)
                if at >= len(text):
                    break
            at, state = self._walk(text, at, state)
            if at >= len(text):
                break
        return self._let_go(text, len(text) - machine.depth[state], state)

    def flush(self) -> bytes:
        """What is still held, masked as far as it is known to be secret; a new stream may follow."""
        out = self._let_go(self._held, len(self._held), 0)
        self._in_run = False
        return out

    def _walk(self, text: bytes, at: int, state: int) -> tuple[int, int]:
        """Follow the automaton until no secret can be under way, or the text ends; note what is covered."""
        machine = self._machine
        assert machine is not None  # noqa: S101 - for the type checker
        follow, fail, longest, covered = machine.follow, machine.fail, machine.longest, self._covered
        while at < len(text):
            byte = text[at]
            step = follow.get(state << 8 | byte)
            while step is None and state:
                state = fail[state]
                step = follow.get(state << 8 | byte)
            state = step or 0
            at += 1
            if longest[state]:
                start = at - longest[state]
                while covered and covered[-1][1] >= start:
                    start = min(start, covered.pop()[0])
                covered.append([start, at])
            elif not state:
                break
        return at, state

    def _let_go(self, text: bytes, decided: int, state: int) -> bytes:
        """Put out text[:decided] with its covered runs masked; hold the rest."""
        out, at, later = [], 0, []
        for start, end in self._covered:
            if start >= decided:
                later.append([start - decided, end - decided])
                continue
            if start > at:
                out.append(text[at:start])
                self._in_run = False
            if not self._in_run:
                out.append(MASK)
            self._in_run, at = True, min(end, decided)
            if end > decided:
                later.append([0, end - decided])
        if at < decided:
            out.append(text[at:decided])
            self._in_run = False
        self._held, self._state, self._covered = text[decided:], state, later
        return b"".join(out)


class _Machine:
    """The automaton of some patterns, and the expression that finds where to enter it."""

    def __init__(self, patterns: list[bytes]) -> None:
        self.follow: dict[int, int] = {}  # state << 8 | byte -> state
        self.depth, self.longest, self.fail = [0], [0], [0]
        for pattern in patterns:
            state = 0
            for byte in pattern:
                edge = state << 8 | byte
                if edge not in self.follow:
                    self.follow[edge] = len(self.depth)
                    self.depth.append(self.depth[state] + 1)
                    self.longest.append(0)
                    self.fail.append(0)
                state = self.follow[edge]
            self.longest[state] = len(pattern)
        self._link()
        starts = {pattern[:_ENTRY] for pattern in patterns}
        self.entry = re.compile(b"|".join(re.escape(start) for start in sorted(starts)), re.DOTALL)

    def _link(self) -> None:
        """Where to go on when a byte does not fit: the longest ending that is a beginning, too."""
        children: dict[int, list[tuple[int, int]]] = {}
        for edge, state in self.follow.items():
            children.setdefault(edge >> 8, []).append((edge & 255, state))
        queue = deque(state for _, state in children.get(0, []))
        while queue:
            state = queue.popleft()
            for byte, child in children.get(state, []):
                back = self.fail[state]
                while back and (back << 8 | byte) not in self.follow:
                    back = self.fail[back]
                self.fail[child] = self.follow.get(back << 8 | byte, 0)
                self.longest[child] = max(self.longest[child], self.longest[self.fail[child]])
                queue.append(child)


def mask(text: str, secrets: Iterable[str]) -> str:
    """`text` with every secret in it as ***."""
    masker = Masker(secret.encode("utf-8", "surrogatepass") for secret in secrets)
    data = text.encode("utf-8", "surrogatepass")
    return (masker.feed(data) + masker.flush()).decode("utf-8", "surrogatepass")
