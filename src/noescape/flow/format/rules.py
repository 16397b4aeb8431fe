"""Rules between values: names, groups and their leads, the order of tasks, resources, limits of a cluster.

Reads plain data of any shape and passes by what `model.py` will refuse, so that one wrong value hides no other problem.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from noescape.flow.format import portable, task_rules
from noescape.flow.format.problems import Found, Place, listed, nearest, short
from noescape.flow.format.spec import MAX_NAME, NAME
from noescape.flow.format.units import MAX_SECONDS, parse_duration

MAX_TASKS = 20  # what a cluster takes in one workflow unless it is configured otherwise
_OLD_TASK = re.compile(rf"(?P<workflow>{NAME.pattern}):(?P<task>{NAME.pattern})")
_RESERVED = "osmo-ctrl"


@dataclass(frozen=True, kw_only=True)
class Member:
    """A task that is a map, where it stands, and which group it is in."""

    name: str
    place: Place
    data: dict[str, Any]
    group: int


def check(workflow: dict[str, Any], found: Found) -> None:
    """Note every problem that the values of a workflow have with each other."""
    members = _members(workflow)
    _one_kind(workflow, found)
    _limits(workflow, members, found)
    _names(workflow, members, found)
    _leads(workflow, found)
    _order(workflow, members, found)
    _resources(workflow, members, found)
    for member in members:
        same = {other.name for other in members if other.group == member.group}
        task_rules.check(member.name, member.place, member.data, same, found)


def _members(workflow: dict[str, Any]) -> list[Member]:
    found = []
    for g, (place, group) in enumerate(_groups(workflow)):
        for i, task in enumerate(_list(group.get("tasks"))):
            if isinstance(task, dict):
                here = place if place[1] == "tasks" else (*place, "tasks", i)
                found.append(Member(name=_text(task.get("name")), place=here, data=task, group=g))
    return found


def _groups(workflow: dict[str, Any]) -> list[tuple[Place, dict[str, Any]]]:
    """Each group with its place; a task that stands alone is a group of one, at the task's place."""
    if workflow.get("groups"):
        listed_groups = enumerate(_list(workflow["groups"]))
        return [(("workflow", "groups", g), group) for g, group in listed_groups if isinstance(group, dict)]
    tasks = enumerate(_list(workflow.get("tasks")))
    return [(("workflow", "tasks", i), {"tasks": [task]}) for i, task in tasks]


def _one_kind(workflow: dict[str, Any], found: Found) -> None:
    here: Place = ("workflow",)
    tasks, groups = workflow.get("tasks"), workflow.get("groups")
    if tasks and groups:
        mend = "put the tasks that stand alone into groups of one"
        found.at((*here, "tasks"), "tasks-and-groups", "a workflow has either 'tasks' or 'groups', not both", mend)
    elif not tasks and not groups:
        found.at(here, "no-tasks", "a workflow needs at least one task or one group", "add 'tasks:'")
    elif groups and tasks is not None:
        message = "an empty 'tasks' beside 'groups' is filled by the submitting client and then refused"
        found.cluster((*here, "tasks"), "tasks-and-groups", message, "take 'tasks' away")


def _limits(workflow: dict[str, Any], members: list[Member], found: Found) -> None:
    here: Place = ("workflow",)
    if len(members) > MAX_TASKS:
        message = f"{len(members)} tasks: a cluster takes {MAX_TASKS} in one workflow unless it is configured otherwise"
        found.cluster(members[MAX_TASKS].place, "too-many-tasks", message, "do more in one task, or use two workflows")
    portable.check(here, workflow, found)
    for place, group in _groups(workflow):
        if place[1] == "groups":
            portable.check(place, group, found)
    if "backend" in workflow:
        found.at((*here, "backend"), "ignored", "'backend' is filled by the service", "leave it out", "warning")
    timeout = workflow.get("timeout")
    for key, value in (timeout if isinstance(timeout, dict) else {}).items():
        _timeout((*here, "timeout", key), key, value, found)


def _timeout(place: Place, key: str, value: Any, found: Found) -> None:
    try:
        seconds = parse_duration(value) if isinstance(value, (int, float, str)) else None
    except ValueError:
        return
    if seconds is None or isinstance(value, bool):
        return
    if seconds == 0:
        found.at(place, "duration", f"{key!r} of 0 means the default of the cluster", "leave it out", "warning")
    elif seconds > MAX_SECONDS:
        found.at(place, "duration", f"{key!r} is more than the 60 days that a cluster grants", "", "warning")
    if isinstance(value, str) and value.startswith("P"):
        message = f"not every version of the service reads {value!r}"
        found.cluster(place, "duration", message, "write it with one unit: 90m")


def _names(workflow: dict[str, Any], members: list[Member], found: Found) -> None:
    named = [("workflow", _text(workflow.get("name")), ("workflow", "name"))]
    groups = [("group", _text(g.get("name")), (*p, "name")) for p, g in _groups(workflow) if p[1] == "groups"]
    tasks = [("task", member.name, (*member.place, "name")) for member in members]
    for kind, name, place in (*named, *groups, *tasks):
        if len(name) > MAX_NAME:
            found.at(
                place,
                "name",
                f"a name has at most {MAX_NAME} characters, that of this {kind} has {len(name)}",
                value=name,
            )
        if kind == "task" and _plain(name) == _RESERVED:
            found.at(place, "name", f"{name!r} is reserved by the service", "take another name")
    # Tasks and groups share one namespace; to the cluster Train_1 and train-1 are the same.
    taken: dict[str, tuple[str, str, Place]] = {}
    alone = [(f"the group of task {name!r}", f"{name}-group", place) for kind, name, place in tasks if not groups]
    for kind, name, place in sorted((*groups, *tasks), key=lambda item: found.line(item[2]) or 0):
        _claim(taken, f"{kind} {name!r}", name, place, found)
    for kind, name, place in alone:
        if taken.get(_plain(name), ("",))[0].startswith("task"):
            _claim(taken, kind, name, place, found)


