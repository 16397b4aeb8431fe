"""One process at a time works in a folder: a lock that the system drops when its process is gone, however it went."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from noescape.records import DataError, UsageError, WorkError

LOCK = ".lock"
_NO_LOCKS_HERE = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS)  # some network file systems; work goes on without


def check_folder(folder: Path) -> None:
    """Say before any work that `folder` cannot be written to; writes nothing, and need not find everything.

    UsageError where a file is in the way, DataError where a folder may not be written in.
    """
    there = folder
    while not there.exists() and not there.is_symlink() and there != there.parent:
        there = there.parent
    if not there.is_dir():
        raise UsageError(f"{folder}: expected a folder to write to, but {there} is no folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise DataError(f"{folder}: cannot be written ({there} may not be written in)")


@contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """Hold `folder` (made if needed) as long as this lasts; nothing of it is left behind.

    WorkError naming the process that works there already. DataError where nothing can be written. What was made for
    the lock alone is removed again, so that work that fails at once leaves no trace.
    """
    check_folder(folder)
    made = not folder.exists()
    lock = folder / LOCK
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = _take(lock)
    except OSError as error:
        raise DataError(f"{folder}: cannot be written ({error.strerror or error})") from None
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)
        os.close(handle)
        if made:
            with suppress(OSError):  # it holds the results
                folder.rmdir()


def _take(lock: Path) -> int:
    """The open file of a lock that is ours."""
    while True:
        handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
        try:
            if _held(handle, lock) and _is_at(handle, lock):
                os.ftruncate(handle, 0)
                os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
                return handle
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)  # the one before removed it in between


def _held(handle: int, lock: Path) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pid = os.pread(handle, 32, 0).decode("ascii", "replace").strip()
        raise WorkError(
            f"{lock.parent}: process {pid if pid.isdecimal() else '(unknown)'} works in this folder already; wait for "
            "it, or choose another folder"
        ) from None
    except OSError as error:
        if error.errno not in _NO_LOCKS_HERE:
            raise
    return True


def _is_at(handle: int, lock: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), lock.stat(follow_symlinks=False))
    except FileNotFoundError:
        return False
