"""Names that come from outside never lead out of their folder."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath, PureWindowsPath

from noescape.records import PathEscapeError


def contained(root: Path, name: str) -> Path:
    """The path of `name` under `root`, or PathEscapeError.

    Refuses absolute names (also Windows drives and UNC), `..`, NUL, `~`, the root itself, and links that resolve
    outside or nowhere.
    """
    pure, windows = PurePosixPath(name), PureWindowsPath(name)
    parts = set(pure.parts) | set(windows.parts)
    if not name or "\0" in name or pure.is_absolute() or windows.drive or windows.root or ".." in parts:
        raise PathEscapeError(f"{name!r} must be a plain relative name inside {root}")
    if name.startswith("~"):
        raise PathEscapeError(f"{name!r} must not start with '~'")
    path = root / name
    try:
        inside, home = path.resolve(), root.resolve()
    except (OSError, RuntimeError, ValueError) as error:  # a circle of links, a name that no file can have
        raise PathEscapeError(f"{name!r} cannot be found inside {root} ({error})") from None
    if not inside.is_relative_to(home):
        raise PathEscapeError(f"{name!r} leads out of {root} through a link")
    if inside == home:
        raise PathEscapeError(f"{name!r} must name something inside {root}, not the folder itself")
    return path


def safe_name(text: str, *, limit: int = 80) -> str:
    """`text` as one file-name part: letters and digits of any script, '.', '_', '-'; never empty, hidden or a flag.

    Different texts may give the same name: put an index beside it where that matters.
    """
    name = re.sub(r"[^\w.\-]+", "_", text).lstrip("._-")[:limit]
    while len(name.encode()) > 200:
        name = name[:-1]
    return name.rstrip("._") or "unnamed"
