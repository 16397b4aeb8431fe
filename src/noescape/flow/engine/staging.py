"""A task's folder before its command starts: inputs in place, files and credentials written."""

from __future__ import annotations

import base64
import binascii
import errno
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from noescape.files import sha256_file
from noescape.flow.engine.layout import TaskFolder
from noescape.flow.engine.manifest import Made
from noescape.flow.engine.places import local_place
from noescape.flow.format.spec import File
from noescape.records import WorkError

_NO_LINKS = {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.EACCES, errno.ENOSYS}


@dataclass(frozen=True, slots=True)
class Linked:
    """An input that shares its bytes with the upstream task's output, `origin`."""

    origin: Path
    size: int
    mtime_ns: int


def make_folders(folder: TaskFolder, inputs: int) -> None:
    """The empty folders of a try; what an earlier, unrecorded one left there is removed."""
    if folder.path.exists():
        shutil.rmtree(folder.path)
    folder.output.mkdir(parents=True)
    folder.work.mkdir()
    for index in range(inputs):
        folder.input(index).mkdir(parents=True)


def clear_earlier(folder: TaskFolder) -> None:
    """Of the tries before this one only the logs are kept: outputs that nobody will read would fill the disk."""
    try:
        tries = [p for p in folder.path.parent.iterdir() if p.name.isdecimal() and int(p.name) < int(folder.path.name)]
    except FileNotFoundError:
        return
    for earlier in tries:
        for path in earlier.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path.name != TaskFolder(earlier).log.name:
                path.unlink()


def link_input(source: Path, made: list[Made], dest: Path) -> list[Linked]:
    """Put an upstream task's files below `dest`: by hard links, or as copies where the file system has none.

    WorkError when one is no longer what was recorded.
    """
    linked: list[Linked] = []
    known: set[Path] = set()
    for one in made:
        target = dest / one.path
        if target.parent not in known:
            target.parent.mkdir(parents=True, exist_ok=True)
            known.add(target.parent)
        origin = source / one.path
        mtime_ns = _checked(origin, one)
        if _link(origin, target):
            linked.append(Linked(origin, one.size, mtime_ns))
        else:
            shutil.copy2(origin, target)
    return linked


def _checked(origin: Path, one: Made) -> int:
    """The time of a file whose content is what was recorded."""
    facts = origin.stat()
    if facts.st_mtime_ns == one.mtime_ns and facts.st_size == one.size:
        return one.mtime_ns
    if facts.st_size != one.size or sha256_file(origin) != one.sha256:
        raise WorkError(f"{origin}: changed since the task that made it ended; some task wrote into its inputs")
    return facts.st_mtime_ns


def _link(origin: Path, target: Path) -> bool:
    if origin.is_symlink():
        return False
    try:
        os.link(origin, target)
    except OSError as error:
        if error.errno in _NO_LINKS:
            return False
        raise
    return True


def written_into(linked: list[Linked]) -> Path | None:
    """The first upstream file whose bytes changed since it was linked. Removing or replacing a link harms nobody."""
    for one in linked:
        try:
            facts = one.origin.lstat()
        except OSError:
            return one.origin
        if (facts.st_size, facts.st_mtime_ns) != (one.size, one.mtime_ns):
            return one.origin
    return None


def write_file(folder: TaskFolder, file: File) -> None:
    """A file of the workflow, under the container's path; scripts can be run. ValueError for what is no base64."""
    if file.base64:
        try:
            data = base64.b64decode(file.contents, validate=False)
        except binascii.Error as error:
            raise ValueError(f"file {file.path}: not base64 ({error})") from None
    else:
        data = file.contents.encode("utf-8", "surrogateescape")
    path = local_place(folder, file.path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    if data.startswith(b"#!"):
        path.chmod(0o755)


def write_secrets(folder: TaskFolder, mount: str, files: dict[str, bytes]) -> None:
    """The files of a credential, readable by this user alone."""
    place = local_place(folder, mount)
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name, data in files.items():
        path = place / name
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(fd, "wb") as f:
            f.write(data)
