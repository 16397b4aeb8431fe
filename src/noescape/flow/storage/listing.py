"""What lies under a remote prefix, held against the claims on it, above it and inside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial

from noescape.flow.storage.claims import Claim, Held, parse_claim
from noescape.flow.storage.names import MARKER, Names, claim_name, is_own
from noescape.flow.storage.objects import ForbiddenError, Objects, Remote, at_once
from noescape.flow.storage.store import Entry, StorageError, UnfinishedError
from noescape.flow.storage.tree import changed

SMALL = 8  # requests for small objects at a time


@dataclass(frozen=True, kw_only=True)
class Row:
    """An object as a file of the store; `sure` if it is the very version that its upload declared."""

    key: str
    entry: Entry
    sure: bool


def claim_key(objects: Objects, level: int) -> str:
    """Key of the claim on the first `level` parts of the prefix: beside it, or inside of a claimed bucket."""
    folder = objects.prefix[:level]
    name = claim_name(folder[-1]) if folder else claim_name("noescape")
    return "/".join([objects.bucket, *folder[:-1], name])


def claims(objects: Objects) -> dict[int, Claim]:
    """The claims on the prefix and on all above it, by the number of parts that they cover."""
    levels = range(len(objects.prefix) + 1)
    found = at_once(lambda level: _claim(objects, claim_key(objects, level)), levels, threads=SMALL)
    return {level: claim for level, claim in zip(levels, found) if claim is not None}


def _claim(objects: Objects, key: str) -> Claim | None:
    try:
        data = objects.read(key)
    except ForbiddenError:  # servers say so of what is not there, to those who may not list
        return None
    return None if data is None else parse_claim(data, key)


def unfinished(url: str, owner: str | None) -> UnfinishedError:
    """The error for data whose upload has not come to its end."""
    by = f" by {owner}" if owner else ""
    return UnfinishedError(
        f"{url}: an upload{by} was begun and has not come to its end; wait for it, or run it again if it was broken off"
    )


def rows(objects: Objects, picked: Callable[[str], bool]) -> list[Row]:
    """The picked objects, sorted by path; errors as `Store.entries` has them."""
    covering = claims(objects)
    for claim in covering.values():
        if claim.uploading:
            raise unfinished(objects.url, claim.owner)
    found = objects.list()
    whole = covering.get(len(objects.prefix))
    if not found and whole is None:
        raise StorageError(f"{objects.url}: nothing is there; check the url, or make what belongs there first")
    return _Reader(objects, covering, picked).read(found)


@dataclass
class _Manifest:
    """What governs the paths that begin with `at`: their part behind it follows `below` in the manifest."""

    files: dict[str, Held]
    at: str = ""
    below: str = ""
    seen: set[str] = field(default_factory=set)

    def take(self, path: str) -> Held | None:
        held = self.files.get(self.below + path.removeprefix(self.at))
        if held:
            self.seen.add(path)
        return held

    def missing(self, picked: Callable[[str], bool]) -> list[str]:
        paths = (self.at + p.removeprefix(self.below) for p in self.files if p.startswith(self.below))
        return [p for p in paths if picked(p) and p not in self.seen]


class _Reader:
    def __init__(self, objects: Objects, covering: dict[int, Claim], picked: Callable[[str], bool]) -> None:
        self._objects, self._picked = objects, picked
        self._names = Names(objects.url)
        self._manifests: dict[str, _Manifest] = {}
        self._covering = covering

    def read(self, found: list[Remote]) -> list[Row]:
        """Rows of the picked ones."""
        base = self._objects.base
        one = len(found) == 1 and found[0].key == base
        named = [(base.rpartition("/")[2] if one else item.key[len(base) + 1 :], item) for item in found]
        self._cover(one)
        self._inside(path for path, _ in named)
        out = [
            self._row(self._names.add(path), item)
            for path, item in named
            if self._picked(path) and not any(map(is_own, path.split("/")))
        ]
        for governing in self._manifests.values():
            missing = governing.missing(self._picked)
            if missing:
                more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
                raise changed(self._objects.url, min(missing) + more, "gone")
        return sorted(out, key=lambda row: row.entry.path)

    def _cover(self, one: bool) -> None:
        """The nearest claim on the prefix or above it; of one object, nothing beside it is expected."""
        if not self._covering:
            return
        level = max(self._covering)
        files, parts = self._covering[level].files, self._objects.prefix[level:]
        if one and parts:
            held = files.get("/".join(parts))
            self._manifests[""] = _Manifest({parts[-1]: held} if held else {})
        else:
            self._manifests[""] = _Manifest(dict(files), below="".join(part + "/" for part in parts))

    def _inside(self, paths: Iterable[str]) -> None:
        """Claims and marks among the objects themselves: outputs that lie deeper."""
        keys: dict[str, str] = {}
        for path in paths:
            folder, _, name = path.rpartition("/")
            at = folder + "/" if folder else ""
            if name == MARKER:
                raise unfinished(f"{self._objects.url}/{folder}".rstrip("/"), None)
            key = f"{self._objects.base}/{path}"
            if is_own(name) and name.endswith(".claim.json") and key != claim_key(self._objects, 0):
                keys[at + name[1 : -len(".claim.json")] + "/"] = key
        for at, claim in zip(keys, at_once(partial(_claim, self._objects), keys.values(), threads=SMALL)):
            if claim is not None and claim.uploading:
                raise unfinished(f"{self._objects.url}/{at}".rstrip("/"), claim.owner)
            if claim is not None:
                self._manifests[at] = _Manifest(dict(claim.files), at=at)

    def _row(self, path: str, item: Remote) -> Row:
        governing, at = None, path
        while governing is None and at:
            at = at.rstrip("/").rpartition("/")[0]
            at += "/" if at else ""
            governing = self._manifests.get(at)
        held = governing.take(path) if governing else None
        if held and held.size != item.size:
            raise changed(self._objects.url, path, f"{item.size} bytes instead of {held.size}")
        digest = held.sha256 if held else None
        entry = Entry(path=path, size=item.size, digest=digest, etag=item.etag, modified=item.modified)
        return Row(key=item.key, entry=entry, sure=bool(held and held.etag and held.etag == item.etag))
