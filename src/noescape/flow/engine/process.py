"""Processes of tasks: started in sessions of their own, ended whole, and found again after an engine was killed."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import IO

from noescape.flow.engine.environment import MARK

SETTLE_S = 0.02


def start(
    argv: Sequence[str], *, cwd: Path, environment: dict[str, str], output: IO[bytes] | int
) -> subprocess.Popen[bytes]:
    """Start a command in a new session. OSError or ValueError when it cannot be started.

    Descriptors are closed by exec alone (all of ours are marked so): what a child holds of ours, above all the
    engine's lock, it holds until the moment its own environment counts.
    """
    return subprocess.Popen(
        list(argv),
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        close_fds=False,
    )


def wait_whole(process: subprocess.Popen[bytes]) -> int:
    """Wait until the command ends, kill what it left behind in its group, and return its exit code.

    The group is killed before the command is reaped: until then its number cannot have gone to others. A command
    that a signal ended has 128 + the signal's number.
    """
    if hasattr(os, "waitid"):
        with contextlib.suppress(ChildProcessError):  # somebody else's handler reaped it
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
            signal_group(process.pid, signal.SIGKILL)
    code = process.wait()
    return 128 - code if code < 0 else code


def signal_group(pid: int, number: signal.Signals) -> None:
    """Send a signal to a command and all that is still in its group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def kill_marked(starts: Iterable[str], *, settle: float = 0.0) -> int:
    """SIGKILL every process whose environment carries a mark beginning with one of `starts`; how many there were.

    Goes on until a look finds none (a process may fork while it is looked at); with `settle`, looks once more after
    that many seconds. Processes that changed session are found too, and all others in a found one's session.
    """
    marks = [f"\0{MARK}={text}".encode("utf-8", "surrogateescape") for text in starts]
    if not marks:
        return 0
    killed: set[int] = set()
    until = time.monotonic() + 10.0
    while time.monotonic() < until:
        found = _marked(lambda environment: any(mark in environment for mark in marks))
        for pid in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        killed |= found
        if found:
            time.sleep(0.005)
        elif settle:
            time.sleep(settle)
            settle = 0.0
        else:
            break
    return len(killed)


def _marked(ours: Callable[[bytes], bool]) -> set[int]:
    """Processes (other than this one) that are alive and carry a mark, and those in their sessions."""
    sessions: dict[int, int] = {}
    found: set[int] = set()
    for name in _numbers():
        try:
            with open(f"/proc/{name}/environ", "rb", buffering=0) as f:  # noqa: PTH123 - a thousand times a second
                environment = f.read()
            if ours(b"\0" + environment):
                found.add(int(name))
        except OSError:
            continue
    found.discard(os.getpid())
    if not found:
        return found
    for name in _numbers():
        with contextlib.suppress(OSError, ValueError, IndexError):
            fields = Path(f"/proc/{name}/stat").read_bytes().rpartition(b")")[2].split()
            if fields[0] == b"Z":
                found.discard(int(name))
            else:
                sessions[int(name)] = int(fields[3])
    own = os.getsid(0)
    theirs = {sessions[pid] for pid in found if pid in sessions} - {own, 0}
    # Only sessions that one of the found leads: they are ours from the first to the last process.
    theirs &= found
    return found | {pid for pid, session in sessions.items() if session in theirs}


def _numbers() -> list[str]:
    try:
        return [name for name in os.listdir("/proc") if name.isdecimal()]  # noqa: PTH208
    except OSError:
        return []  # a system without /proc: nothing can be found
