"""A workflow file before any rendering: its top-level sections as the format cuts them, and the variables given."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from noescape.files import YamlError, parse_yaml
from noescape.flow.format.problems import Found, nearest, short

# The format cuts by text, not by YAML: a section starts wherever a word with a colon stands in column 0.
_SECTION = re.compile(r"^([a-zA-Z][a-zA-Z0-9_-]*):", re.MULTILINE)
SECTIONS = ("version", "workflow", "default-values")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, kw_only=True)
class Section:
    """One top-level section: its text with the key, and the line of the file it starts at."""

    key: str
    text: str
    line: int


def split(source: str, found: Found) -> dict[str, Section]:
    """The sections of a file by key. Unknown and repeated keys, a wrong version and a missing `workflow` are noted.

    Whatever stands before the first section belongs to none; comments between sections belong to the one before.
    """
    sections: dict[str, Section] = {}
    starts = list(_SECTION.finditer(source))
    for start, after in itertools.zip_longest(starts, starts[1:]):
        key, line = start[1], source.count("\n", 0, start.start()) + 1
        if key not in SECTIONS:
            allowed = "a file has 'workflow' and 'default-values'"
            mend = nearest(key, SECTIONS) or "indent it if it belongs to the section above"
            found.add(line, "unknown-key", f"top-level key {key!r} is not known: {allowed}", mend)
        elif key in sections:
            found.add(line, "duplicate-key", f"section {key!r} stands in the file twice", "keep one of them")
        else:
            sections[key] = Section(key=key, text=source[start.start() : after.start() if after else None], line=line)
    if "workflow" not in sections:
        found.add(
            None, "no-workflow", "a file needs a 'workflow:' section that starts in the first column", _start(source)
        )
    if "version" in sections:
        _version(sections["version"], found)
    return sections


def _start(source: str) -> str:
    if source.startswith("\ufeff"):
        return "save the file without a byte order mark"
    indented = re.search(r"^[ \t]+workflow:", source, re.MULTILINE)
    quoted = re.search(r"""^["']workflow["']\s*:""", source, re.MULTILINE)
    if indented:
        return "take the blanks before 'workflow:' away"
    return "take the quotes around 'workflow' away" if quoted else "begin with 'workflow:' and 'name:' below it"


def _version(section: Section, found: Found) -> None:
    try:
        value = parse_yaml(section.text)["version"]
    except (YamlError, TypeError, KeyError):
        value = section.text.partition(":")[2].strip()
    if value is not True and str(value) in ("2", "2.0"):
        found.add(
            section.line, "version", "some versions of the service do not know 'version'", "leave it out", "warning"
        )
    else:
        found.add(section.line, "version", f"the only version is 2, this says {short(value)}", "leave 'version' out")


def defaults(section: Section | None, found: Found) -> dict[str, Any]:
    """The map of `default-values`: plain YAML, never rendered itself; its values become variables as they are."""
    if section is None:
        return {}
    try:
        value = parse_yaml(section.text)["default-values"]
    except YamlError as error:
        line = error.line + section.line - 1 if error.line else section.line
        braces = "it is plain YAML and is not rendered: put text with braces in quotes" if "{{" in section.text else ""
        found.add(line, "yaml", f"default-values: {error.problem}", braces)
        return {}
    except (TypeError, KeyError):
        value = section.text
    if value is None:
        return {}
    if not isinstance(value, dict):
        found.add(section.line, "default-values", f"default-values is a map of names to values, got {short(value)}")
        return {}
    for key, held in value.items():
        line = line_of(key, section)
        if not (isinstance(key, str) and _IDENTIFIER.fullmatch(key)):
            mend = "use letters, digits and '_', a letter first"
            found.add(line, "variable-name", f"no template can name the default value {short(key)}", mend, "warning")
        elif isinstance(held, str) and re.search(r"\{\{|\{%|\{#", held) and not _only_tokens(held):
            message = f"the default value {key!r} holds template marks, which are not rendered there: {short(held)}"
            found.add(line, "default-values", message, "write the value itself", "warning")
    return dict(value)


def _only_tokens(text: str) -> bool:
    return not re.search(r"\{\{|\{%|\{#", TOKEN.sub("", text))


TOKEN = re.compile(r"{{(uuid|workflow_id|output|input:[^}]+|host:[^}]+)}}")


def line_of(key: object, section: Section) -> int:
    """The line of the file where a key of a section seems to stand; that of the section if it is not seen."""
    match = re.search(rf"^\s*['\"]?{re.escape(str(key))}['\"]?\s*:", section.text, re.MULTILINE)
    return section.line + (
        section.text.count("\n", 0, match.start() + len(match[0]) - len(match[0].lstrip())) if match else 0
    )


def cast(text: str) -> int | float | str:
    """What `--set` makes of a value: a whole number, else a number, else text, as Python's int() and float() read.

    So `007` is 7, `1_000` is 1000, `nan` is a number and `true` stays the text 'true' (which counts as true even
    when it says 'false').
    """
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def variables(sets: Sequence[str], string_sets: Sequence[str], found: Found) -> dict[str, Any]:
    """The variables of `--set k=v` (cast) and then `--set-string k=v` (always text), last word wins."""
    given: dict[str, Any] = {}
    for flag, words in (("--set", sets), ("--set-string", string_sets)):
        for word in words:
            key, equals, value = word.partition("=")
            if not equals:
                found.add(None, "set", f"{flag} takes name=value, got {word!r}", f"write {flag} {word}=VALUE")
            elif not _IDENTIFIER.fullmatch(key):
                mend = "use letters, digits and '_', a letter first"
                found.add(None, "set", f"{flag} {word!r}: {key!r} cannot be the name of a variable", mend)
            else:
                given[key] = cast(value) if flag == "--set" else value
    return given