def _claim(taken: dict[str, tuple[str, str, Place]], kind: str, name: str, place: Place, found: Found) -> None:
    if not name:
        return
    plain = _plain(name)
    if plain not in taken:
        taken[plain] = (kind, name, place)
        return
    other, _, where = taken[plain]
    line = found.line(where)
    at = f" in line {line}" if line else ""
    same = "" if taken[plain][1] == name else ", for '-' and '_', great and small letters are the same"
    message = f"{kind} has the name of {other}{at}: tasks and groups share their names{same}"
    found.at(place, "name-clash", message, "take another name", value=name)


def _leads(workflow: dict[str, Any], found: Found) -> None:
    for place, group in _groups(workflow):
        tasks = [task for task in _list(group.get("tasks")) if isinstance(task, dict)]
        leads = [_text(task.get("name")) or "?" for task in tasks if task.get("lead") in (True, "true", "True", 1)]
        if len(tasks) > 1 and len(leads) != 1:
            came = f"{listed(leads)} lead" if leads else "none leads"
            name = _text(group.get("name")) or "?"
            message = f"exactly one task of group {name!r} leads (when it ends, the others are stopped); {came}"
            found.at((*place, "tasks"), "lead", message, "give one of them 'lead: true'")


def _order(workflow: dict[str, Any], members: list[Member], found: Found) -> None:
    groups = {_text(group.get("name")): g for g, (_, group) in enumerate(_groups(workflow))}
    first: dict[str, Member] = {}
    for member in members:
        first.setdefault(member.name, member)
    for member in members:
        for i, entry in enumerate(_list(member.data.get("inputs"))):
            task = entry.get("task") if isinstance(entry, dict) else None
            if not isinstance(task, str) or found.unknown(task):
                continue
            place: Place = (*member.place, "inputs", i, "task")
            if ":" in task:
                _old_task(task, place, found)
            elif task not in first and task in groups:
                mend = f"name a task of it: {listed([m.name for m in members if m.group == groups[task]])}"
                found.at(place, "input-task", f"{task!r} is a group, and an input is a task", mend)
            elif task not in first:
                _no_such_task(task, first, place, found)
            else:
                _before(member, first[task], place, found)


def _old_task(task: str, place: Place, found: Found) -> None:
    match = _OLD_TASK.fullmatch(task)
    if not match or not re.search(r"-\d+$", match["workflow"]):
        message = f"an input of another workflow is 'WORKFLOW-N:TASK', such as old-flow-3:train, got {task!r}"
        found.at(place, "input-task", message)


def _no_such_task(task: str, first: dict[str, Member], place: Place, found: Found) -> None:
    same = next((name for name in first if _plain(name) == _plain(task)), None)
    mend = f"write {same!r}, to the letter" if same else nearest(task, first) or f"tasks are {listed(sorted(first))}"
    found.at(place, "input-task", f"there is no task {task!r} to take an input from", mend)


def _before(member: Member, upstream: Member, place: Place, found: Found) -> None:
    if upstream.group == member.group:
        what = "itself" if upstream.name == member.name else f"{upstream.name!r} of its own group"
        message = f"task {member.name!r} cannot have an input from {what}: a group starts as one"
        mend = "use {{host:" + upstream.name + "}} to talk to it, or put them into two groups"
        found.at(place, "input-in-group", message, mend if upstream.name != member.name else "")
    elif upstream.group > member.group:
        line = found.line(upstream.place)
        at = f" (line {line})" if line else ""
        message = f"task {member.name!r} takes an input from {upstream.name!r}, which is declared later{at}"
        found.at(place, "input-later", message, f"move {upstream.name!r} above it")


def _resources(workflow: dict[str, Any], members: list[Member], found: Found) -> None:
    resources = workflow.get("resources")
    if resources is not None and not isinstance(resources, dict):
        return
    known = [str(name) for name in resources] if resources is not None else ["default"]
    for member in members:
        wanted = member.data.get("resource", "default")
        if not isinstance(wanted, str) or wanted in known:
            continue
        place: Place = (*member.place, "resource")
        if "resource" not in member.data:
            message = f"task {member.name!r} names no resource, and 'resources' has no 'default'"
            mend = (
                f"add 'default' to resources, or 'resource:' to the task ({listed(known)})"
                if known
                else "add 'default'"
            )
        else:
            message = f"task {member.name!r} wants the resource {short(wanted)}, which is not there"
            mend = nearest(wanted, known) or f"resources are {listed(known)}"
        found.at(place, "resource", message, mend, value=wanted)
    for name, resource in (resources or {}).items():
        for key in ("memory", "storage"):
            value = resource.get(key) if isinstance(resource, dict) else None
            if isinstance(value, str) and re.fullmatch(r"[\d.]+([KMGT](iB)?|B)", value):
                message = f"{value!r}: service and scheduler read this unit differently"
                mend = f"write {re.sub(r'[A-Za-z]+$', '', value)}{value.lstrip('0123456789.')[0]}i".replace("Bi", "")
                found.at(("workflow", "resources", str(name), key), "size-unit", message, mend, "warning")


def _plain(name: str) -> str:
    return name.lower().replace("_", "-")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
