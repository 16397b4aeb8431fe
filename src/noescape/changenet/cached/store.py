"""Vectors on disk by what they were made from: computed once, read by every later run; a kill loses one chunk at most.

<folder>/<identity>/<chunk>.npy     float32 [n, D]
<folder>/<identity>/<chunk>.json    its keys, written last: a chunk with it is whole

A chunk is named by its keys, so that several programs may fill one folder at a time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from noescape.files import read_json_object, write_json, write_with
from noescape.records import DataError

Float = npt.NDArray[np.float32]
CHUNK = 256  # rows computed before they are written
_HELD = 512 << 20  # bytes of a selection that are kept in memory; more is read again for each pass


class FeatureStore:
    """All vectors of one identity (backbone, size, registration …)."""

    def __init__(self, folder: Path, identity: str, dims: int) -> None:
        self.folder, self.dims = folder / identity[:32], dims
        self._at: dict[str, tuple[str, int]] = {}
        self._open: dict[str, Float] = {}
        self.folder.mkdir(parents=True, exist_ok=True)
        for path in sorted(self.folder.glob("[0-9a-f]*.json")):
            self._index(path)

    def __contains__(self, key: object) -> bool:
        return key in self._at

    def add(self, keys: Sequence[str], vectors: Float) -> None:
        """Keep `vectors` `[n, D]` under their keys."""
        name = hashlib.sha256("\n".join(keys).encode()).hexdigest()[:24]
        write_with(self._path(name), lambda part: _save(part, vectors))
        write_json(self.folder / f"{name}.json", {"keys": list(keys)})
        self._at.update({key: (name, i) for i, key in enumerate(keys)})

    def rows(self, keys: Sequence[str]) -> Float:
        """The vectors of `keys` `[n, D]`, in that order; KeyError for one that is not there."""
        out = np.empty((len(keys), self.dims), np.float32)
        places: dict[str, list[tuple[int, int]]] = {}
        for i, key in enumerate(keys):
            name, row = self._at[key]
            places.setdefault(name, []).append((i, row))
        for name, pairs in sorted(places.items()):
            to, where = np.array(pairs).T
            out[to] = self._chunk(name)[where]
        return out

    def _index(self, path: Path) -> None:
        name = path.stem
        keys: Any = read_json_object(path, "the keys of cached features").get("keys")
        if not isinstance(keys, list) or self._chunk(name).shape != (len(keys), self.dims):
            raise DataError(f"{path}: does not fit its features; remove {self.folder} and start again")
        self._at.update({str(key): (name, i) for i, key in enumerate(keys)})

    def _chunk(self, name: str) -> Float:
        if name not in self._open:
            try:
                self._open[name] = np.load(self._path(name), mmap_mode="r", allow_pickle=False)
            except (OSError, ValueError) as error:
                raise DataError(f"{self._path(name)}: cached features cannot be read ({error}); remove it") from None
        return self._open[name]

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.npy"


class Selection:
    """Vectors of chosen keys, handed out in blocks so that memory does not grow with their number."""

    def __init__(self, store: FeatureStore, keys: Sequence[str]) -> None:
        self._store, self._keys = store, list(keys)
        small = len(self._keys) * store.dims * 4 <= _HELD
        self._whole = store.rows(self._keys) if small else None
        self.dims = store.dims

    def __len__(self) -> int:
        return len(self._keys)

    def block(self, start: int, stop: int) -> Float:
        """Rows `start` to `stop`."""
        if self._whole is not None:
            return self._whole[start:stop]
        return self._store.rows(self._keys[start:stop])


def _save(path: Path, vectors: Float) -> None:
    with path.open("wb") as f:
        np.save(f, np.ascontiguousarray(vectors, np.float32), allow_pickle=False)
