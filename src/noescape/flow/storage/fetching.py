"""One object to one file: in ranges, going on where a kill stopped, checked before it takes its name."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from noescape.files import sha256_file
from noescape.flow.storage.landing import Landing
from noescape.flow.storage.objects import PART, Objects
from noescape.flow.storage.store import Entry, OnBytes, StorageError
from noescape.flow.storage.tree import changed

_MD5 = re.compile(r"[0-9a-f]{32}")


def is_there(target: Path, entry: Entry) -> bool:
    """Whether the file is this very version: its digest is right, or its etag, or, where neither can tell, its time."""
    if target.is_symlink() or not target.is_file():
        return False
    state = target.stat()
    if state.st_size != entry.size:
        return False
    if entry.digest:
        return sha256_file(target) == entry.digest
    if entry.etag and _MD5.fullmatch(entry.etag) and _md5(target) == entry.etag:
        return True
    return bool(entry.modified) and state.st_mtime_ns == _nanoseconds(entry)


def fetch(objects: Objects, key: str, entry: Entry, landing: Landing, target: Path, on_bytes: OnBytes | None) -> None:
    """Bring one object to `target`, 8 MiB at a time; a started part of the same version is gone on with."""
    part = landing.part(entry.path, f"{entry.etag} {entry.size} {entry.modified}")
    have = part.stat().st_size if part.is_file() else 0
    if have > entry.size:
        part.unlink()
        have = 0
    if have and on_bytes:
        on_bytes(have)
    requests = 0
    with part.open("ab") as out:
        while have < entry.size:
            piece = objects.read_range(key, have, min(have + PART, entry.size))
            requests += 1
            if not piece or have + len(piece) > entry.size:
                raise StorageError(f"{objects.url}: {entry.path} ended after {have} of {entry.size} bytes; try again")
            out.write(piece)
            out.flush()
            have += len(piece)
            if on_bytes:
                on_bytes(len(piece))
    _check(objects, key, entry, part, requests)
    os.utime(part, ns=(_nanoseconds(entry), _nanoseconds(entry)))
    part.replace(target)


def _check(objects: Objects, key: str, entry: Entry, part: Path, requests: int) -> None:
    """The part is whole; let it go unless it is one version, and the declared one."""
    if entry.digest:
        if sha256_file(part) == entry.digest:
            return
        part.unlink()
        raise changed(objects.url, entry.path, "other content")
    if requests != 1 or entry.size > PART:
        now = objects.info(key)
        if now is None or (now.etag, now.size) != (entry.etag, entry.size):
            part.unlink()
            raise StorageError(f"{objects.url}: {entry.path} changed while it was fetched; run the same again")


def _md5(path: Path) -> str:
    value = hashlib.md5(usedforsecurity=False)  # what S3 calls an etag
    with path.open("rb") as f:
        while piece := f.read(1 << 20):
            value.update(piece)
    return value.hexdigest()


def _nanoseconds(entry: Entry) -> int:
    return round(entry.modified * 1e6) * 1000
