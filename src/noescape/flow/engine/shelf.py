"""The runs of a folder: how each stands, how large it is, which may go, and removing one."""

from __future__ import annotations

import os
import secrets
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from noescape.flow.engine.layout import RunFolder, list_runs
from noescape.flow.engine.lock import EngineLock, engine_pid
from noescape.flow.engine.state import read_state
from noescape.flow.format.units import show_size
from noescape.records import NoescapeError, WorkError

DAMAGED = "DAMAGED"


@dataclass(frozen=True, kw_only=True)
class Kept:
    """One run. `ended` in seconds since 1970; None while it could go on."""

    run: RunFolder
    status: str
    created: str
    size: int
    live: bool
    ended: float | None
    mend: str = ""

    @property
    def size_text(self) -> str:
        """The size for people."""
        return show_size(self.size)

    def as_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "id": self.run.id,
            "status": self.status,
            "created": self.created,
            "bytes": self.size,
            "live": self.live,
            "folder": str(self.run.path),
            "mend": self.mend or None,
        }


def shelf(runs: Path) -> list[Kept]:
    """Every run below `runs`, by name and number. Costs a walk over all their files."""
    return [look(run) for run in list_runs(runs)]


def look(run: RunFolder) -> Kept:
    """How one run stands; one whose journal or run.json is damaged is shown as such, not an error."""
    live = engine_pid(run) is not None
    status, ended, mend, created = DAMAGED, None, "", ""
    try:
        created = str(run.read_facts().get("created", ""))
        state = read_state(run.journal)
        status = state.status.value
        alive = state.status.alive
        ended = None if alive else state.end_time or run.journal.stat().st_mtime
        if alive and not live:
            mend = f"no engine works on it: noescape flow resume {run.id}"
    except (NoescapeError, OSError) as error:
        mend = str(error)
    return Kept(run=run, status=status, created=created, size=size_of(run.path), live=live, ended=ended, mend=mend)


def size_of(folder: Path) -> int:
    """Bytes on disk below `folder`; what has several names counts once."""
    total, seen = 0, set()
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                facts = os.lstat(os.path.join(place, name))  # noqa: PTH118 - many files
            except OSError:
                continue
            if facts.st_nlink == 1 or (facts.st_dev, facts.st_ino) not in seen:
                total += facts.st_blocks * 512
                if facts.st_nlink > 1:
                    seen.add((facts.st_dev, facts.st_ino))
    return total


def old_ones(found: list[Kept], *, keep: int | None, older_than_s: float | None) -> list[Kept]:
    """Those that may go: ended, no engine, not among the `keep` newest of their workflow, ended that long ago."""
    names: dict[str, int] = {}
    out = []
    for one in reversed(found):  # newest first within a name
        name = one.run.id.rpartition("-")[0]
        names[name] = names.get(name, 0) + 1
        if one.live or one.ended is None or (keep is not None and names[name] <= keep):
            continue
        if older_than_s is None or time.time() - one.ended > older_than_s:
            out.append(one)
    return out[::-1]


def remove(run: RunFolder) -> None:
    """Remove a run and all that lies in it. WorkError while an engine works on it, or when it cannot be removed.

    It leaves the list at once, by a new name; what a kill in between leaves is removed the next time.
    """
    with EngineLock(run):
        going = run.path.with_name(f".removed-{run.id}-{secrets.token_hex(4)}")
        try:
            run.path.rename(going)
            shutil.rmtree(going)
        except OSError as error:
            raise WorkError(f"{run.path}: cannot be removed ({error.strerror or error})") from None
    for left in run.path.parent.glob(".removed-*"):
        shutil.rmtree(left, ignore_errors=True)
