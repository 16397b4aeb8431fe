"""Text that other programs wrote (logs, error messages, names), made fit to be shown: harmless and without secrets."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from noescape.flow.secrets.mask import mask

MAX_SHOWN = 2000  # characters of one line
_SEQUENCES = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]?"  # colours, cursor moves
    r"|\x1b[\]PX^_][^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)?"  # titles, links, clipboard, device strings
    r"|\x1b[ -/]*[0-~]?"  # the short ones
    r"|\x9b[0-?]*[ -/]*[@-~]?"
)
# What a terminal obeys, and marks that turn the order of letters round.
_CONTROLS = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\u2028\u2029]")

_SECRET_NAME = re.compile(r"TOKEN(?!IZ|S)|SECRET|PASSW|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY|CREDENTIAL", re.IGNORECASE)
_NOT_SECRET = re.compile(r"_(FILE|PATH|DIR|URL|URI|TYPE|NAME)$", re.IGNORECASE)
_SHORTEST = 6  # shorter values would mask half of every text
_SHAPES = (
    re.compile(r"(?i)(\b(?:bearer|basic)\s+)[\w.~+/=-]{8,}"),
    re.compile(r"(?i)([?&](?:x-amz-(?:signature|security-token|credential)|sig|signature|token)=)[^&\s\"']+"),
    re.compile(
        r"(?i)(\b(?:password|passwd|secret|token|access_key|api_?key|auth)\b[\"']?\s*[:=]\s*[\"']?)[^\s\"',}]{6,}"
    ),
    re.compile(r"(://[^/\s:@]*:)[^/\s@]+(?=@)"),
)


def harmless(text: str) -> str:
    """One line as a terminal may print it: no escape sequences, no control characters but tabs, not endlessly long."""
    line = _SEQUENCES.sub("", text.rstrip("\r\n"))
    line = _CONTROLS.sub(lambda m: f"\\x{ord(m[0]):02x}" if ord(m[0]) < 256 else f"\\u{ord(m[0]):04x}", line)
    line = line.encode("utf-8", "backslashreplace").decode("utf-8")  # halves of characters
    return line if len(line) <= MAX_SHOWN else f"{line[:MAX_SHOWN]} … ({len(line)} characters)"


def last_state(line: str) -> str:
    """Of a line that was written over and over (progress with carriage returns), what stands there in the end."""
    return line.rstrip("\r\n").rsplit("\r", 1)[-1]


def harmless_lines(text: str, *, last: int | None = None) -> list[str]:
    """`text` line by line (or only its `last` lines), each `harmless`."""
    lines = text.split("\n")
    if lines and not lines[-1]:
        lines.pop()
    if last is not None:
        lines = lines[-last:] if last > 0 else []
    return [harmless(last_state(line)) for line in lines]


def secrets_in(environ: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """Values of variables whose names speak of a secret, longest first. They go into no command line and no message."""
    source = os.environ if environ is None else environ
    found = {
        value.strip()
        for name, value in source.items()
        if _SECRET_NAME.search(name) and not _NOT_SECRET.search(name) and _may_be_secret(value.strip())
    }
    return tuple(sorted(found, key=lambda value: (-len(value), value)))


def _may_be_secret(value: str) -> bool:
    """Not so for short values, plain counts and paths of files."""
    count = value.isdecimal() and len(value) < 12
    return len(value) >= _SHORTEST and not count and not (value.startswith("/") and Path(value).exists())


def discreet(text: str, secrets: Iterable[str] | None = None) -> str:
    """`text` with `secrets` (default: those of the environment) and what looks like one replaced by `***`."""
    text = mask(text, secrets_in() if secrets is None else secrets)
    for shape in _SHAPES:
        text = shape.sub(r"\1***", text)
    return text
