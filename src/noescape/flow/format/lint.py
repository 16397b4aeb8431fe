"""What the text of a template shows before it is rendered, and variables that are given but mean nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from noescape.flow.format.problems import Found, nearest
from noescape.flow.format.sections import TOKEN, Section, line_of

UNKNOWN = "<?>"  # stands for an expression that cannot be read
_SPACED = re.compile(r"\{\{([-+\s]*)(uuid|workflow_id|output|input:[^{}]*?|host:[^{}]*?)([-+\s]*)\}\}")
_SHELL = re.compile(r"\$\{#")
_RAW = re.compile(r"\{%[-+]?\s*raw\s*[-+]?%\}(.*?)(?:\{%[-+]?\s*endraw\s*[-+]?%\}|\Z)", re.DOTALL)
_PIECE = re.compile(r"\{\{(?:input|host):[^{}]*\Z")
_LIKE_TOKEN = re.compile(r"\{\{\s*([A-Za-z_]\w*)\s*:[^{}]*\}\}")
_TOKENS = {
    "input": "the folder of the first input is {{input:0}}",
    "inputs": "the folder of the first input is {{input:0}}",
    "output": "the folder of the outputs is {{output}}",
    "outputs": "the folder of the outputs is {{output}}",
    "host": "the address of a task of the own group is {{host:NAME}}",
    "hosts": "the address of a task of the own group is {{host:NAME}}",
    "workflow": "the name of the run is {{workflow_id}}",
    "workflow_id": "the name of the run is {{workflow_id}}",
    "workflow_name": "give it with --set workflow_name=VALUE or in default-values, or use {{workflow_id}}",
    "task": "an input from a task is {{input:0}}, by its number",
}
_TAGS = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)


def marks(section: Section, variables: Mapping[str, Any], found: Found) -> Section:
    """Tokens with blanks in them, shell lengths that open a comment, and raw blocks.

    Returns the section with the first two mended, so that they hide no other problem.
    """
    text = section.text
    for match in _SPACED.finditer(section.text):
        name = match[2].strip()
        if not (match[1] or match[3]) or name in variables:
            continue
        message = f"{match[0]!r} is not the token {{{{{name}}}}}: a token has no blanks and no signs in its braces"
        found.add(_line(section, match.start()), "token-spaces", message, f"write {{{{{name}}}}}")
        text = text.replace(match[0], f"{{{{{name}}}}}" + "\n" * match[0].count("\n"))
    for match in _SHELL.finditer(section.text):
        message = "'${#' opens a comment of the template language, also inside of a script"
        mend = "count in another way (`wc`, `printf`), or keep the script in the image"
        found.add(_line(section, match.start()), "shell-length", message, mend)
        text = text.replace("${#", "${")
    for match in _LIKE_TOKEN.finditer(text):
        word = match[1].lower()
        if word in ("input", "host"):
            continue  # told above, or a token of its own
        found.add(
            _line(section, _at(section.text, match[0])), "token", f"there is no token {match[0]}", token_like(word)
        )
        text = text.replace(match[0], UNKNOWN)
        found.placeholders.add(UNKNOWN)
    for match in _RAW.finditer(section.text):
        if not re.search(r"\{[{%#]", _PIECE.sub("", match[1])):
            continue  # pieces of a token that a loop puts together
        message = "a raw block does not survive a submit, which renders the text twice"
        found.add(_line(section, match.start()), "raw", message, "write it without braces", "warning")
    return replace(section, text=text)


def token_like(word: str) -> str:
    """What to write instead of a word in braces that is nearly a token; empty when it is like none."""
    near = nearest(word, _TOKENS)
    return _TOKENS.get(word.lower()) or (_TOKENS[near.split("'")[1]] if near else "")


def _at(text: str, part: str) -> int:
    return max(text.find(part), 0)


def without(section: Section, line: int | None) -> Section | None:
    """The section with the expressions of one line of the file taken out; None when that line has none."""
    rows = section.text.split("\n")
    index = (line or 0) - section.line
    if not 0 <= index < len(rows):
        return None
    row = TOKEN.sub("", rows[index])
    for tag in re.findall(r"\{\{.*?\}\}", row):
        rows[index] = rows[index].replace(tag, UNKNOWN)
    return replace(section, text="\n".join(rows)) if UNKNOWN in rows[index] else None


def variables(
    section: Section,
    default: Section | None,
    defaults: Mapping[str, Any],
    given: Mapping[str, Any],
    scripts: Iterable[Path],
    found: Found,
) -> None:
    """Sets that no template knows (a slip of the pen costs hours), idle defaults, texts that are taken for truth.

    `name` may be given in vain: every run and submission has a fresh one.
    """
    text = section.text + "".join(_text(script) for script in scripts)
    used = {word for tag in _TAGS.findall(text) for word in re.findall(r"[A-Za-z_]\w*", tag)}
    for name, value in given.items():
        if name not in used and name not in defaults and name != "name":
            known = sorted(map(str, defaults))
            mend = nearest(name, used | set(known)) or (
                f"it knows {', '.join(known)}" if known else "it has no variables"
            )
            found.add(None, "unknown-set", f"no template here uses {name!r}, which is given with --set", mend)
        if isinstance(value, str) and value.lower() in ("false", "no", "off", "none", "null", "0"):
            asked = re.search(
                rf"\b(?:if|elif|and|or|not)\s+{re.escape(name)}\s*(?:-?%\}}|and\b|or\b|else\b|\}}\}})", section.text
            )
            if asked:
                message = f"{name}={value} is text, and any text counts as true where the template asks for {name!r}"
                mend = f"compare it: {{% if {name} == 'true' %}}, or leave it empty with --set-string {name}="
                found.add(_line(section, asked.start()), "truthy-text", message, mend, "warning")
    for name in defaults:
        if isinstance(name, str) and name.isidentifier() and name not in used:
            line = line_of(name, default) if default else None
            found.add(line, "unused-default", f"nothing uses the default value {name!r}", "", "warning")


def _text(script: Path) -> str:
    try:
        return script.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""


def _line(section: Section, start: int) -> int:
    return section.line + section.text.count("\n", 0, start)
