"""Where downloads land: every file beside its place first, then renamed; one download per folder at a time."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

from noescape.files import contained
from noescape.flow.format.units import show_size
from noescape.flow.storage.kernel import try_lock
from noescape.flow.storage.store import StorageError

_MENDS = {
    errno.ENOSPC: "free space there, then run the same again",
    errno.EDQUOT: "free space in your quota, then run the same again",
    errno.EFBIG: "files of this size are not allowed here (see `ulimit -f`)",
    errno.EROFS: "this disk takes no changes; choose another folder",
    errno.EACCES: "you may not; check owner and mode of the folder",
    errno.EPERM: "you may not; check owner and mode of the folder",
    errno.ENAMETOOLONG: "the name is too long for this disk; shorten it",
}


@contextmanager
def told(where: str) -> Iterator[None]:
    """Turn an OSError of the body into a StorageError with place, reason and mend."""
    try:
        yield
    except OSError as error:
        file = f" ({os.fsdecode(error.filename)})" if isinstance(error.filename, (str, bytes)) else ""
        mend = _MENDS.get(error.errno or 0)
        raise StorageError(f"{where}: {error.strerror or error}{file}{'; ' + mend if mend else ''}") from error


class Landing:
    """A folder that files are brought to, locked while they are; a context manager.

    Unfinished files lie in its root as `.noescape-<16 hex>.part`; a whole download removes what is left of them.
    """

    def __init__(self, dest: Path) -> None:
        dest.mkdir(parents=True, exist_ok=True)
        self.root = dest.resolve()
        lock = try_lock(self.root)
        if lock is None:
            raise StorageError(f"{dest}: another download into this folder is under way; wait for it or choose another")
        self._lock = lock
        self._parents: set[str] = set()

    def place(self, path: str) -> Path:
        """Where the file of this relative path goes; its folder is made. PathEscapeError if a link leads out."""
        parent, _, _ = path.rpartition("/")
        if parent and parent not in self._parents:
            contained(self.root, parent).mkdir(parents=True, exist_ok=True)
            self._parents.add(parent)
        target = self.root / path
        if target.is_dir() and not target.is_symlink():
            raise StorageError(f"{target}: a folder is where a file has to go; remove it or choose another folder")
        return target

    def part(self, path: str, version: str = "") -> Path:
        """The unfinished file for this version of a path: the same name after every kill."""
        key = hashlib.sha256(f"{path}\n{version}".encode("utf-8", "backslashreplace")).hexdigest()[:16]
        return self.root / f".noescape-{key}.part"

    def room_for(self, size: int) -> None:
        """StorageError if `size` more bytes do not fit on the disk."""
        state = os.statvfs(self.root)
        free = state.f_bavail * state.f_frsize
        if size > free:
            raise StorageError(
                f"{self.root}: {show_size(size)} are to come, {show_size(free)} are free; make room first"
            )

    def tidy(self) -> None:
        """Remove unfinished files of earlier downloads."""
        for part in self.root.glob(".noescape-*.part"):
            with suppress(OSError):
                part.unlink()

    def __enter__(self) -> Landing:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.tidy()
        os.close(self._lock)
