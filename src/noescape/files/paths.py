"""Names that come from outside never lead out of their folder."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath, PureWindowsPath

from noescape.records import PathEscapeError


def contained(root: Path, name: str) -> Path:
    """The path of `name` under `root`, or PathEscapeError.

    Refuses absolute names (also Windows drives and UNC), `..`, NUL, `~`, and links that resolve outside.
    """
    pure, windows = PurePosixPath(name), PureWindowsPath(name)
    parts = set(pure.parts) | set(windows.parts)
    if not name or "\0" in name or pure.is_absolute() or windows.drive or windows.root or ".." in parts:
        raise PathEscapeError(f"{name!r} must be a plain relative name inside {root}")
    if name.startswith("~"):
        raise PathEscapeError(f"{name!r} must not start with '~'")
    path = root / name
    if not path.resolve().is_relative_to(root.resolve()):
        raise PathEscapeError(f"{name!r} leads out of {root} through a link")
    return path


def safe_name(text: str, *, limit: int = 80) -> str:
    """`text` as one file-name part: letters and digits of any script, '.', '_', '-'; never empty or hidden.

    Different texts may give the same name: put an index beside it where that matters.
    """
    name = re.sub(r"[^\w.\-]+", "_", text).strip("._")[:limit]
    while len(name.encode()) > 200:
        name = name[:-1]
    return name or "unnamed"
