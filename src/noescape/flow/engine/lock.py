"""One engine per run: a lock that the system drops when its process is gone, however it went."""

from __future__ import annotations

import fcntl
import os
import time
from types import TracebackType

from noescape.flow.engine.layout import RunFolder
from noescape.records import WorkError

# Others who only ask (`engine_pid`) hold the lock for an instant; so does a child between fork and exec.
PATIENCE_S = 0.5


class EngineLock:
    """Held from entry to exit; WorkError when another engine works on the run.

    The descriptor is closed by exec, so a child that an engine started in the instant before it was killed keeps the
    lock just until its own environment can be read: who gets the lock can find every orphan.
    """

    def __init__(self, run: RunFolder) -> None:
        self._run = run
        self._fd = -1

    def __enter__(self) -> EngineLock:
        try:
            self._fd = os.open(self._run.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            self._take()
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)
        except OSError as error:
            self._close()
            raise WorkError(f"{self._run.lock}: cannot be locked ({error.strerror or error})") from None
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def _take(self) -> None:
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() > until:
                    pid = os.pread(self._fd, 32, 0).decode("ascii", "replace").strip()
                    raise WorkError(
                        f"run {self._run.id}: an engine (process {pid or 'unknown'}) is working on it already"
                    ) from None
                time.sleep(0.01)

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def engine_pid(run: RunFolder) -> int | None:
    """The process that works on the run now (0: unknown), or None."""
    try:
        fd = os.open(run.lock, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return None
    except BlockingIOError:
        text = os.pread(fd, 32, 0).decode("ascii", "replace").strip()
        return int(text) if text.isdecimal() else 0
    finally:
        os.close(fd)
