"""Replace a local folder as a whole: claim it, fill a hidden sibling, let the two change places, remove the old."""

from __future__ import annotations

import glob
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from noescape.files import write_text
from noescape.flow.storage.claims import Claim, dump_claim, manifest
from noescape.flow.storage.copying import copy_file
from noescape.flow.storage.kernel import exchange, locked, sync_all, sync_folder, try_lock
from noescape.flow.storage.names import claim_name
from noescape.flow.storage.store import ClaimedError, Entry, OnBytes, StorageError
from noescape.flow.storage.tree import Found, read_claim

_MANY = 64  # from so many files on, one sync of the disk is faster than one for each file


def check_claim(root: Path, owner: str, *, where: str) -> Claim | None:
    """The claim that `owner` has on the folder `root`, None if there is none yet; ClaimedError if it may not write.

    It may not if somebody else has the claim, if a folder above is claimed as a whole, or if there are data without a
    claim. A claim whose folder is gone and whose uploader is dead binds nobody.
    """
    if root.exists() and not root.is_dir():
        raise ClaimedError(f"{where}: a file is there; choose another place for the folder")
    for above in root.parents:
        claim = read_claim(above)
        if claim is not None and _binds(above):
            raise ClaimedError(f"{where}: {claim.owner} writes {above} as a whole; choose a folder outside of that")
    claim = read_claim(root)
    if claim is not None and claim.owner == owner:
        return claim
    if claim is not None and _binds(root):
        raise ClaimedError(
            f"{where}: this folder belongs to {claim.owner}, not to {owner}; choose another url, or remove the folder "
            f"and {_claim_path(root)} if they are no longer needed"
        )
    if root.exists() and any(True for _ in root.iterdir()):
        raise ClaimedError(
            f"{where}: there are data in this folder that no flow has written, and they are left alone; choose a new "
            "or an empty folder"
        )
    return None


class Swap:
    """One upload into the folder `root`: a context manager; the old content stays unless `fill` comes to its end."""

    def __init__(self, root: Path, owner: str, *, where: str) -> None:
        if not root.name:
            raise ClaimedError(f"{where}: the root of the file system cannot be an output folder")
        self._root, self._owner, self._where = root, owner, where
        self._part = root.with_name(f".{root.name}.{secrets.token_hex(4)}.part")
        self._before: Claim | None = None
        self._lock = -1
        self._done = False

    def __enter__(self) -> Swap:
        check_claim(self._root, self._owner, where=self._where)  # before anything is written
        self._root.parent.mkdir(parents=True, exist_ok=True)
        with locked(self._root.parent):
            self._before = check_claim(self._root, self._owner, where=self._where)
            _tidy(self._root, self._where)
            self._part.mkdir()
            try:
                self._lock = try_lock(self._part) or -1
                self._say(uploading=True)
            except BaseException:
                self._undo()
                raise
        return self

    def fill(self, files: Sequence[Found], on_bytes: OnBytes | None) -> tuple[Entry, ...]:
        """Copy `files`, make them last, and let them take the place of the folder."""
        entries, folders = [], {self._part}
        for found in files:
            target = self._part / found.path
            if target.parent not in folders:
                target.parent.mkdir(parents=True, exist_ok=True)
                folders.add(target.parent)
            digest = copy_file(found.real, target, digest=True, sync=len(files) < _MANY, on_bytes=on_bytes)
            size, time = found.state.st_size, found.state.st_mtime
            entries.append(Entry(path=found.path, size=size, digest=digest, modified=time))
        if len(files) >= _MANY and not sync_all(self._part):
            os.sync()
        for folder in folders:
            sync_folder(folder)
        with locked(self._root.parent):
            old = self._change_places(entries)
        if old is not None:
            shutil.rmtree(old, ignore_errors=True)
        return tuple(entries)

    def _change_places(self, entries: Iterable[Entry]) -> Path | None:
        """The new folder in, the old one out; where that lies now."""
        new = manifest(entries)
        self._say(uploading=True, next_folder=self._part.stat().st_ino, next_files=new)
        old: Path | None = self._part
        if not self._root.exists() or not any(True for _ in self._root.iterdir()):
            self._part.rename(self._root)  # over an empty folder this works too
            old = None
        elif not exchange(self._part, self._root):
            old = self._part.with_suffix(".old")
            self._root.rename(old)
            self._part.rename(self._root)
        self._done = True
        sync_folder(self._root.parent)
        with suppress(OSError):  # what was said before is true as well
            write_text(_claim_path(self._root), dump_claim(Claim(owner=self._owner, files=new)))
        return old

    def _say(self, **changes: object) -> None:
        inode = self._root.stat().st_ino if self._root.exists() else None
        files = self._before.settled(inode).files if self._before else {}
        claim = Claim(owner=self._owner, files=files, **changes)  # type: ignore[arg-type]
        write_text(_claim_path(self._root), dump_claim(claim))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._done:
            self._undo()
        elif self._lock >= 0:
            os.close(self._lock)

    def _undo(self) -> None:
        with suppress(OSError):
            if self._before is None:
                _claim_path(self._root).unlink(missing_ok=True)
            else:
                self._say(uploading=False)
        shutil.rmtree(self._part, ignore_errors=True)
        if self._lock >= 0:
            os.close(self._lock)


