"""From plain data to the strict models, with pydantic's findings put into words of the format."""

from __future__ import annotations

from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from noescape.flow.format.portable import NOT_PORTABLE
from noescape.flow.format.problems import Found, Place, listed, nearest, short
from noescape.flow.format.spec import Task, Workflow

_LOOSE = {
    "dependsOn": "an order between tasks comes from inputs: `inputs: [{task: NAME}]`",
    "depends_on": "an order between tasks comes from inputs: `inputs: [{task: NAME}]`",
    "needs": "an order between tasks comes from inputs: `inputs: [{task: NAME}]`",
    "retries": "tries come from `exitActions: {RESCHEDULE: codes}`",
    "retry": "tries come from `exitActions: {RESCHEDULE: codes}`",
    "workingDir": "change the folder in the command: `sh -c 'cd … && …'`",
    "when": "there are no conditions at run time; use `{% if %}`",
    "if": "there are no conditions at run time; use `{% if %}`",
    "dependencies": "an order between tasks comes from inputs: `inputs: [{task: NAME}]`",
    "env": "did you mean 'environment'?",
    "cmd": "did you mean 'command'?",
    "entrypoint": "did you mean 'command'? It takes the place of the image's own entry point",
    "default-values": "it stands in the first column of the file, beside 'workflow'",
    "ignoreNonleadStatus": "it belongs to the group, beside its 'tasks'",
    "barrier": "it belongs to the group, beside its 'tasks'",
    "exec_timeout": "it belongs into `workflow: timeout:` and holds for each group",
    "queue_timeout": "it belongs into `workflow: timeout:` and holds for each group",
    "timeout": "it belongs beside 'name' of the workflow and holds for each group",
    "cpu": "it belongs into `workflow: resources: NAME:`, which `resource: NAME` of the task picks",
    "gpu": "it belongs into `workflow: resources: NAME:`, which `resource: NAME` of the task picks",
    "memory": "it belongs into `workflow: resources: NAME:`, which `resource: NAME` of the task picks",
    "storage": "it belongs into `workflow: resources: NAME:`, which `resource: NAME` of the task picks",
    "platform": "it belongs into `workflow: resources: NAME:`, which `resource: NAME` of the task picks",
}
# What an entry of these lists looks like, for those who leave the braces or the dash out.
_ENTRY = {
    "inputs": "[{task: NAME}] or [{url: s3://bucket/path/}]",
    "outputs": "[{url: s3://bucket/path/}]",
    "files": "[{path: /tmp/run.sh, contents: …}]",
    "checkpoint": "[{path: /data, url: s3://bucket/path/, frequency: 5m}]",
    "kpis": "[{index: NAME, path: kpi.json}]",
    "tasks": "[{name: NAME, image: …, command: […]}]",
    "groups": "[{name: NAME, tasks: […]}]",
    "environment": "{NAME: value}",
    "credentials": "{credential: {VARIABLE: key}} or {credential: /folder}",
    "exitActions": "{RESCHEDULE: '3,200-210'}",
    "timeout": "{exec_timeout: 2h, queue_timeout: 30m}",
    "resources": "{default: {cpu: 1, memory: 1Gi}}",
}
_EXPECTED = {
    "string": "text",
    "int": "a whole number",
    "bool": "true or false",
    "tuple": "a list",
    "dict": "a map",
    "model": "a map",
}


def build(workflow: dict[str, Any], found: Found) -> Workflow | None:
    """The workflow in its normal form, or None when something in it does not fit (each thing noted)."""
    data = {key: value for key, value in workflow.items() if key != "backend"}
    alone = not data.get("groups")
    tasks = data.pop("tasks", None)
    if alone:
        data["groups"] = [_alone(task) for task in tasks] if isinstance(tasks, list) else []
        if tasks is not None and not isinstance(tasks, list):
            found.at(
                ("workflow", "tasks"),
                "type",
                f"'tasks' is a list, got {short(tasks)}",
                f"write {_ENTRY['tasks']}",
                value=tasks,
            )
            return None
    else:
        data["groups"] = (
            [_led(group) for group in data["groups"]] if isinstance(data["groups"], list) else data["groups"]
        )
    if data.get("pool") == "":
        del data["pool"]
    try:
        return Workflow.model_validate(data)
    except ValidationError as error:
        for each in error.errors(include_url=False, include_context=True):
            _tell(each, alone, workflow, found)
    except RecursionError:
        found.at((), "yaml", "nested too deeply")
    return None


def _alone(task: Any) -> Any:
    name = task.get("name") if isinstance(task, dict) else None
    return {"name": f"{name}-group" if isinstance(name, str) else "a", "tasks": [_leading(task)]}


def _led(group: Any) -> Any:
    if not (isinstance(group, dict) and isinstance(group.get("tasks"), list) and len(group["tasks"]) == 1):
        return group
    return {**group, "tasks": [_leading(group["tasks"][0])]}


def _leading(task: Any) -> Any:
    """The one task of a group leads, whatever it says; what is no truth value is left to be told."""
    return {**task, "lead": True} if isinstance(task, dict) and isinstance(task.get("lead", True), bool) else task


