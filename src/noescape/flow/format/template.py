"""Rendering as the format does it: the special tokens set aside, then strict, sandboxed Jinja over the raw text."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from noescape.flow.format.linemap import lines_of, mark
from noescape.flow.format.sandbox import CPU_SECONDS, MEMORY, encode
from noescape.flow.format.sections import TOKEN
from noescape.flow.format.units import show_size

MAX_TEXT = 4 << 20  # of a rendered template
# Far beyond the CPU limit, for a machine that is busy with other work.
WALL_SECONDS = 60
_TAGS = re.compile(r"\{\{|\{%|\{#")


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Why a template does not render. `kind`: undefined, syntax, memory, time or other; `line` counts from 1."""

    kind: str
    message: str
    line: int | None


@dataclass(frozen=True, kw_only=True)
class Rendered:
    """What became of a template.

    `text` is None when nothing could be rendered. With undefined variables it holds `<name>` in their places, `faults`
    has one entry for each use, and `undefined` their names. `lines` has for each line of `text` the line of the
    template it came from (None: not known).
    """

    text: str | None
    faults: tuple[Fault, ...] = ()
    undefined: tuple[str, ...] = ()
    lines: list[int] | None = None


def protect(text: str) -> tuple[str, dict[str, str]]:
    """`text` with each special token as a variable of its own, and those variables.

    The names are a function of the token alone, so that a token means the same in both renderings. `{{ output }}` with
    blanks is no token.
    """
    kept = {}
    names = {}
    for inner in dict.fromkeys(match[1] for match in TOKEN.finditer(text)):
        digest = hashlib.md5(inner.strip().encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()
        names[inner] = f"hash{int(digest, 16)}"
        kept[names[inner]] = "{{" + inner + "}}"
    if not any("{{" in inner for inner in names):
        return TOKEN.sub(lambda match: "{{" + names[match[1]] + "}}", text), kept
    for inner, name in names.items():  # a token inside of another: one after the other, as the format does it
        text = text.replace("{{" + inner + "}}", "{{" + name + "}}")
    return text, kept


def render(
    text: str, variables: Mapping[str, Any], *, first_line: int = 1, numbered: bool = True, most: int = MAX_TEXT
) -> Rendered:
    """Render a template with special tokens in it; see `Rendered`.

    A text without any template marks but tokens is its own rendering and costs nothing; else a child process does it
    in about 0.1 s, with at most CPU_SECONDS of work and MEMORY bytes, to at most `most` characters. `numbered` asks for
    `lines`.
    """
    safe, kept = protect(text)
    if not _TAGS.search(TOKEN.sub("", text)):
        same = _as_jinja_leaves(text)
        return Rendered(text=same, lines=list(range(first_line, first_line + same.count("\n") + 1)))
    try:
        data = encode({**variables, **kept})
        twin = mark(safe, 1) if numbered else None
        answer = _ask({"text": safe, "data": data, "marked": twin, "most": most, "seconds": CPU_SECONDS})
    except (TypeError, ValueError, RecursionError) as error:
        return Rendered(text=None, faults=(Fault(kind="other", message=str(error), line=None),))
    shift = first_line - 1
    rendered = answer.get("text")
    lines = None
    if rendered is not None and numbered:
        found = lines_of(answer.get("marked"), rendered, 1)
        lines = [line + shift for line in found] if found else None
    faults = _faults(answer, shift)
    undefined = tuple(name for name, _, _ in answer.get("undefined", ()))
    return Rendered(text=rendered, faults=faults, undefined=undefined, lines=lines)


def _as_jinja_leaves(text: str) -> str:
    """Jinja drops one line end at the end and writes each line end as a line feed."""
    text = re.sub(r"\r\n|\r", "\n", text)
    return text[:-1] if text.endswith("\n") else text


def _faults(answer: dict[str, Any], shift: int) -> tuple[Fault, ...]:
    error = answer.get("error")
    if not error:
        return ()
    if answer.get("undefined"):
        return tuple(
            Fault(kind="undefined", message=message, line=line + shift if line else None)
            for _, message, lines in answer["undefined"]
            for line in (lines or [error["line"]])
        )
    line = error["line"] + shift if error["line"] else None
    return (Fault(kind=error["kind"], message=error["message"] or _limit(error["kind"]), line=line),)


def _limit(kind: str) -> str:
    if kind == "time":
        return f"rendering takes more than {CPU_SECONDS} s of computing"
    return f"rendering needs more than {show_size(MEMORY)} of memory, or makes more text than is read"


def _ask(request: dict[str, Any]) -> dict[str, Any]:
    # -P: the folder where the user stands must not lend modules to the child.
    command = [sys.executable, "-P", "-m", "noescape.flow.format.sandbox"]
    try:
        done = subprocess.run(
            command, input=json.dumps(request).encode(), capture_output=True, timeout=WALL_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return {"error": {"kind": "time", "message": "", "line": None}}
    try:
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer
    except ValueError:
        if done.returncode < 0 and -done.returncode in (9, 24):  # killed at the limit of CPU time
            return {"error": {"kind": "time", "message": "", "line": None}}
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        if done.returncode in (-6, -11) or any("MemoryError" in line for line in said[-3:]):
            return {"error": {"kind": "memory", "message": "", "line": None}}
        message = f"the renderer ended with code {done.returncode}" + (f": {said[-1]}" if said else "")
        return {"error": {"kind": "other", "message": message, "line": None}}
