"""A rendered workflow as plain data, with the line of the user's file for every value."""

from __future__ import annotations

from typing import Any

from noescape.files import YamlError, parse_yaml_lines
from noescape.flow.format.problems import Found, short

MAX_VALUES = 20_000  # keys too; a workflow of 20 tasks has some hundred


def read(text: str, lines: list[int] | None, first_line: int, found: Found) -> dict[str, Any] | None:
    """The `{"workflow": {...}}` of a rendered text; None (and a problem noted) when it is none.

    `lines` are those of the file by line of `text` (see `linemap`); afterwards `found.lines` knows each value's.
    """

    def original(line: int | None) -> int | None:
        if line is None or lines is None:
            return None
        return lines[min(line, len(lines)) - 1] if line >= 1 else first_line

    try:
        value, places = parse_yaml_lines(text, name=found.file, most=MAX_VALUES)
    except YamlError as error:
        message, mend = _explain(error)
        found.add(original(error.line), "yaml", message, mend)
        return None
    found.lines = {place: original(line) for place, line in places.items()}
    found.lines[()] = first_line
    if not isinstance(value, dict) or not isinstance(value.get("workflow"), dict):
        inner = value.get("workflow") if isinstance(value, dict) else value
        message = f"'workflow' is a map with 'name' and 'tasks' or 'groups', got {short(inner)}"
        found.add(first_line, "type", message)
        return None
    for key in value:
        if key != "workflow":
            message = f"rendering made a second top-level key {short(key)}"
            found.at((key,), "unknown-key", message, "look at values with line breaks; write them in quotes")
    return {"workflow": value["workflow"]}


def _explain(error: YamlError) -> tuple[str, str]:
    problem = error.problem
    if "could not determine a constructor for the tag" in problem:
        return f"only plain values are read: {problem}", "take the tag (the word with '!') away"
    if "another document" in problem:
        return "a file holds one document, and '---' begins a second one", "take '---' and what follows away"
    if "given twice" in problem:
        return problem, "keep one of the two"
    if "tab" in problem or "\\t" in problem:
        return f"not valid YAML: {problem}", "indent with blanks, not tabs"
    if "mapping values are not allowed" in problem or "block end" in problem:
        return f"not valid YAML: {problem}", "check the indentation, and put text with ': ' in quotes"
    return f"not valid YAML: {problem.removeprefix('not valid YAML ')}", ""
