"""Digests of local files, remembered as long as size, times and inode stay the same."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from noescape.files import sha256_file, sha256_named, write_bytes
from noescape.flow.storage.tree import Found

_YOUNG = 2 * 10**9  # ns: a file changed this recently could change again without its time showing it


def content_identity(files: Iterable[Found], cache: Path | None) -> str:
    """Digest over paths and contents; files whose digest `cache` knows are not read. Cost: one read of the others."""
    known = _load(cache)
    rows, fresh, new = [], 0, {}
    try:
        for found in files:
            key, state = str(found.real), found.state
            stamp = [state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino]
            row = known.get(key)
            if isinstance(row, list) and row[:-1] == stamp and isinstance(row[-1], str):
                digest = row[-1]
            else:
                digest = sha256_file(found.real)
                if time.time_ns() - state.st_ctime_ns > _YOUNG:
                    new[key] = [*stamp, digest]
                    fresh += 1
            rows.append((found.path, digest))
    finally:  # what was read before an error need not be read again
        if cache is not None and fresh:
            _save(cache, known | new)
    return sha256_named(rows)


def _load(cache: Path | None) -> dict[str, Any]:
    if cache is not None:
        with suppress(OSError, ValueError, RecursionError):
            value = json.loads(cache.read_bytes())
            if isinstance(value, dict):
                return value
    return {}


def _save(cache: Path, rows: dict[str, Any]) -> None:
    with suppress(OSError):  # a cache that cannot be written costs time, no more
        write_bytes(cache, json.dumps(rows).encode(), sync=False)
