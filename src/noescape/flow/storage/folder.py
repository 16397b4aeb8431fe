"""Folders of this machine as stores. A folder is replaced as a whole, by one rename, or stays as it was."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from noescape.files import sha256_file
from noescape.flow.storage.copying import copy_file
from noescape.flow.storage.digests import content_identity
from noescape.flow.storage.landing import Landing, told
from noescape.flow.storage.names import is_own
from noescape.flow.storage.store import Entry, OnBytes, StorageError, matcher
from noescape.flow.storage.swap import Swap, bring_back, check_claim, claimed, remove
from noescape.flow.storage.tree import Found, changed, walk


class FolderStore:
    """A local folder, or one file as a source. `url` is an absolute path; links in it are followed."""

    def __init__(self, url: str) -> None:
        self.url = url
        with told(url):
            self._root = Path(url).resolve()

    def exists(self) -> bool:
        """See `Store`; an uploaded folder is there whole or not at all."""
        with told(self.url):
            self._settle()
            if not self._root.is_dir():
                return self._root.is_file()
            return claimed(self._root) or _anything(self._root)

    def entries(self, regex: str | None = None) -> Iterator[Entry]:
        """See `Store`."""
        for found in self._walk(regex):
            yield found.entry

    def identity(self, regex: str | None = None, *, cache: Path | None = None) -> str:
        """See `Store`. Reads every file that `cache` does not know."""
        with told(self.url):
            return content_identity(self._walk(regex), cache)

    def _walk(self, regex: str | None) -> Iterator[Found]:
        picked = matcher(regex)
        with told(self.url):
            self._settle()
            if not self._root.exists():
                raise StorageError(f"{self.url}: nothing is there; check the path, or make what belongs there first")
            yield from walk(self._root, picked, where=self.url, declared=True)

    def _settle(self) -> None:
        if not self._root.exists():
            bring_back(self._root)

    def download(
        self, dest: Path, *, regex: str | None = None, on_bytes: OnBytes | None = None, link: bool = False
    ) -> tuple[Entry, ...]:
        """See `Store`. What is there already counts when its digest, or else its size and time, are right."""
        found = list(self._walk(regex))
        _apart(dest.resolve(), self._root)
        with told(str(dest)), Landing(dest) as landing:
            if landing.root.stat().st_dev != self._root.stat().st_dev:  # else the disk may share blocks
                landing.room_for(sum(f.state.st_size for f in found if not (landing.root / f.path).exists()))
            return tuple(_bring(f, landing, self.url, link, on_bytes) for f in found)

    def upload(
        self, source: Path, *, regex: str | None = None, owner: str, on_bytes: OnBytes | None = None
    ) -> tuple[Entry, ...]:
        """See `Store`. Needs room for the old and the new folder at once, unless the disk shares blocks."""
        picked = matcher(regex)
        with told(str(source)):
            if not source.exists():
                raise StorageError(f"{source}: nothing is there to upload")
            root = source.resolve()
            _apart(root, self._root)
            files = list(walk(root, picked, where=str(source), declared=False))
        with told(self.url), Swap(self._root, owner, where=self.url) as swap:
            return swap.fill(files, on_bytes)

    def claim(self, owner: str) -> None:
        """See `Store`."""
        with told(self.url):
            check_claim(self._root, owner, where=self.url)

    def delete(self) -> None:
        """See `Store`."""
        with told(self.url):
            remove(self._root, where=self.url)


def _anything(root: Path) -> bool:
    for _, folders, files in os.walk(root):
        folders[:] = [name for name in folders if not is_own(name)]
        if any(not is_own(name) for name in files):
            return True
    return False


def _apart(one: Path, other: Path) -> None:
    if one == other or one.is_relative_to(other) or other.is_relative_to(one):
        raise StorageError(f"{one} and {other} lie in one another; a folder cannot be copied into itself")


def _bring(found: Found, landing: Landing, where: str, link: bool, on_bytes: OnBytes | None) -> Entry:
    target = landing.place(found.path)
    if _is_there(target, found):
        if on_bytes:
            on_bytes(found.state.st_size)
        return found.entry
    part = landing.part(found.path)
    part.unlink(missing_ok=True)
    if link and _linked(found.real, part):
        digest = sha256_file(part) if found.held else None
        if on_bytes:
            on_bytes(found.state.st_size)
    else:
        digest = copy_file(found.real, part, digest=found.held is not None, on_bytes=on_bytes)
    if found.held and digest != found.held.sha256:
        part.unlink()
        raise changed(where, found.path, "other content")
    part.replace(target)
    return found.entry


def _linked(source: Path, part: Path) -> bool:
    try:
        part.hardlink_to(source)
    except OSError:  # another disk, or one without hard links: the copy will tell what else is wrong
        return False
    return True


def _is_there(target: Path, found: Found) -> bool:
    try:
        state = target.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    if not stat.S_ISREG(state.st_mode) or state.st_size != found.state.st_size:
        return False
    if found.held:
        return sha256_file(target) == found.held.sha256
    return state.st_mtime_ns == found.state.st_mtime_ns
