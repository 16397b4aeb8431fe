"""Whole files or none: content is written beside its place, synced, and appears by rename."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any


def write_with(path: Path, write: Callable[[Path], None], *, sync: bool = True) -> None:
    """Let `write` fill a temporary file in the folder of `path`, then rename it into place.

    The folder is made if needed. After a crash the old content, or none, is there; never a part. A kill leaves at
    most one hidden `.part` file behind (see `remove_parts`). `sync` False leaves out the wait for the disk: still
    whole after a kill, but not after a power cut (for one of many small results).
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name[:40]}.{secrets.token_hex(4)}.part")
    os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))  # the user's umask applies
    try:
        write(part)
        if sync:
            with part.open("rb+") as f:
                os.fsync(f.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def remove_parts(folder: Path) -> list[str]:
    """Remove the temporary files that killed writers left in `folder` and below; their paths relative to it, sorted.

    For the start of a resumed run: call it only where no other process is writing. Links are not followed.
    """
    found = sorted(p for p in folder.rglob(".*.part") if p.is_file() and not p.is_symlink())
    for part in found:
        part.unlink(missing_ok=True)
    return [part.relative_to(folder).as_posix() for part in found]


def write_bytes(path: Path, data: bytes, *, sync: bool = True) -> None:
    """Write `data` atomically; for `sync` see `write_with`."""

    def write(part: Path) -> None:
        part.write_bytes(data)

    write_with(path, write, sync=sync)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text with \\n line ends, atomically. Bytes of file names that are no text appear as `\\udc..`."""
    write_bytes(path, encoded(text))


def encoded(text: str) -> bytes:
    """UTF-8 of `text`; what a name in another encoding left in it (lone surrogates) becomes `\\udc80` … `\\udcff`.

    Inside JSON strings that is an escape which reads back as it was.
    """
    return text.encode("utf-8", "backslashreplace")


def dump_json(value: Any) -> str:
    """JSON as noescape writes it: UTF-8, two spaces, no NaN, a final newline."""
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def write_json(path: Path, value: Any) -> None:
    """Write `value` as JSON, atomically. NaN and infinity are refused: use None."""
    write_text(path, dump_json(value))
