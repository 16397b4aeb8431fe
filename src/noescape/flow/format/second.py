"""The second rendering that a submit does: over the whole document again, with the sets but without default-values.

The client parses the first rendering, puts files in, writes YAML (keys sorted, its own quoting) and the server renders
that text once more. So a script with `${#array[@]}`, a value with braces or a `raw` block fails there although it went
through the first time. What this makes is, to the letter, what the server parses.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from noescape.files import YamlError, parse_yaml_lines
from noescape.flow.format.problems import Found, Level, Place
from noescape.flow.format.template import Fault, Rendered, render

MAX_TRIES = 8
MAX_TEXT = 8 << 20  # files are in
_LATER = (
    "a submit renders the whole text a second time, files included, with the --set values but without default-values"
)


def again(
    data: dict[str, Any], sets: Mapping[str, Any], inlined: Mapping[Place, Path], found: Found
) -> tuple[str, dict[str, Any]]:
    """The text that the cluster parses, and its data; where that fails, those of the first rendering and problems."""
    try:
        text = yaml.dump(_plain(data))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        found.add(None, "yaml", f"a value cannot be written as YAML ({error})", "write it in quotes")
        return "", data
    rendered = render(text, sets, numbered=False, most=MAX_TEXT)
    if rendered.faults or rendered.text is None:
        _note_all(_plain(data), text, rendered, sets, inlined, found)
        return text, data
    try:
        value, _ = parse_yaml_lines(rendered.text, name=found.file)
    except YamlError as error:
        place = _place(text, error.line)
        mend = "look for values with braces, and take the braces out"
        _tell(place, inlined, found, f"the second rendering of a submit is not valid YAML: {error.problem}", mend, None)
        return text, data
    if not isinstance(value, dict) or not isinstance(value.get("workflow"), dict):
        return text, data
    return rendered.text, {"workflow": value["workflow"]}


def _plain(value: Any) -> Any:
    """Aliases written out, so that the text has no anchors of its own."""
    if isinstance(value, dict):
        return {key: _plain(held) for key, held in value.items()}
    return [_plain(held) for held in value] if isinstance(value, list) else value


def _note_all(
    data: Any,
    text: str,
    rendered: Rendered,
    sets: Mapping[str, Any],
    inlined: Mapping[Place, Path],
    found: Found,
) -> None:
    """Jinja stops at the first text that it cannot read; that one is emptied for the sake of those behind it."""
    for _ in range(MAX_TRIES):
        _note(text, rendered, inlined, found)
        if not rendered.faults or rendered.text is not None or not _empty(data, _place(text, rendered.faults[0].line)):
            return
        text = yaml.dump(data)
        rendered = render(text, sets, numbered=False, most=MAX_TEXT)


def _empty(data: Any, place: Place) -> bool:
    """Whether there was a text with template marks at `place`; it is gone now."""
    for part in place[:-1]:
        data = data.get(part) if isinstance(data, dict) else data[part] if isinstance(part, int) else None
    if not place or not isinstance(data, (dict, list)):
        return False
    held = data.get(place[-1]) if isinstance(data, dict) else data[place[-1]] if isinstance(place[-1], int) else None
    if not isinstance(held, str) or "{" not in held:
        return False
    data[place[-1]] = ""  # type: ignore[index]
    return True


def _note(text: str, rendered: Rendered, inlined: Mapping[Place, Path], found: Found) -> None:
    for fault in rendered.faults:
        place = _place(text, fault.line)
        marks = _marks(fault)
        if fault.kind == "undefined":
            message = f"{fault.message.removesuffix('.')}: {_LATER}"
            name = re.match(r"'(\w+)'", fault.message)
            mend = f"give it with --set {name[1]}=…, or take the braces out" if name else "take the braces out"
            if name and re.fullmatch(r"hash\d+", name[1]):
                message = f"a token inside of {{% raw %}} is lost: {_LATER}"
                mend = "take the raw block away, tokens need none"
        else:
            message = f"template marks are read again: {_LATER}; {fault.message}"
            mend = "write it without '{{', '{%' and '{#' (a shell counts with `wc` too), or keep it in the image"
        _tell(place, inlined, found, message, mend, marks)


def _tell(
    place: Place, inlined: Mapping[Place, Path], found: Found, message: str, mend: str, marks: re.Pattern[str] | None
) -> None:
    level: Level = "error" if found.target == "osmo" else "warning"
    script = inlined.get(place)
    if script is None:
        found.at(place, "second-render", message, mend, level)
        return
    line = None
    if marks:
        try:
            hit = marks.search(script.read_text(encoding="utf-8"))
            line = hit.string.count("\n", 0, hit.start()) + 1 if hit else None
        except OSError:
            line = None
    found.add(line, "second-render", message, mend, level, file=str(script))


def _marks(fault: Fault) -> re.Pattern[str]:
    name = re.match(r"'(\w+)'", fault.message)
    if fault.kind == "undefined" and name:
        return re.compile(rf"\{{[{{%][^}}]*\b{re.escape(name[1])}\b")
    return re.compile(
        r"\{#"
        if "comment" in fault.message
        else r"\{#|\{%|\{\{(?!(?:uuid|workflow_id|output|input:[^}]+|host:[^}]+)\}\})"
    )


def _place(text: str, line: int | None) -> Place:
    """The innermost value that begins at or before a line of `text`."""
    if line is None:
        return ()
    try:
        _, places = parse_yaml_lines(text)
    except YamlError:
        return ()
    before = [(at, len(place), place) for place, at in places.items() if at <= line]
    best = max(before, key=lambda item: (item[0], item[1]), default=(0, 0, ()))
    return best[2]
