"""`files: - localpath:`, which only the submitting side knows: the file beside the workflow becomes `contents`."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from noescape.flow.format.problems import Found, Place, short
from noescape.flow.format.units import show_size

MAX_FILE = 1 << 20  # a file of a task travels in a secret of the cluster, which holds no more
MAX_ALL = 2 << 20


def tasks_of(workflow: dict[str, Any]) -> Iterator[tuple[Place, dict[str, Any]]]:
    """Every task that is a map, with its place, in groups and beside them; whatever else stands there is passed by."""
    for i, task in enumerate(_list(workflow.get("tasks"))):
        if isinstance(task, dict):
            yield ("workflow", "tasks", i), task
    for g, group in enumerate(_list(workflow.get("groups"))):
        for i, task in enumerate(_list(group.get("tasks")) if isinstance(group, dict) else []):
            if isinstance(task, dict):
                yield ("workflow", "groups", g, "tasks", i), task


def inline(workflow: dict[str, Any], folder: Path, found: Found) -> dict[Place, Path]:
    """Replace each `localpath` in place by `contents`; returns which places came from which file.

    Paths are relative to the folder of the workflow file. Line ends become line feeds. A file that cannot be used
    leaves empty contents and a problem.
    """
    inlined: dict[Place, Path] = {}
    room = MAX_ALL
    for place, task in tasks_of(workflow):
        for k, file in enumerate(_list(task.get("files"))):
            if not (isinstance(file, dict) and "localpath" in file):
                continue
            here: Place = (*place, "files", k, "localpath")
            local = file.pop("localpath")
            if "contents" in file:
                found.at(here, "localpath", "a file has either 'localpath' or 'contents', not both", "keep one of them")
                continue
            file["contents"] = ""
            if not isinstance(local, str) or not local:
                found.at(here, "localpath", f"localpath is the name of a file beside the workflow, got {short(local)}")
            elif not found.unknown(local):
                if Path(local).is_absolute():
                    mend = "keep the file beside the workflow and name it relative to that"
                    found.at(here, "localpath", f"{local!r} exists on this machine only", mend, "warning")
                path = Path(os.path.normpath(folder / local))
                text = _read(path, local, here, found)
                if text is not None and room < len(text):
                    mend = "pass files through storage with an input 'url:'"
                    found.at(here, "localpath", f"the files are more than {show_size(MAX_ALL)} together", mend)
                elif text is not None:
                    room -= len(text)
                    file["contents"] = text
                    inlined[(*place, "files", k, "contents")] = path
    return inlined


def _read(path: Path, local: str, here: Place, found: Found) -> str | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe must not make us wait
        with os.fdopen(descriptor, "rb") as f:
            mode = os.fstat(f.fileno()).st_mode
            if not stat.S_ISREG(mode):
                what = "a folder" if stat.S_ISDIR(mode) else "no plain file"
                found.at(here, "localpath", f"localpath takes one text file, {local!r} is {what}", "list each file")
                return None
            data = f.read(MAX_FILE + 1)
    except IsADirectoryError:
        found.at(here, "localpath", f"localpath takes one text file, {local!r} is a folder", "list each file")
        return None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        mend = f"it is looked for beside the workflow, at {path}"
        found.at(here, "localpath", f"{local!r} cannot be read: {reason}", mend)
        return None
    if len(data) > MAX_FILE:
        mend = "pass it through storage with an input 'url:'"
        found.at(here, "localpath", f"{local!r} has more than {show_size(MAX_FILE)}", mend)
        return None
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        mend = "only text travels this way; pass it through storage with an input 'url:'"
        found.at(here, "localpath", f"{local!r} is not UTF-8 text (byte {error.start})", mend)
        return None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
