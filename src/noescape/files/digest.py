"""Content digests (sha256): what a file or a set of files is, whatever it is called on this machine."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path


def sha256_file(path: Path) -> str:
    """Hex sha256 of a file's bytes, read in 1 MiB pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as f:
        while piece := f.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def sha256_named(items: Iterable[tuple[str, str]]) -> str:
    """Hex sha256 over (name, hex digest) pairs, sorted by name: the identity of a set of files.

    Line ends and backslashes in names are escaped, so that two different sets never give the same text.
    """
    digest = hashlib.sha256()
    for name, value in sorted(items):
        plain = name.replace("\\", "\\\\").replace("\n", "\\n")
        digest.update(f"{value}  {plain}\n".encode("utf-8", "backslashreplace"))
    return digest.hexdigest()
