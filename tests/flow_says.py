"""What `load` says about a workflow that a test writes down."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from noescape.flow.format.load import Loaded, load
from noescape.flow.format.problems import Problem

TASK = "  - {name: a, image: x, command: [sh]}\n"


def loaded(folder: Path, text: str, target: Literal["local", "osmo"] = "local", **more: Any) -> Loaded:
    """`text` as the file `w.yaml` in `folder`, loaded."""
    path = folder / "w.yaml"
    path.write_text(text, encoding="utf-8")
    return load(path, target=target, **more)


def tasks(*rows: str, head: str = "") -> str:
    """A workflow of tasks, each row the inside of a flow map after name, image and command of its own."""
    made = [f"  - {{{row}}}\n" for row in rows]
    return f"workflow:\n  name: w\n{head}  tasks:\n{''.join(made)}"


def task(name: str = "a", more: str = "") -> str:
    """The inside of one task's flow map."""
    return f"name: {name}, image: x, command: [sh]" + (f", {more}" if more else "")


def errors(found: Loaded) -> list[tuple[str, int | None]]:
    """Rule and line of every error."""
    return [(problem.rule, problem.line) for problem in found.problems if problem.level == "error"]


def warnings(found: Loaded) -> list[tuple[str, int | None]]:
    """Rule and line of every warning."""
    return [(problem.rule, problem.line) for problem in found.problems if problem.level == "warning"]


def only(found: Loaded) -> Problem:
    """The one problem that there is."""
    assert len(found.problems) == 1, [str(problem) for problem in found.problems]
    return found.problems[0]
