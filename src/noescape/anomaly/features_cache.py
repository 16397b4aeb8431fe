"""Features of many images, embedded once, kept on disk in chunks: fitting streams them and survives a kill.

A chunk holds `CHUNK` images (one, where they are cut into tiles): `00000.npy` (their patches one below the other,
float32) and `00000.json` (one row an image: how many patches, what it looked like, or why it could not be read). The
.json appears last, so a chunk with it is whole. The folder belongs to one identity (configuration and data); another
identity empties it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from noescape.anomaly.detector import View, embed
from noescape.anomaly.progress import Tell
from noescape.anomaly.unlike import Seen
from noescape.features.runtime import Embedder
from noescape.files import write_json, write_with
from noescape.imaging import Appearance, Picture
from noescape.imaging.parallel import ordered_map
from noescape.records import ImageError, Sample, WorkError

Float = npt.NDArray[np.float32]
CHUNK = 16
FORMAT = 2  # of the rows; another one is as good as another identity


@dataclass(frozen=True, kw_only=True)
class CachedImage:
    """One image of the cache: where its patches are, what it looked like; `error` (code, reason) if unreadable."""

    key: str
    chunk: int
    first: int
    rows: int
    seen: Seen | None
    error: tuple[str, str] | None


class FeatureCache:
    """The features of `samples`, filled by `fill` and read back in any selection."""

    def __init__(self, folder: Path, identity: str) -> None:
        self.folder = folder
        self._chunk = CHUNK
        marker, identity = folder / "identity.json", f"{identity} format {FORMAT}"
        if folder.is_dir() and (not marker.is_file() or _read_json(marker) != identity):
            shutil.rmtree(folder)
        folder.mkdir(parents=True, exist_ok=True)
        write_json(marker, identity)
        self.images: list[CachedImage] = []

    def fill(
        self,
        samples: Sequence[Sample],
        read: Callable[[Path], Picture],
        view: View,
        embedder: Embedder,
        *,
        workers: int,
        tell: Tell,
    ) -> None:
        """Embed what is not there yet; afterwards `images` has one entry for each sample, in order."""
        self._chunk = CHUNK if view.tile is None else 1
        step = tell("embedding good images", len(samples))

        def one(sample: Sample) -> tuple[Float, Seen] | ImageError:
            try:
                picture = read(sample.image)
            except ImageError as error:
                return error
            return embed(view, embedder, picture.rgb), Seen.of(picture, view)

        for number in range(-(-len(samples) // self._chunk)):
            part = samples[number * self._chunk : (number + 1) * self._chunk]
            path = self.folder / f"{number:05d}.json"
            if not path.is_file():
                self._write(number, part, list(ordered_map(one, part, workers)))
            self.images += _rows(number, path, _read_json(path))
            step(min((number + 1) * self._chunk, len(samples)))

    def batches(self, wanted: npt.NDArray[np.bool_]) -> Iterator[Float]:
        """Patches `[sum of rows, D]` of the wanted images, chunk by chunk, in order."""
        for _, features in self._selected(wanted):
            yield np.concatenate(features)

    def stacks(self, wanted: npt.NDArray[np.bool_]) -> Iterator[Float]:
        """The same as `[B, P, D]`; ValueError where images have different numbers of patches."""
        for _, features in self._selected(wanted):
            yield np.stack(features)

    def each(self, wanted: npt.NDArray[np.bool_]) -> Iterator[tuple[int, Float]]:
        """(index, patches `[P, D]`) of each wanted image, in order."""
        for indices, features in self._selected(wanted):
            yield from zip(indices, features, strict=True)

    def _selected(self, wanted: npt.NDArray[np.bool_]) -> Iterator[tuple[list[int], list[Float]]]:
        for number in range(-(-len(self.images) // self._chunk)):
            at = range(number * self._chunk, min((number + 1) * self._chunk, len(self.images)))
            chosen = [i for i in at if wanted[i] and self.images[i].error is None]
            if chosen:
                whole = load_array(self.folder / f"{number:05d}.npy")
                rows = [self.images[i] for i in chosen]
                yield chosen, [whole[row.first : row.first + row.rows] for row in rows]

    def _write(self, number: int, part: Sequence[Sample], results: list[tuple[Float, Seen] | ImageError]) -> None:
        features = [r[0] for r in results if not isinstance(r, ImageError)]
        rows: list[dict[str, Any]] = []
        for sample, result in zip(part, results, strict=True):
            if isinstance(result, ImageError):
                rows.append({"key": sample.key, "rows": 0, "error": [result.code, result.reason]})
            else:
                rows.append({"key": sample.key, "rows": len(result[0]), "seen": asdict(result[1])})

        def save(path: Path) -> None:
            with path.open("wb") as f:
                np.save(f, np.concatenate(features) if features else np.zeros((0, 0), np.float32))

        write_with(self.folder / f"{number:05d}.npy", save)
        write_json(self.folder / f"{number:05d}.json", rows)


def load_array(path: Path) -> Float:
    """The patches in an .npy file; WorkError if it is damaged (a pickle is never read)."""
    loaded = _load(path)
    if not isinstance(loaded, np.ndarray) or loaded.ndim != 2:
        raise _damaged(path, ValueError("it holds no table of numbers"))
    return loaded


def load_arrays(path: Path, names: Sequence[str]) -> dict[str, Any]:
    """The named arrays of an .npz file; WorkError if it is damaged or one is missing (a pickle is never read)."""
    loaded = _load(path)
    if not isinstance(loaded, dict) or not set(names) <= set(loaded):
        raise _damaged(path, ValueError(f"it must hold {', '.join(names)}"))
    return loaded


def _load(path: Path) -> Any:
    try:
        with path.open("rb") as f:
            loaded = np.load(f, allow_pickle=False)
            return loaded if isinstance(loaded, np.ndarray) else {name: loaded[name] for name in loaded.files}
    except (ValueError, OSError, EOFError, KeyError, BadZipFile) as error:
        raise _damaged(path, error) from None


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> WorkError:
    reason = " ".join(str(error).split())[:120]
    return WorkError(f"{path} is damaged ({reason}): remove the folder {path.parent} and run the same command again")


def _rows(chunk: int, path: Path, rows: Any) -> list[CachedImage]:
    out, first = [], 0
    try:
        for row in rows:
            seen = row.get("seen")
            out.append(
                CachedImage(
                    key=row["key"],
                    chunk=chunk,
                    first=first,
                    rows=row["rows"],
                    seen=seen and Seen(**{**seen, "appearance": Appearance(**seen["appearance"])}),
                    error=tuple(row["error"]) if "error" in row else None,
                )
            )
            first += row["rows"]
    except (TypeError, KeyError, AttributeError) as error:
        raise _damaged(path, error) from None
    return out
