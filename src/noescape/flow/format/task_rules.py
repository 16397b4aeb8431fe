"""Rules inside of one task: tokens that nothing stands for, urls, files, exit codes, what is not portable."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from typing import Any

from noescape.flow.format import portable
from noescape.flow.format.problems import Found, Place, listed, short
from noescape.flow.format.spec import ACTIONS
from noescape.flow.format.tokens import ANY_BRACES, TOKEN, texts_of
from noescape.flow.storage.urls import url_problem

_VARIABLE = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")  # what a cluster takes
_SLIP = re.compile(r"(s3|gs|azure|swift|tos):/?(?!/)")
_RANGE = re.compile(r"(\d{1,9})(?:-(\d{1,9}))?")


def check(name: str, place: Place, task: dict[str, Any], group: set[str], found: Found) -> None:
    """Note every problem inside of task `name`; `group` has the names of the tasks that start with it."""
    _portable(place, task, found)
    _start(place, task, found)
    _variables(place, task, found)
    _tokens(name, place, task, group, found)
    _urls(place, task, found)
    _files(place, task, found)
    _exits(place, task, found)
    _mounts(place, task, found)


def _portable(place: Place, task: dict[str, Any], found: Found) -> None:
    if "resources" in task:
        message = "'resources' inside of a task is silently overwritten by the one that 'resource' names"
        found.at((*place, "resources"), "task-resources", message, "define it under 'workflow: resources:' and name it")
    portable.check(place, task, found)
    for i, entry in _entries(task, "outputs"):
        if "task" in entry:
            message = "an output has 'url' only; what is written to {{output}} reaches later tasks without it"
            found.at((*place, "outputs", i, "task"), "output-task", message, "take it away")


def _start(place: Place, task: dict[str, Any], found: Found) -> None:
    """What the pod could not start with: an image without a name, a first word that is no program."""
    image, command = task.get("image"), _list(task.get("command"))
    if isinstance(image, str) and not re.fullmatch(r"\S+", image):
        message = f"an image has a name without blanks, such as python:3.11, got {image!r}"
        found.cluster((*place, "image"), "image", message, value=image)
    if command and isinstance(command[0], str) and not command[0].strip():
        found.at((*place, "command", 0), "command", "the first word of 'command' is the program, and it is empty")


def _variables(place: Place, task: dict[str, Any], found: Found) -> None:
    """Names of variables that no process can have, and variables that are set twice."""
    environment, credentials = task.get("environment"), task.get("credentials")
    owner: dict[str, str] = {}
    sets = [("environment", "'environment'", environment)]
    for name, held in (credentials if isinstance(credentials, dict) else {}).items():
        sets.append((f"credentials {name}", f"the credential {str(name)!r}", held))
    for where, words, held in sets:
        for variable in map(str, held if isinstance(held, dict) else {}):
            here: Place = (*place, *where.split(" ", 1), variable)
            if not _VARIABLE.fullmatch(variable) and not TOKEN.search(variable):
                mend = "a variable has letters, digits, '_', '-' and '.', and no digit first"
                found.at(here, "variable", f"no variable can have the name {variable!r}", mend, value=variable)
            elif variable in owner:
                message = f"{owner[variable]} and {words} both set {variable!r}; that of {words} is taken"
                found.at(here, "variable", message, "give them two names", "warning", variable)
            owner[variable] = words


def _tokens(name: str, place: Place, task: dict[str, Any], group: set[str], found: Found) -> None:
    inputs = [entry if isinstance(entry, dict) else {} for entry in _list(task.get("inputs"))]
    names = {str(i) for i in range(len(inputs))}
    names |= {each["task"].rpartition(":")[2] for each in inputs if isinstance(each.get("task"), str)}
    for here, value in _leaves(place, task):
        for match in TOKEN.finditer(value):
            kind, _, which = match[1].partition(":")
            if kind == "uuid":
                message = "nothing ever stands for {{uuid}}, it stays as it is"
                found.at(here, "token", message, "use {{workflow_id}}", value=value)
            elif kind == "input" and which not in names:
                known = listed(sorted(names)) or "none"
                message = f"nothing stands for {match[0]} in task {name!r}, it stays as it is"
                mend = f"its inputs are {known}" + ("; an input from a url goes by its number" if inputs else "")
                found.at(here, "token", message, mend, value=value)
            elif kind == "host" and which not in group:
                message = f"nothing stands for {match[0]}: only hosts of the own group are known"
                found.at(here, "token", message, f"tasks of the group are {listed(sorted(group))}", value=value)
        for match in () if found.told("second-render") else ANY_BRACES.finditer(TOKEN.sub("", value)):
            message = f"{short(match[0], 40)} is no token and stays as it is"
            found.at(here, "braces", message, "", "warning", value=value)


def _leaves(place: Place, value: Any) -> Iterator[tuple[Place, str]]:
    if isinstance(value, dict):
        for key, held in value.items():
            if isinstance(key, str) and "{{" in key:
                yield (*place, key), key
            yield from _leaves((*place, str(key)), held)
    elif isinstance(value, list):
        for i, held in enumerate(value):
            yield from _leaves((*place, i), held)
    elif isinstance(value, str) and "{{" in value:
        yield place, value


def _urls(place: Place, task: dict[str, Any], found: Found) -> None:
    for key in ("inputs", "outputs", "checkpoint"):
        for i, entry in _entries(task, key):
            url = entry.get("url")
            if not isinstance(url, str):
                continue
            known = TOKEN.sub("x", url)  # the real name is known when the task starts
            problem = url_problem(known, found.target)
            slip = _SLIP.match(url)
            if slip:
                message = f"{url!r} is the name of a folder, not a url of {slip[1]}"
                found.cluster((*place, key, i, "url"), "url", message, f"write {slip[1]}://, with two slashes", url)
            elif problem:
                found.at((*place, key, i, "url"), "url", problem.replace(repr(known), repr(url)), value=url)
            if key == "checkpoint" and any(TOKEN.search(text) for text in texts_of(entry.get("regex"))):
                found.at((*place, key, i, "regex"), "token", "a token in a regex is put in as it is", "", "warning")


def _files(place: Place, task: dict[str, Any], found: Found) -> None:
    seen: dict[str, int] = {}
    for i, file in _entries(task, "files"):
        path = file.get("path")
        here: Place = (*place, "files", i, "path")
        if isinstance(path, str) and not found.unknown(path):
            parts = [part for part in path.split("/") if part]
            own = path.startswith("/osmo/data/output/")
            if not parts or (parts[0] == "osmo" and not own):
                message = f"a file has a path and none under /osmo, which belongs to the service; got {path!r}"
                found.at(here, "file-path", message, "take another folder")
            elif ".." in parts or "\0" in path:
                found.at(
                    here, "file-path", f"a path of a file has no '..' in it, got {path!r}", "write the folder itself"
                )
            elif path in seen:
                found.at(here, "file-path", f"two files of the task have the path {path!r}", "each path is there once")
            seen.setdefault(path, i)
        contents = file.get("contents")
        if file.get("base64") is True and isinstance(contents, str) and not found.unknown(contents):
            try:
                base64.b64decode(re.sub(r"\s", "", contents), validate=True)
            except (binascii.Error, ValueError):
                found.at((*place, "files", i, "contents"), "base64", "the contents are said to be base64 and are not")


def _exits(place: Place, task: dict[str, Any], found: Found) -> None:
    actions = task.get("exitActions")
    taken: list[tuple[int, int, str]] = []
    for action, codes in (actions if isinstance(actions, dict) else {}).items():
        if str(action).upper() not in ACTIONS:
            continue
        here: Place = (*place, "exitActions", str(action))
        for part in str(codes).split(","):
            match = _RANGE.fullmatch(part)
            if not match:
                continue
            low, high = int(match[1]), int(match[2] or match[1])
            if low == 0 and str(action).upper() != "COMPLETE":
                message = f"{part} holds 0, so that a task which ends well counts as {str(action).upper()} too"
                found.at(here, "exit-codes", message, "begin with 1", "warning")
            if low > high:
                found.at(here, "exit-codes", f"no code is in {part}", f"write {high}-{low}", "warning")
            for start, end, other in taken:
                if other != action and low <= end and start <= high:
                    # Submitting sorts the keys, so the order in the file says nothing.
                    message = f"{other} and {action} both name exit code {max(low, start)}; {other} is taken"
                    found.at(here, "exit-codes", message, "give each code one action", "warning")
            taken.append((low, high, str(action)))


def _mounts(place: Place, task: dict[str, Any], found: Found) -> None:
    for i, mount in enumerate(_list(task.get("volumeMounts"))):
        if isinstance(mount, str) and (mount.count(":") > 1 or mount.endswith(":") or not mount.startswith("/")):
            message = f"a mount is '/from' or '/from:/to', got {mount!r}"
            found.at((*place, "volumeMounts", i), "volume-mount", message, value=mount)
    for i, checkpoint in _entries(task, "checkpoint"):
        frequency = checkpoint.get("frequency")
        if frequency in (0, "0s", "0m") and frequency is not False:
            found.at((*place, "checkpoint", i, "frequency"), "duration", "a checkpoint cannot be taken every 0 s")


def _entries(task: dict[str, Any], key: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for i, entry in enumerate(_list(task.get(key))):
        if isinstance(entry, dict):
            yield i, entry


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
