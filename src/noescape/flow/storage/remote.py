"""Prefixes of object stores as stores: s3, gs and azure through the fsspec family.

An upload first claims the prefix (an object beside it), then marks it as unfinished (an object inside), then brings
the objects, then writes their manifest into the claim, then takes the mark away. Readers refuse what is unfinished.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from noescape.files import sha256_file, sha256_named
from noescape.flow.storage.backends import Secrets, fitting, library
from noescape.flow.storage.claims import Claim, dump_claim, manifest, parse_claim
from noescape.flow.storage.fetching import fetch, is_there
from noescape.flow.storage.landing import Landing, told
from noescape.flow.storage.listing import SMALL, Row, claim_key, claims, rows
from noescape.flow.storage.names import MARKER, is_own
from noescape.flow.storage.objects import Objects, Remote, at_once, in_turn
from noescape.flow.storage.store import ClaimedError, Entry, OnBytes, StorageError, matcher
from noescape.flow.storage.tree import Found, walk

THREADS = 4  # files under way at a time


def open_remote(url: str, secrets: Secrets) -> RemoteStore:
    """The store of a checked remote url; UsageError if its library is not installed. Talks to nobody yet."""
    payload = fitting(url, secrets)
    library(url, payload)
    return RemoteStore(Objects(url, payload))


class RemoteStore:
    """A prefix of an object store, or one object as a source."""

    def __init__(self, objects: Objects) -> None:
        self.url = objects.url
        self._objects = objects
        self._level = len(objects.prefix)
        self._claim = claim_key(objects, self._level)
        self._marker = f"{objects.base}/{MARKER}"

    def exists(self) -> bool:
        """See `Store`. False while an upload is under way or was broken off. A few small requests."""
        covering = claims(self._objects)
        if any(claim.uploading for claim in covering.values()) or self._objects.info(self._marker):
            return False
        return self._level in covering or self._objects.any()

    def entries(self, regex: str | None = None) -> Iterator[Entry]:
        """See `Store`. The listing is held in memory, about 1 KB for each object."""
        for row in rows(self._objects, matcher(regex)):
            yield row.entry

    def identity(self, regex: str | None = None, *, cache: Path | None = None) -> str:
        """See `Store`. Reads the listing alone, never the objects; `cache` is not used."""
        return sha256_named((row.entry.path, _value(row)) for row in rows(self._objects, matcher(regex)))

    def download(
        self, dest: Path, *, regex: str | None = None, on_bytes: OnBytes | None = None, link: bool = False
    ) -> tuple[Entry, ...]:
        """See `Store`. Four objects at a time, 8 MiB of each in memory."""
        found = rows(self._objects, matcher(regex))
        tell = in_turn(on_bytes)
        with told(str(dest)), Landing(dest) as landing:
            places = [landing.place(row.entry.path) for row in found]
            landing.room_for(sum(row.entry.size for row, place in zip(found, places) if not place.exists()))

            def bring(pair: tuple[Row, Path]) -> None:
                row, place = pair
                if not is_there(place, row.entry):
                    fetch(self._objects, row.key, row.entry, landing, place, tell)
                elif tell:
                    tell(row.entry.size)

            at_once(bring, zip(found, places), threads=THREADS)
        return tuple(row.entry for row in found)

    def claim(self, owner: str) -> None:
        """See `Store`."""
        self._check_claim(owner)

    def upload(
        self, source: Path, *, regex: str | None = None, owner: str, on_bytes: OnBytes | None = None
    ) -> tuple[Entry, ...]:
        """See `Store`. A killed upload leaves the prefix unfinished, which readers refuse until it is run again."""
        with told(str(source)):
            if not source.exists():
                raise StorageError(f"{source}: nothing is there to upload")
            files = list(walk(source.resolve(), matcher(regex), where=str(source), declared=False))
        for found in files:
            _text(found.path, source)
        before, there = self._check_claim(owner)
        old = before.files if before else {}
        self._take(before, dump_claim(Claim(owner=owner, uploading=True, files=old)).encode())
        self._objects.write(self._marker, b"")
        unchanged = {
            item.key: held.sha256
            for item in there
            if (held := old.get(self._path(item))) and held.etag and held.etag == item.etag and held.size == item.size
        }
        tell = in_turn(on_bytes)
        digests = at_once(lambda found: self._bring(found, unchanged, tell), files, threads=THREADS)
        entries = self._close(files, digests)
        final = Claim(owner=owner, files=manifest(entries))
        self._objects.write(self._claim, dump_claim(final).encode())
        self._objects.delete(self._marker)
        return entries

    def delete(self) -> None:
        """See `Store`."""
        there = [item for item in self._objects.list() if not is_own(item.key.rpartition("/")[2])]
        if there and self._level not in claims(self._objects):
            raise ClaimedError(f"{self.url}: no flow has uploaded this; remove it by hand if you do not need it")
        self._objects.write(self._marker, b"")
        at_once(self._objects.delete, [item.key for item in there], threads=SMALL)
        self._objects.delete(self._claim)
        self._objects.delete(self._marker)

    def _check_claim(self, owner: str) -> tuple[Claim | None, list[Remote]]:
        """The claim of `owner`, if it has one, and what lies there; ClaimedError if it may not write."""
        covering = claims(self._objects)
        above = [claim for level, claim in covering.items() if level < self._level]
        if above:
            raise ClaimedError(
                f"{self.url}: {above[-1].owner} writes a prefix above as a whole; choose one outside of it"
            )
        claim = covering.get(self._level)
        there = [item for item in self._objects.list() if not is_own(item.key.rpartition("/")[2])]
        if claim is not None and claim.owner == owner:
            return claim, there
        if claim is not None and (there or claim.uploading):
            raise ClaimedError(
                f"{self.url}: this belongs to {claim.owner}, not to {owner}; choose another url, or remove what lies "
                f"there and the object {self._claim} if they are no longer needed"
            )
        if there:
            raise ClaimedError(
                f"{self.url}: there are data that no flow has written, and they are left alone; choose a new url"
            )
        if claim is not None:
            self._objects.delete(self._claim)  # a claim on nothing
        return None, there

    def _take(self, before: Claim | None, text: bytes) -> None:
        """Write the claim; of two who come at once, one gets a ClaimedError."""
        if before is not None:
            self._objects.write(self._claim, text)
            return
        with suppress(FileExistsError):
            self._objects.create(self._claim, text)
        now = self._objects.read(self._claim)
        if now != text:
            other = parse_claim(now, self._claim).owner if now else "somebody"
            raise ClaimedError(f"{self.url}: {other} has begun to write there at the same moment; choose another url")

    def _path(self, item: Remote) -> str:
        return item.key[len(self._objects.base) + 1 :]

    def _bring(self, found: Found, unchanged: dict[str, str], on_bytes: OnBytes | None) -> str:
        key = f"{self._objects.base}/{found.path}"
        with told(str(found.real)):
            digest = sha256_file(found.real)
        if unchanged.get(key) == digest:
            if on_bytes:
                on_bytes(found.state.st_size)
            return digest
        self._objects.put(found.real, key, found.state.st_size, on_bytes)
        with told(str(found.real)):
            now = found.real.stat()
        if (now.st_size, now.st_mtime_ns) != (found.state.st_size, found.state.st_mtime_ns):
            raise StorageError(f"{found.real}: changed while it was uploaded; try again when nothing writes to it")
        return digest

    def _close(self, files: list[Found], digests: list[str]) -> tuple[Entry, ...]:
        """Remove what does not belong to this upload, and hold the rest against what was sent."""
        listed = {self._path(item): item for item in self._objects.list()}
        wanted = {found.path for found in files}
        stale = [item.key for path, item in listed.items() if path not in wanted and path != MARKER]
        at_once(self._objects.delete, stale, threads=SMALL)
        out = []
        for found, digest in zip(files, digests):
            item = listed.get(found.path)
            if item is None or item.size != found.state.st_size:
                came = "nothing" if item is None else f"{item.size} bytes"
                raise StorageError(
                    f"{self.url}: of {found.path} ({found.state.st_size} bytes) {came} arrived; try again"
                )
            out.append(Entry(path=found.path, size=item.size, digest=digest, etag=item.etag, modified=item.modified))
        return tuple(out)


def _value(row: Row) -> str:
    """What stands for the content of an object: its declared digest, or what the server calls this version."""
    if row.sure and row.entry.digest:
        return row.entry.digest
    return f"etag {row.entry.etag} {row.entry.size}"


def _text(path: str, source: Path) -> None:
    try:
        path.encode()
    except UnicodeEncodeError:
        raise StorageError(f"{source}: the name {path!r} is no text, which object stores need; rename it") from None
