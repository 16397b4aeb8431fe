"""Absolute paths of a container, as a workflow names them, and where they lie on this machine.

A workflow may name paths that exist only in its containers: its files, the folders of its credentials, its
checkpoints, and /osmo/data with inputs and outputs. Here they lie in the task's own folder, and the names are
replaced wherever they occur as whole paths: after '=' or ':' or a blank, but not in the middle of another path.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from noescape.flow.engine.layout import TaskFolder
from noescape.flow.format.spec import Task

DATA = "/osmo/data"
_PLAIN = re.compile(r"[\w./+@%:,=-]*", re.ASCII)
# What must not stand before or behind a whole path. `file://` is a sign before it, no part of it.
_BEFORE = r"(?:(?<=file://)|(?<![\w./~+@%})-]))"
_BEHIND = r"(?![\w~+@%-]|\.\w)"


def local_place(folder: TaskFolder, path: str) -> Path:
    """Where the container's absolute `path` lies; '..' does not lead out. A relative one is below the work folder."""
    if not path.startswith("/"):
        return folder.work / posixpath.normpath("/" + path).lstrip("/")
    inside = posixpath.normpath("/" + path.lstrip("/"))
    if inside == DATA or inside.startswith(DATA + "/"):
        return folder.path / inside[len(DATA) :].lstrip("/")
    return folder.files / inside.lstrip("/")


def container_paths(task: Task) -> list[str]:
    """The absolute paths that `task` names."""
    named = [file.path for file in task.files] + [c.path for c in task.checkpoint]
    named += [mount for mount in task.credentials.values() if isinstance(mount, str)]
    return [DATA, *dict.fromkeys(path for path in named if path.startswith("/") and path.strip("/"))]


def replacer(paths: Iterable[str], place: Callable[[str], str]) -> Callable[[str], str]:
    """A function that replaces every whole path of `paths` in a text by what `place` gives for it."""
    known = {path.rstrip("/"): place(path) for path in paths}
    words = "|".join(re.escape(path) for path in sorted(known, key=len, reverse=True))
    pattern = re.compile(f"{_BEFORE}({words}){_BEHIND}")
    return lambda text: pattern.sub(lambda match: known[match[1]], text)


class Alias:
    """A plain name for a folder whose own path has blanks, quotes or other signs that a shell would trip over.

    Workflows are written for /osmo/data, so they rarely quote `{{output}}`. Where the real path needs quotes, tasks
    get it by way of a link in the folder for temporary files, which is there while the engine works.
    """

    def __init__(self, folder: Path, token: str) -> None:
        self._folder = folder
        self._link: Path | None = None
        if not _PLAIN.fullmatch(str(folder)):
            name = (
                "noescape-" + hashlib.sha256(f"{token}:{folder}".encode("utf-8", "backslashreplace")).hexdigest()[:16]
            )
            places = [p for p in dict.fromkeys((tempfile.gettempdir(), "/tmp")) if _PLAIN.fullmatch(p)]  # noqa: S108
            self._link = Path(places[0]) / name if places else None

    def __enter__(self) -> Path:
        if self._link is None:
            return self._folder
        try:
            if not (self._link.is_symlink() and self._link.readlink() == self._folder):
                self._link.symlink_to(self._folder)
        except OSError:
            self._link = None  # better a path that needs quotes than none
            return self._folder
        return self._link

    def __exit__(self, *_: object) -> None:
        if self._link is not None and self._link.is_symlink():
            self._link.unlink(missing_ok=True)
