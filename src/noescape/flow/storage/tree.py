"""The files of a folder in one order, with what their uploads declared; links never lead out of it."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from noescape.flow.storage.claims import MAX_BYTES, Claim, Held, Manifest, parse_claim
from noescape.flow.storage.names import Names, claim_name, is_own
from noescape.flow.storage.store import Entry, StorageError

MAX_LINKS = 8  # links to folders on the way to one file


@dataclass(frozen=True, kw_only=True)
class Found:
    """One file: its relative path, the real file behind it (links followed) and the state of that."""

    path: str
    real: Path
    state: os.stat_result
    held: Held | None

    @property
    def entry(self) -> Entry:
        """The same, as a store tells of it."""
        digest = self.held.sha256 if self.held else None
        return Entry(path=self.path, size=self.state.st_size, digest=digest, modified=self.state.st_mtime)


def read_claim(folder: Path) -> Claim | None:
    """The claim on `folder` (a resolved path, which need not exist); None if there is none."""
    path = folder.with_name(claim_name(folder.name)) if folder.name else None
    try:
        if path is None or path.stat().st_size > MAX_BYTES:
            return None
        return parse_claim(path.read_bytes(), str(path))
    except (FileNotFoundError, NotADirectoryError):
        return None


def walk(root: Path, picked: Callable[[str], bool], *, where: str, declared: bool) -> Iterator[Found]:
    """The picked files under `root` (a resolved path), sorted by path; one file counts as a folder of itself.

    Links to files and folders inside of `root` are followed; what noescape keeps beside data is left out. With
    `declared`, every file is compared with the manifest of its upload: a missing file or another size is an error.
    StorageError also for links that lead out or in circles, for files that are no files, and for hostile names.
    """
    names = Names(where)
    walker = _Walker(root=root, where=where, declared=declared, picked=picked)
    for found in walker.start():
        yield Found(path=names.add(found.path), real=found.real, state=found.state, held=found.held)


@dataclass
class _Expected:
    """A manifest that governs a folder: `at` is where in the walk its paths begin, '' or 'a/b/'."""

    manifest: Manifest
    at: str
    below: str = ""  # the walk sees only what lies under this part of the manifest
    seen: int = 0

    def take(self, path: str) -> Held | None:
        held = self.manifest.get(self.below + path.removeprefix(self.at))
        self.seen += held is not None
        return held

    def missing(self, picked: Callable[[str], bool], seen: set[str]) -> list[str]:
        paths = [self.at + p.removeprefix(self.below) for p in self.manifest if p.startswith(self.below)]
        return [p for p in paths if picked(p) and p not in seen]


@dataclass
class _Walker:
    root: Path
    where: str
    declared: bool
    picked: Callable[[str], bool]
    _seen: set[str] = field(default_factory=set)

    def start(self) -> Iterator[Found]:
        state = self.root.stat()
        expected = self._above() if self.declared else None
        if not stat.S_ISDIR(state.st_mode):
            yield from self._file(self.root.name, self.root, state, expected)
        else:
            yield from self._folder(self.root, "", expected, (state.st_ino,), 0)
        if expected:
            self._complete(expected)

    def _above(self) -> _Expected | None:
        """The nearest claim on the root itself or on a folder above it."""
        below = ""
        for folder in (self.root, *self.root.parents):
            claim = read_claim(folder)
            if claim is not None:
                manifest = claim.of(folder.stat().st_ino)
                if self.root.is_dir():
                    return _Expected(manifest, at="", below=below)
                held = manifest.get(below.removesuffix("/"))  # one file: nothing beside it is expected
                return _Expected({self.root.name: held} if held else {}, at="")
            below = f"{folder.name}/{below}"
        return None

    def _folder(
        self, folder: Path, at: str, expected: _Expected | None, line: tuple[int, ...], links: int
    ) -> Iterator[Found]:
        with os.scandir(folder) as found:
            items = [(entry.name, entry) for entry in found]
        present = {name for name, _ in items}
        rows = [(name + ("/" if entry.is_dir() else ""), entry) for name, entry in items if not is_own(name)]
        for _, entry in sorted(rows, key=lambda row: row[0]):
            path, real, more = at + entry.name, folder / entry.name, links
            if entry.is_symlink():
                real, more = self._followed(path, real), links + 1
            state = real.stat()
            if not stat.S_ISDIR(state.st_mode):
                yield from self._file(path, real, state, expected)
                continue
            if state.st_ino in line or more > MAX_LINKS:
                raise StorageError(f"{self.where}: the link {path!r} leads in a circle; remove it")
            inner = expected
            if self.declared and claim_name(entry.name) in present:
                claim = read_claim(folder / entry.name)
                inner = _Expected(claim.of(state.st_ino), at=path + "/") if claim else expected
            yield from self._folder(real, path + "/", inner, (*line, state.st_ino), more)
            if inner is not None and inner is not expected:
                self._complete(inner)

    def _followed(self, path: str, link: Path) -> Path:
        try:
            real = link.resolve(strict=True)
        except (OSError, RuntimeError):
            raise StorageError(f"{self.where}: the link {path!r} leads nowhere; remove it") from None
        if not real.is_relative_to(self.root):
            raise StorageError(f"{self.where}: the link {path!r} leads out of the folder; put the file itself there")
        return real

    def _file(self, path: str, real: Path, state: os.stat_result, expected: _Expected | None) -> Iterator[Found]:
        if not self.picked(path):
            return
        if not stat.S_ISREG(state.st_mode):
            raise StorageError(f"{self.where}: {path!r} is no file (a pipe, socket or device); remove it")
        held = expected.take(path) if expected else None
        if held and held.size != state.st_size:
            raise changed(self.where, path, f"{state.st_size} bytes instead of {held.size}")
        self._seen.add(path) if expected else None
        yield Found(path=path, real=real, state=state, held=held)

    def _complete(self, expected: _Expected) -> None:
        missing = expected.missing(self.picked, self._seen)
        if missing:
            more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            raise changed(self.where, min(missing) + more, "gone")


def changed(where: str, path: str, how: str) -> StorageError:
    """The error for a file that is not as its upload declared."""
    return StorageError(
        f"{where}: {path} is not as it was uploaded ({how}); upload it again, or, to take the folder as it is now, "
        "remove the hidden .claim.json file beside it"
    )
