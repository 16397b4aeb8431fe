"""What every store can do, and the errors it tells; which kind of store a url names is in `open_store`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from noescape.records import UsageError, WorkError

OnBytes = Callable[[int], None]


class StorageError(WorkError):
    """A store cannot be read or written as asked; the message says what and why, never a secret."""


class UnfinishedError(StorageError):
    """An upload has started and not ended: what lies there is not whole."""


class ClaimedError(WorkError):
    """Another task owns this folder, or there is data in it that no task is known to have written."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One file of a store.

    `path` is relative to the url, with '/'; `size` in bytes; `digest` the hex sha256 that its upload declared, if
    there is one; `etag` what an object store calls this version of the object; `modified` POSIX seconds.
    """

    path: str
    size: int
    digest: str | None = None
    etag: str | None = None
    modified: float = 0.0


class Store(Protocol):
    """A folder, or a prefix of an object store. `regex` picks relative paths by `re.match` (anchored at the start).

    `on_bytes(n)` is told of each n more bytes that are done; what need not be moved again counts too. It may be
    called from other threads, never from two at once; it must be quick and use no store itself.
    """

    url: str

    def exists(self) -> bool:
        """Whether something whole is here: a finished upload (which may be empty), or anything nobody uploads to."""

    def entries(self, regex: str | None = None) -> Iterator[Entry]:
        """The files, sorted by path. Errors: nothing there, an unfinished upload, a hostile name."""

    def identity(self, regex: str | None = None, *, cache: Path | None = None) -> str:
        """Hex digest of names and contents; `cache` is a JSON file that spares reading unchanged local files again.

        The same files give the same identity in every kind of store, as long as they were uploaded by noescape;
        for other objects their etag and size stand in for the content.
        """

    def download(
        self, dest: Path, *, regex: str | None = None, on_bytes: OnBytes | None = None, link: bool = False
    ) -> tuple[Entry, ...]:
        """Bring the files under `dest`; goes on after a kill, checks digests, touches nothing else in `dest`.

        A url of one file gives `dest/<its name>`. `link` True makes hard links where it can (folders on the same
        disk): at no cost, but who changes such a file changes the original.
        """

    def upload(
        self, source: Path, *, regex: str | None = None, owner: str, on_bytes: OnBytes | None = None
    ) -> tuple[Entry, ...]:
        """Make the files of `source` (a folder, or one file) the whole content of this url, or change nothing.

        `owner` is who may write here: '<flow>/<task>'. ClaimedError if that is somebody else.
        """

    def claim(self, owner: str) -> None:
        """Raise ClaimedError if `owner` may not upload here; changes nothing. For checks before any work."""

    def delete(self) -> None:
        """Remove what was uploaded here, and its claim. ClaimedError for data that was not uploaded by noescape."""


def matcher(regex: str | None) -> Callable[[str], bool]:
    """Whether a relative path is picked by `regex`; UsageError if that is no regular expression."""
    if regex is None:
        return lambda path: True
    try:
        match = re.compile(regex).match
    except re.error as error:
        raise UsageError(f"not a regular expression ({error}): {regex!r}") from None
    return lambda path: match(path) is not None


def report(entries: Iterable[Entry], on_bytes: OnBytes | None) -> None:
    """Tell `on_bytes` of entries that are done at once."""
    if on_bytes:
        for entry in entries:
            on_bytes(entry.size)
