"""The descriptors of rows: looked up by the content of their files, computed where they are new."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from noescape.changenet.cached.descriptor import PARTS, DescriptorSpec, build_descriptor
from noescape.changenet.cached.store import CHUNK, FeatureStore, Selection
from noescape.changenet.images import LoadedPair, Loader
from noescape.changenet.lines import OnLine, Progress, silent
from noescape.changenet.rows import Row
from noescape.features.runtime import OpenVinoEmbedder, convert_to_openvino
from noescape.features.weights import find_weights
from noescape.files import dump_row, read_json_object, sha256_file, sha256_named, write_json
from noescape.imaging.parallel import ordered_map, worker_count
from noescape.records import WorkError

Float = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Described:
    """The rows that could be described (`kept`: places in the list given), and why the others could not."""

    kept: tuple[int, ...]
    rows: Selection
    errors: dict[int, str]


def describe_spec(backbone: str, weights: Path | None, size: tuple[int, int]) -> DescriptorSpec:
    """The descriptor of a backbone whose weights are here; UsageError where they are not."""
    from noescape.changenet.siamese.levels import ALIASES

    found = weights if weights is not None else find_weights(ALIASES.get(backbone, backbone))
    return DescriptorSpec(backbone=backbone, weights_sha256=sha256_file(found), size=size)


class Describer:
    """A compiled descriptor; safe to call from threads."""

    def __init__(self, spec: DescriptorSpec, weights: Path | None, *, workers: int = 1) -> None:
        self.spec, self.workers = spec, workers
        self.module = build_descriptor(spec.backbone, spec.size, weights)
        height, width = spec.size
        graph = convert_to_openvino(self.module, (2 * height, width))
        self._run = OpenVinoEmbedder(graph, streams=workers, threads=workers)
        self.dims = PARTS * sum(self.module.levels.channels[1:])

    def __call__(self, pair: LoadedPair) -> Float:
        """`[D]`; with several goldens the least that differs from any of them, entry by entry."""
        each = [self._run(stack_pair(pair.input, golden)) for golden in pair.goldens]
        return np.asarray(np.min(each, axis=0), np.float32)


def stack_pair(image: npt.NDArray[np.uint8], golden: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The input above its golden, as the descriptor's graph takes them."""
    return np.concatenate([image, golden], axis=0)


class LazyDescriber:
    """A describer that is built, once, when it is first asked for: that takes seconds."""

    def __init__(self, spec: DescriptorSpec, weights: Path | None, workers: int) -> None:
        self.spec, self.workers = spec, worker_count(min(workers, 8))
        self._weights = weights
        self._lock = threading.Lock()
        self._made: Describer | None = None

    def get(self) -> Describer:
        """The describer."""
        with self._lock:
            if self._made is None:
                self._made = Describer(self.spec, self._weights, workers=self.workers)
            return self._made


class FeatureBook:
    """Descriptors of rows, kept in `folder`; the network is only built when something is new."""

    def __init__(self, folder: Path, describer: LazyDescriber, loader: Loader) -> None:
        self._describer, self._loader, self._workers = describer, loader, describer.workers
        self._digests: dict[Path, str] = {}
        spec = describer.spec
        self._store = FeatureStore(folder, _identity(spec, loader), _dims(folder, describer))

    def describe(self, rows: Sequence[Row], on_line: OnLine = silent) -> Described:
        """Look up or compute every row. A row that cannot be read is left out, with its reason.

        Cost: one pass over the files for their digests; about 35 ms for a new pair of 224 px, on one thread.
        """
        keys: list[str | None] = []
        errors: dict[int, str] = {}
        for place, row in enumerate(rows):
            try:
                keys.append(self._key(row))
            except (WorkError, OSError) as error:
                keys.append(None)
                errors[place] = reason(error)
        errors |= self._compute(rows, keys, on_line)
        kept = tuple(place for place, key in enumerate(keys) if key is not None and place not in errors)
        return Described(kept=kept, rows=Selection(self._store, [str(keys[p]) for p in kept]), errors=errors)

    def _compute(self, rows: Sequence[Row], keys: Sequence[str | None], on_line: OnLine) -> dict[int, str]:
        new: dict[str, int] = {}
        for place, key in enumerate(keys):
            if key is not None and key not in self._store:
                new.setdefault(key, place)
        if not new:
            return {}
        on_line(f"features of {len(rows)} rows: {len(new)} pairs are new")
        progress, work, failed = Progress(on_line, "features", len(new)), list(new.items()), {}
        for start in range(0, len(work), CHUNK):
            part = work[start : start + CHUNK]
            found = list(ordered_map(lambda item: self._one(rows[item[1]]), part, self._workers))
            good = [(key, v) for (key, _), v in zip(part, found, strict=True) if not isinstance(v, str)]
            failed.update({key: v for (key, _), v in zip(part, found, strict=True) if isinstance(v, str)})
            if good:
                self._store.add([key for key, _ in good], np.stack([v for _, v in good]))
            progress.step(min(start + CHUNK, len(work)))
        return {place: failed[key] for place, key in enumerate(keys) if key in failed}

    def _one(self, row: Row) -> Float | str:
        try:
            return self._describer.get()(self._loader.load(row))
        except (WorkError, OSError) as error:
            return reason(error)

    def _key(self, row: Row) -> str:
        """What the files of a row hold, whatever they are called."""
        sets = self._loader.paths(row)
        named = [(f"{n} {m}", self._digest(path)) for n, paths in enumerate(sets) for m, path in enumerate(paths)]
        return sha256_named(named)

    def _digest(self, path: Path) -> str:
        if path not in self._digests:
            self._digests[path] = sha256_file(path)
        return self._digests[path]


def reason(error: Exception) -> str:
    """An error as one line for a table."""
    return " ".join(str(getattr(error, "strerror", None) or error).split())[:300]


def _identity(spec: DescriptorSpec, loader: Loader) -> str:
    plain: dict[str, Any] = {
        "descriptor": spec.to_json(),
        "size": list(loader.size),
        "grid": list(loader.grid),
        "registration": loader.registration,
    }
    return sha256_named([("descriptor", dump_row(plain))])


def _dims(folder: Path, describer: LazyDescriber) -> int:
    """The length of a descriptor, remembered beside the vectors."""
    path = folder / "lengths.json"
    known = read_json_object(path, "lengths of descriptors") if path.is_file() else {}
    name = sha256_named([("spec", dump_row(describer.spec.to_json()))])[:32]
    if not isinstance(known.get(name), int):
        known[name] = describer.get().dims
        write_json(path, known)
    return int(known[name])
