"""One vector per picture for nearest neighbours, kept by content: a picture is embedded once, whatever it is called."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from noescape.deft.ledger import Dropped
from noescape.deft.parquet import read_vectors, write_vectors
from noescape.files import sha256_file
from noescape.imaging import read_picture, resize_rgb
from noescape.imaging.parallel import ordered_map, worker_count
from noescape.records import DataError, ImageError

Floats = npt.NDArray[np.float32]
SIDE = 128  # px of the network input
TAPS = ("blocks.4", "blocks.6")
BACKBONE = "efficientnet_lite0"
Tell = Callable[[str, int], Callable[[int], None]]


class Encoder(Protocol):
    """Anything that turns RGB uint8 `[H, W, 3]` of any size into a vector `[D]` float32; `name` says what it is."""

    name: str

    def __call__(self, rgb: npt.NDArray[np.uint8]) -> Floats:
        """Embed one picture."""
        ...


class PooledBackbone:
    """Feature maps of a backbone, averaged over the picture. About 1 CPU-s to build, 5 to 9 CPU-ms a picture."""

    def __init__(self, backbone: str = BACKBONE, weights: Path | None = None, *, workers: int = 1) -> None:
        from noescape.features.backbones import backbone as row_of
        from noescape.features.embedding import EmbeddingSpec, build_embedding
        from noescape.features.runtime import OpenVinoEmbedder, convert_to_openvino

        taps = TAPS if backbone.startswith("efficientnet_lite") else row_of(backbone).default_taps
        side = SIDE if row_of(backbone).multiple == 32 else row_of(backbone).multiple * 16
        spec = EmbeddingSpec(backbone=backbone, taps=taps, image_size=(side, side), pool=1, grid=(1, 1))
        graph = convert_to_openvino(build_embedding(spec, weights), spec.image_size)
        self._run = OpenVinoEmbedder(graph, streams=workers, threads=workers)
        self._side = side
        self.name = f"{backbone} {'+'.join(taps)} mean {side}px"

    def __call__(self, rgb: npt.NDArray[np.uint8]) -> Floats:
        """Embed one picture."""
        return np.asarray(self._run(resize_rgb(rgb, self._side, self._side))[0], np.float32)


@dataclass(frozen=True, kw_only=True, eq=False)
class Embedded:
    """`vectors` float32 `[N, D]` of `names`; pictures that cannot be read are in `lost` instead."""

    names: tuple[str, ...]
    vectors: Floats
    lost: tuple[Dropped, ...]
    reused: int = 0


def embed(
    names: Sequence[str],
    workspace: Path | None,
    encoder: Callable[[], Encoder],
    encoder_name: str,
    *,
    cache: Path | None = None,
    workers: int = 1,
    tell: Tell = lambda stage, total: lambda done: None,
) -> Embedded:
    """Embed each picture of `names` (paths in the workspace) once; order kept, repeats dropped.

    `cache` is a parquet file of vectors by content: what it has for this encoder is taken, what is new is added. The
    encoder is built only when something is new. Memory: the vectors. Cost: one read per picture, one decode and
    one embedding per new picture.
    """
    wanted = list(dict.fromkeys(names))
    digests, lost = _digests(wanted, workspace)
    known = _from_cache(cache, encoder_name)
    new = {d: name for name, d in reversed(digests.items()) if d not in known}
    if new:
        fresh, failed = _embed_new(new, workspace, encoder(), worker_count(workers), tell)
        lost += [Dropped(row=name, reason=failed[d]) for name, d in digests.items() if d in failed]
        known |= fresh
        if cache is not None and fresh:
            _to_cache(cache, encoder_name, known, {d: name for name, d in reversed(digests.items())})
    have = [name for name, d in digests.items() if d in known]
    vectors = np.stack([known[digests[name]] for name in have]) if have else np.zeros((0, 0), np.float32)
    lost.sort(key=lambda one: one.row)
    return Embedded(names=tuple(have), vectors=vectors, lost=tuple(lost), reused=len(have) - sum(
        digests[name] in new for name in have))  # fmt: skip


def _digests(names: Sequence[str], workspace: Path | None) -> tuple[dict[str, str], list[Dropped]]:
    out, lost = {}, []
    for name in names:
        try:
            out[name] = sha256_file(workspace / name if workspace else Path(name))
        except OSError as error:
            lost.append(Dropped(row=name, reason=f"cannot be read ({error.strerror or error})"))
    return out, lost


def _embed_new(
    new: dict[str, str], workspace: Path | None, encoder: Encoder, workers: int, tell: Tell
) -> tuple[dict[str, Floats], dict[str, str]]:
    done = tell("embedding", len(new))
    fresh: dict[str, Floats] = {}
    failed: dict[str, str] = {}

    def one(item: tuple[str, str]) -> tuple[str, Floats | str]:
        digest, name = item
        try:
            return digest, encoder(read_picture(workspace / name if workspace else Path(name)).rgb)
        except ImageError as error:
            return digest, error.reason

    results: Iterator[tuple[str, Floats | str]] = ordered_map(one, sorted(new.items()), workers)
    for number, (digest, got) in enumerate(results, 1):
        if isinstance(got, str):
            failed[digest] = got
        else:
            fresh[digest] = got
        done(number)
    return fresh, failed


def _from_cache(cache: Path | None, encoder_name: str) -> dict[str, Floats]:
    """What the cache has; nothing where it is another encoder's or broken: it is only a cache."""
    if cache is None or not cache.is_file():
        return {}
    try:
        columns, vectors, meta = read_vectors(cache, ("sha256",))
    except DataError:
        return {}
    return dict(zip(columns["sha256"], vectors, strict=True)) if meta.get("encoder") == encoder_name else {}


def _to_cache(cache: Path, encoder_name: str, known: dict[str, Floats], names: dict[str, str]) -> None:
    order = sorted(known)
    text = {"filepath": [names.get(d, "") for d in order], "sha256": order}
    write_vectors(cache, text, np.stack([known[d] for d in order]), {"encoder": encoder_name})