def remove(root: Path, *, where: str) -> None:
    """Remove an uploaded folder and its claim; nothing if there is nothing."""
    if not root.parent.is_dir():
        return
    with locked(root.parent):
        claim = read_claim(root)
        if claim is None and root.exists() and (not root.is_dir() or any(True for _ in root.iterdir())):
            raise ClaimedError(f"{where}: no flow has uploaded this; remove it by hand if you do not need it")
        _tidy(root, where)
        gone = root.with_name(f".{root.name}.{secrets.token_hex(4)}.part")
        if root.exists():
            root.rename(gone)
        _claim_path(root).unlink(missing_ok=True)
    shutil.rmtree(gone, ignore_errors=True)


def bring_back(root: Path) -> None:
    """After a kill between two renames, where folders cannot change places in one: put the old folder back."""
    if root.parent.is_dir() and not root.exists() and any(_siblings(root, "old")):
        with locked(root.parent):
            for old in _siblings(root, "old"):
                if not root.exists():
                    old.rename(root)


def claimed(root: Path) -> bool:
    """Whether there is a claim on this folder."""
    return _claim_path(root).is_file()


def _tidy(root: Path, where: str) -> None:
    """Under the lock of the parent: clear away what killed uploads left. StorageError if one is still at work."""
    if _alive(root):
        raise StorageError(f"{where}: another upload into this folder is under way; wait for it")
    for old in _siblings(root, "old"):
        if root.exists():
            shutil.rmtree(old, ignore_errors=True)
        else:
            old.rename(root)
    for part in _siblings(root, "part"):
        shutil.rmtree(part, ignore_errors=True)
    for part in root.parent.glob(f".{glob.escape(_claim_path(root).name[:40])}.????????.part"):
        part.unlink(missing_ok=True)  # a claim half written: only who holds the lock writes claims here


def _binds(root: Path) -> bool:
    return root.exists() or _alive(root) or any(_siblings(root, "old"))


def _alive(root: Path) -> bool:
    """Whether a living process holds the lock of an unfinished folder."""
    for part in _siblings(root, "part"):
        with suppress(FileNotFoundError):
            lock = try_lock(part)
            if lock is None:
                return True
            os.close(lock)
    return False


def _siblings(root: Path, kind: str) -> Iterator[Path]:
    pattern = re.compile(re.escape(f".{root.name}.") + f"[0-9a-f]{{8}}\\.{kind}")
    with suppress(FileNotFoundError, NotADirectoryError):
        yield from [path for path in root.parent.iterdir() if pattern.fullmatch(path.name) and path.is_dir()]


def _claim_path(root: Path) -> Path:
    return root.with_name(claim_name(root.name))
