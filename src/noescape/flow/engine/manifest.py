"""What lies in an output folder: every file with size, time and digest, so that a change is seen later."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from noescape.files import dump_row, read_jsonl, sha256_file, sha256_named, write_bytes
from noescape.records import DataError, WorkError


@dataclass(frozen=True, slots=True)
class Made:
    """One file below an output folder. `path` is relative, with '/'."""

    path: str
    size: int
    mtime_ns: int
    sha256: str


def walk(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Every regular file below `folder` by its relative path, sorted; links to files inside count as those files.

    WorkError for a link that leads out of the folder or nowhere: what is there now may be gone tomorrow, and on
    another machine. Links to folders, sockets and pipes are passed over.
    """
    if folder.is_symlink():
        raise WorkError(f"{folder}: the task put a link in the place of its output folder")
    stack = [("", folder)]
    while stack:
        prefix, place = stack.pop()
        with os.scandir(place) as entries:
            children = sorted(entries, key=lambda entry: entry.name)
        deeper = []
        for entry in children:
            name = prefix + entry.name
            if entry.is_dir(follow_symlinks=False):
                deeper.append((name + "/", Path(entry.path)))
                continue
            if entry.is_symlink():
                target = Path(entry.path).resolve()
                if not target.is_relative_to(folder.resolve()) or not target.exists():
                    raise WorkError(f"{entry.path}: an output that is a link to {target}, outside of {folder}")
            facts = entry.stat()
            if stat.S_ISREG(facts.st_mode):
                yield name, facts
        stack += reversed(deeper)


def take(folder: Path) -> list[Made]:
    """The manifest of `folder`, read once from end to end (about 1 s per 500 MB). Memory grows with files only."""
    return [
        Made(path=name, size=facts.st_size, mtime_ns=facts.st_mtime_ns, sha256=sha256_file(folder / name))
        for name, facts in walk(folder)
    ]


def digest_of(made: list[Made]) -> str:
    """What was made, whatever it is called on this machine and whenever it was written."""
    return sha256_named((one.path, f"{one.sha256}:{one.size}") for one in made)


def write(path: Path, made: list[Made]) -> None:
    """Keep a manifest; an empty one is no file. Its digest, in the journal, tells later whether it is whole."""
    if made:
        rows = ({"path": o.path, "size": o.size, "mtime_ns": o.mtime_ns, "sha256": o.sha256} for o in made)
        text = "".join(dump_row(row) + "\n" for row in rows)
        write_bytes(path, text.encode("utf-8", "backslashreplace"), sync=False)
    else:
        path.unlink(missing_ok=True)


def read(path: Path) -> list[Made]:
    """A kept manifest. DataError when it is damaged."""
    if not path.exists():
        return []
    try:
        return [Made(r["path"], r["size"], r["mtime_ns"], r["sha256"]) for r in read_jsonl(path)]
    except (KeyError, OSError) as error:
        raise DataError(f"{path}: not a manifest ({error})") from None


def changed(folder: Path, made: list[Made]) -> str | None:
    """The first file that is gone or has other content, in words; None when all is as it was.

    Size and time decide where they agree; where only the time differs, the content does.
    """
    for one in made:
        path = folder / one.path
        try:
            facts = path.stat()
            same = facts.st_size == one.size and (facts.st_mtime_ns == one.mtime_ns or sha256_file(path) == one.sha256)
        except OSError as error:
            return f"{path}: {error.strerror or error}"
        if not same:
            return f"{path}: changed since the task made it"
    return None


def picked(made: list[Made], regex: str | None) -> list[Made]:
    """Those whose relative path `regex` matches at its start; all without one."""
    if regex is None:
        return made
    pattern = re.compile(regex)
    return [one for one in made if pattern.match(one.path)]
