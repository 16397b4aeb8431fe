"""From a workflow file to a checked workflow: split, render, inline, render again, check; all problems at once."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from noescape.flow.format import document, lint, localfiles, rules, second, sections
from noescape.flow.format.model import build
from noescape.flow.format.problems import Found, Problem, nearest
from noescape.flow.format.spec import Workflow
from noescape.flow.format.template import Rendered, render
from noescape.flow.format.units import show_size
from noescape.records import UsageError

__all__ = ["Loaded", "Problem", "load", "require"]
MAX_SOURCE = 4 << 20
MAX_TRIES = 8
_BRACES = (
    "'{{' opens an expression, also inside of a script: close it with '}}', or part braces that are the script's own"
)


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """What a workflow file says, with all that is wrong with it.

    `source` is the file, `text` the document that a cluster would parse in the end (rendered, files inlined, tokens
    still in; empty when rendering failed), `variables` what the template was rendered with. `workflow` is None when it
    could not be understood.
    """

    path: Path
    stem: str
    source: str
    text: str
    variables: dict[str, object]
    workflow: Workflow | None
    problems: tuple[Problem, ...]
    sets: tuple[str, ...]
    string_sets: tuple[str, ...]

    @property
    def failed(self) -> bool:
        """Whether anything must be mended before it can run."""
        return any(problem.level == "error" for problem in self.problems)


def load(
    path: Path | str,
    *,
    sets: Iterable[str] = (),
    string_sets: Iterable[str] = (),
    target: Literal["local", "osmo"] = "local",
    required: Iterable[str] = (),
    placeholders: bool = False,
) -> Loaded:
    """Read and check the workflow file at `path`; never raises for what the file says, see `problems`.

    `sets` are `name=value` (cast as `--set` does), `string_sets` stay text. `required` are the variables without which
    the flow means nothing: one that is neither set nor has a default is an error, or with `placeholders` a warning and
    the text `<name>`. A local run and a cluster get the same document; `target` decides what counts as an error.
    UsageError when the file cannot be read at all. Costs one or two child processes of 0.1 s where there is something
    to render.
    """
    path = Path(path)
    source = _read(path)
    found = Found(str(path), target)
    loaded = Loaded(
        path=path, stem=path.name.split(".")[0] or path.name, source=source, text="", variables={}, workflow=None,
        problems=(), sets=tuple(sets), string_sets=tuple(string_sets),
    )  # fmt: skip
    cut = sections.split(source, found)
    defaults = sections.defaults(cut.get("default-values"), found)
    given = sections.variables(loaded.sets, loaded.string_sets, found)
    given |= _required(required, {**defaults, **given}, placeholders, found)
    loaded = replace(loaded, variables={**defaults, **given})
    if "workflow" in cut:
        text, workflow = _workflow(cut, loaded.variables, defaults, given, path, found)
        loaded = replace(loaded, text=text, workflow=workflow)
    return replace(loaded, problems=found.all())


def require(loaded: Loaded) -> Workflow:
    """The workflow, or a UsageError that lists every error with its line and mend."""
    errors = [str(problem) for problem in loaded.problems if problem.level == "error"]
    if not errors and loaded.workflow is None:
        errors = [str(problem) for problem in loaded.problems] or [f"{loaded.path}: not a workflow."]
    if errors or loaded.workflow is None:
        head = "1 problem" if len(errors) == 1 else f"{len(errors)} problems"
        raise UsageError(f"{head} in {loaded.path}:\n  " + "\n  ".join(errors))
    return loaded.workflow


def _read(path: Path) -> str:
    try:
        if not path.is_file():
            raise UsageError(f"{path}: no such workflow file" if not path.exists() else f"{path}: not a plain file")
        with path.open("rb") as f:
            data = f.read(MAX_SOURCE + 1)
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from None
    if len(data) > MAX_SOURCE:
        raise UsageError(f"{path}: a workflow file has at most {show_size(MAX_SOURCE)}; keep data in storage")
    try:
        return data.decode("utf-8").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not UTF-8 text (byte {error.start})") from None


def _required(names: Iterable[str], have: dict[str, Any], placeholders: bool, found: Found) -> dict[str, Any]:
    stand_in: dict[str, Any] = {}
    for name in names:
        if have.get(name) not in (None, ""):
            continue
        mend = f"give it with --set {name}=VALUE"
        if placeholders:
            stand_in[name] = f"<{name}>"
            found.placeholders.add(stand_in[name])
            found.add(None, "required", f"{name!r} is needed to run and not given; shown as <{name}>", mend, "warning")
        else:
            found.add(None, "required", f"{name!r} is needed to run and not given", mend)
    return stand_in


def _workflow(
    cut: dict[str, sections.Section],
    variables: dict[str, Any],
    defaults: dict[str, Any],
    given: dict[str, Any],
    path: Path,
    found: Found,
) -> tuple[str, Workflow | None]:
    section = lint.marks(cut["workflow"], variables, found)
    for _ in range(MAX_TRIES):
        rendered = render(section.text, variables, first_line=section.line)
        _faults(rendered, section, variables, found)
        # Jinja stops at the first expression that it cannot read; that one is taken out for the sake of the others.
        rest = lint.without(section, rendered.faults[0].line) if rendered.text is None and rendered.faults else None
        if rest is None or rendered.faults[0].message.startswith("Unexpected end of template"):
            break
        section = rest
        found.placeholders.add(lint.UNKNOWN)
    if rendered.text is None:
        return "", None
    # A name that nobody gave would fail in every line that depends on it; the one problem is told already.
    found.placeholders |= {f"<{name}>" for name in rendered.undefined}
    data = document.read(rendered.text, rendered.lines, section.line, found)
    if data is None:
        return rendered.text, None
    inlined = localfiles.inline(data["workflow"], path.parent, found)
    stand_ins = {name: f"<{name}>" for name in rendered.undefined if name not in variables}
    text, data = second.again(data, {**stand_ins, **given}, inlined, found)
    lint.variables(cut["workflow"], cut.get("default-values"), defaults, given, inlined.values(), found)
    workflow = data["workflow"]
    rules.check(workflow, found)
    return text, build(workflow, found)


def _faults(rendered: Rendered, section: sections.Section, variables: dict[str, Any], found: Found) -> None:
    for fault in rendered.faults:
        if fault.kind != "undefined":
            message = re.sub(r"^(unexpected char .*) at \d+$", r"\1", fault.message)
            row = section.text.split("\n")[fault.line - section.line] if fault.line else ""
            mend = _BRACES if ("{{" in row and "unexpected" in message) or "expected token" in message else ""
            found.add(fault.line or section.line, "template", f"the template cannot be rendered: {message}", mend)
            continue
        name = re.match(r"'(\w+)' is undefined", fault.message)
        row = section.text.split("\n")[fault.line - section.line] if fault.line else ""
        comment = " (comments are rendered too)" if row.lstrip().startswith("#") else ""
        mend = "take the braces out" if comment else nearest(name[1], map(str, variables)) if name else ""
        mend = mend or (lint.token_like(name[1]) if name else "")
        if name and not mend:
            mend = f"give it with --set {name[1]}=VALUE or in default-values"
        found.add(fault.line or section.line, "undefined", f"{fault.message}{comment}", mend)