def _tell(error: Any, alone: bool, workflow: dict[str, Any], found: Found) -> None:
    place: Place = tuple(part for part in error["loc"] if part != "[key]")
    if alone and place[:1] == ("groups",):
        if len(place) == 3 and place[2] == "name":
            return  # the made-up name of the group of a task whose own name is told
        place = ("tasks", place[1], *place[4:]) if len(place) > 3 else ("tasks", place[1])
    name, kind = place[-1] if place else "workflow", error["type"]
    where, value = _describe(place, workflow), error["input"]
    at: Place = ("workflow", *place)
    if kind == "extra_forbidden":
        if at not in found.places:  # else a rule has said why in its own words
            known = _known(place[:-1])
            mend = _LOOSE.get(str(name)) or nearest(str(name), known) or f"it knows {listed(sorted(known), 30)}"
            found.at(at, "unknown-key", f"{where} does not know {str(name)!r}", mend, value=str(name))
    elif kind == "missing":
        if name != "url" or not any((*at[:-1], old) in found.places for old in NOT_PORTABLE):
            found.at(at[:-1], "missing", f"{where} needs {str(name)!r}")
    elif kind == "value_error":
        found.at(at, "value", f"{_label(place)}{where}: {error['ctx']['error']}", value=value)
    elif kind == "too_short" and value:
        pass  # its entries are wrong, and told
    elif kind == "too_short":
        found.at(at, "missing", f"{where}: {str(name)!r} needs at least one entry")
    elif kind == "greater_than_equal":
        found.at(at, "value", f"{where}: {str(name)!r} is 0 or more, got {short(value)}", value=value)
    elif kind == "literal_error":
        found.at(at, "value", f"{where}: {str(name)!r} is {error['ctx']['expected']}, got {short(value)}", value=value)
    elif kind == "string_unicode":
        found.at(at, "type", f"{where}: {_in(place)} is no UTF-8 text")
    else:
        expected, mend = _expected(kind, value, place)
        found.at(at, "type", f"{where}: {_in(place)} must be {expected}, got {short(value)}", mend, value=value)


def _expected(kind: str, value: Any, place: Place) -> tuple[str, str]:
    expected = next((words for start, words in _EXPECTED.items() if kind.startswith(start)), f"right ({kind})")
    mend = ""
    key = next((str(part) for part in reversed(place) if not isinstance(part, int)), "")
    if key in _ENTRY and expected in ("a list", "a map") and value is not None:
        mend = f"write {key}: {_ENTRY[key]}"
    elif expected == "text" and isinstance(value, bool):
        word = short(value)
        mend = f'write it in quotes: "{word}"; a template value too: "{{{{ name }}}}" (which gives {str(value)!r})'
    elif expected == "text" and value is None:
        mend = "give it a value, or leave the line out"
    elif expected == "a list" and isinstance(value, str):
        mend = f"write it as a list: [{short(value, 40)}], one entry for each word"
    elif expected == "a whole number" and isinstance(value, float):
        mend = "fractions are not shared out"
    elif value is None:
        mend = "leave the key out to have the default"
    return expected, mend


def _describe(place: Place, workflow: dict[str, Any]) -> str:
    """The thing a place belongs to, by name: `task 'train'`, `input 0 of task 'train'`, `resource 'gpu'`."""
    words, before = "the workflow", ""
    value: Any = workflow
    for part in place[:-1]:
        value = _step(value, part)
        name = value.get("name") if isinstance(value, dict) else None
        if before in ("tasks", "groups") and isinstance(part, int):
            words = f"{before[:-1]} {name!r}" if isinstance(name, str) else f"{before[:-1]} number {part + 1}"
        elif before == "resources":
            words = f"resource {part!r}"
        elif isinstance(part, int):
            words = f"{before.removesuffix('s')} {part} of {words}"
        elif part == "timeout":
            words = "timeout"
        before = str(part)
    return words


def _step(value: Any, part: str | int) -> Any:
    if isinstance(value, list):
        return value[part] if isinstance(part, int) and part < len(value) else None
    return value.get(part) if isinstance(value, dict) else None


def _in(place: Place) -> str:
    if place and isinstance(place[-1], int):
        return f"entry {place[-1]} of {str(place[-2])!r}" if len(place) > 1 else "an entry"
    if len(place) > 1 and place[-2] in ("environment", "exitActions", "credentials"):
        return f"{str(place[-1])!r} of {str(place[-2])!r}"
    return repr(str(place[-1])) if place else "it"


def _label(place: Place) -> str:
    return f"{_in(place)} of " if place and not isinstance(place[-1], int) else ""


def _known(place: Place) -> list[str]:
    """The keys of the model at a place."""
    model: Any = Workflow
    named = False
    for part in place:
        if named or isinstance(part, int):
            named = False  # the name of a resource, whatever it is called
        elif part == "tasks" and model is Workflow:
            model = Task
        elif part in model.model_fields:
            named = part == "resources"
            model = _inner(model, part) or model
    known = [str(key) for key in model.model_fields]
    return [*known, "tasks"] if model is Workflow else known


def _inner(model: Any, key: str) -> Any:
    waiting = [model.model_fields[key].annotation]
    while waiting:
        kind = waiting.pop()
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return kind
        waiting.extend(get_args(kind))
    return None
