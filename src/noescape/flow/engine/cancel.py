"""Asking for the end of a run from another process: a file that its engine looks for."""

from __future__ import annotations

from pathlib import Path

from noescape.flow.engine.layout import RunFolder
from noescape.flow.engine.lock import engine_pid
from noescape.records import WorkError


def request_cancel(run: RunFolder | Path, message: str = "") -> bool:
    """Ask the engine of that run to end it (it looks twice a second). False: no engine works on it, nothing is done."""
    folder = run if isinstance(run, RunFolder) else RunFolder(run)
    if engine_pid(folder) is None:
        return False
    try:
        folder.cancel.write_text(message or "another process", "utf-8", errors="backslashreplace")
    except OSError as error:
        raise WorkError(f"{folder.cancel}: cannot be written ({error.strerror or error})") from None
    return True


def wish_of(run: RunFolder) -> str | None:
    """Who asked for an end, or why; None = nobody."""
    try:
        with run.cancel.open("rb") as f:
            return f.read(1000).decode("utf-8", "replace").strip() or "another process"
    except OSError:
        return None
