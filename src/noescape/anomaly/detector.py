"""One image to one score and one map: cut, embed, measure, put together. The same path for fitting and inspecting."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import cv2
import numpy as np
import numpy.typing as npt

from noescape.anomaly.padim import Padim
from noescape.anomaly.patchcore import PatchCore
from noescape.features.runtime import Embedder
from noescape.imaging import blur_map, resize_map, resize_mask, resize_rgb, stitch_max, tile_boxes
from noescape.records import Box, DataError

Float = npt.NDArray[np.float32]
U8 = npt.NDArray[np.uint8]
OUTSIDE = np.uint8(127)  # grey level shown to the network outside the region of interest


@dataclass(frozen=True, kw_only=True)
class View:
    """How images are shown to the network: `image_size` (height, width) of its input; `tile` and `overlap` in source
    pixels, or no tile: the whole image resized. `roi`: uint8 mask of what is inspected (any size), or None. `grid`:
    patches (rows, columns) of one network input; `sigma`: blur of the map in pixels of the network input;
    `score_share`: the image score is the mean of this share of the highest map values of one network input (the worst
    tile counts), None = the score of the model's paper."""

    image_size: tuple[int, int]
    grid: tuple[int, int]
    tile: int | None
    overlap: int
    sigma: float
    score_share: float | None
    roi: U8 | None = None

    def to_json(self) -> dict[str, Any]:
        """As plain JSON types, without the region of interest (which is stored as an image)."""
        return {
            "image_size": list(self.image_size),
            "grid": list(self.grid),
            "tile": self.tile,
            "overlap": self.overlap,
            "sigma": self.sigma,
            "score_share": self.score_share,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any], roi: U8 | None = None) -> View:
        """The inverse of `to_json`, with the region of interest beside it."""
        return cls(**{**value, "image_size": tuple(value["image_size"]), "grid": tuple(value["grid"])}, roi=roi)

    def boxes(self, height: int, width: int) -> list[Box]:
        """The parts of a source image of this size that are shown one by one."""
        if self.tile is None:
            return [(0, 0, width, height)]
        return tile_boxes(height, width, self.tile, self.overlap)

    def inputs(self, rgb: U8) -> list[U8]:
        """The network inputs of a source image, one for each box; grey outside the region of interest.

        Grey, because a network sees around each patch: a clamp beside the region would else be found inside it.
        """
        boxes = self.boxes(*rgb.shape[:2])
        if self.roi is not None:
            rgb = np.where(self.source_roi(*rgb.shape[:2])[:, :, None], rgb, OUTSIDE)
        return [np.ascontiguousarray(resize_rgb(rgb[y0:y1, x0:x1], *self.image_size)) for x0, y0, x1, y1 in boxes]

    def kept_patches(self, height: int, width: int) -> npt.NDArray[np.bool_] | None:
        """Which patches of a source image of this size touch the region of interest, `[T * P]`; None for all."""
        if self.roi is None:
            return None
        whole = self.source_roi(height, width)
        cells = [
            cv2.resize(whole[y0:y1, x0:x1].astype(np.float32), self.grid[::-1], interpolation=cv2.INTER_AREA).ravel()
            for x0, y0, x1, y1 in self.boxes(height, width)
        ]
        return np.concatenate(cells) > 0

    def source_roi(self, height: int, width: int) -> npt.NDArray[np.bool_]:
        """The region of interest at a source size, `[H, W]`; all True without one."""
        if self.roi is None:
            return np.ones((height, width), np.bool_)
        scaled = cv2.resize((self.roi > 0).astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
        return np.asarray(scaled > 0)

    def assemble(self, patches: Float, height: int, width: int) -> tuple[Float, float]:
        """Patch values `[T * P]` to one map and its score. The map has network size without tiles, else source size.

        Patches grow bilinearly to the network input and are blurred there (both by one matrix for rows and one for
        columns: growing and blurring are linear and separable), and outside the region of interest are 0.
        The score is the mean of the top `score_share`, or the maximum for None.
        """
        boxes = self.boxes(height, width)
        maps = [self._grown(one) for one in np.split(patches, len(boxes))]
        if self.tile is None:
            out = maps[0]
        else:
            placed = [resize_map(m, y1 - y0, x1 - x0) for m, (x0, y0, x1, y1) in zip(maps, boxes, strict=True)]
            out = stitch_max(placed, boxes, height, width)
        inside = None if self.roi is None else self.source_roi(height, width)
        if self.roi is not None:
            out = np.where(self.source_roi(*out.shape), out, np.float32(0))
        if self.score_share is None:
            return out, float(out.max())
        return out, max(
            top_mean(
                m,
                self.score_share,
                None if inside is None else resize_mask(inside[y0:y1, x0:x1].astype(np.uint8), *m.shape) > 0,
            )
            for m, (x0, y0, x1, y1) in zip(maps, boxes, strict=True)
        )

    def _grown(self, patches: Float) -> Float:
        """Patch values `[P]` of one network input as a blurred map of its size."""
        return np.asarray(self._rows @ patches.reshape(self.grid) @ self._columns.T, dtype=np.float32)

    @cached_property
    def _rows(self) -> Float:
        return growth(self.grid[0], self.image_size[0], self.sigma)

    @cached_property
    def _columns(self) -> Float:
        return growth(self.grid[1], self.image_size[1], self.sigma)


def growth(patches: int, pixels: int, sigma: float) -> Float:
    """The matrix `[pixels, patches]` that grows a line of patch values bilinearly and blurs it: `blur_map` of
    `resize_map`, applied to each unit line. Two small products replace 2 x (8 sigma + 1) multiplications per pixel."""
    lines = [blur_map(resize_map(unit[:, None], pixels, 1), sigma) for unit in np.eye(patches, dtype=np.float32)]
    return np.ascontiguousarray(np.concatenate([line.reshape(pixels, 1) for line in lines], axis=1))


class Model(Protocol):
    """What both kinds of model can do with the features of one image."""

    def measure(self, features: Float, kept: npt.NDArray[np.bool_] | None) -> tuple[Float, float | None]:
        """Patch values `[T * P]` (0 where not kept), and the image score where it comes from the patches."""
        ...

    def tensors(self) -> dict[str, npt.NDArray[np.generic]]:
        """The arrays to store."""
        ...


@dataclass(frozen=True, kw_only=True)
class PadimScorer:
    """PaDiM as a `Model`: the image score is the maximum of the finished map."""

    padim: Padim

    def tensors(self) -> dict[str, npt.NDArray[np.generic]]:
        """The arrays to store."""
        return self.padim.tensors()

    def measure(self, features: Float, kept: npt.NDArray[np.bool_] | None) -> tuple[Float, float | None]:
        """See `Model`."""
        if len(features) != len(self.padim.mean):
            raise DataError(
                f"PaDiM learnt {len(self.padim.mean)} positions and this image has {len(features)}: with tiles all "
                "images must have the size of the training images (PatchCore has no such limit)"
            )
        distance = self.padim.distances(features)
        return (distance if kept is None else distance * kept), None


@dataclass(frozen=True, kw_only=True)
class PatchCoreScorer:
    """PatchCore as a `Model`: the image score is the re-weighted distance of its farthest patch."""

    core: PatchCore

    def tensors(self) -> dict[str, npt.NDArray[np.generic]]:
        """The arrays to store."""
        return self.core.tensors()

    def measure(self, features: Float, kept: npt.NDArray[np.bool_] | None) -> tuple[Float, float | None]:
        """See `Model`."""
        distance, row = self.core.distances(features)
        if kept is not None:
            distance = distance * kept
        worst = int(distance.argmax())
        return distance, self.core.reweight(features[worst], float(distance[worst]), int(row[worst]))


@dataclass(frozen=True, kw_only=True)
class Detector:
    """A view, an embedder and a model: everything that turns a picture into a score and a map."""

    view: View
    embedder: Embedder
    model: Model

    def score(self, rgb: U8) -> tuple[float, Float]:
        """Image score and map (frame: see `View.assemble`) of an upright RGB image of any size."""
        return judge_features(self.view, self.model, embed(self.view, self.embedder, rgb), *rgb.shape[:2])


def judge_features(view: View, model: Model, features: Float, height: int, width: int) -> tuple[float, Float]:
    """Image score and map from the features of an image of this source size."""
    patches, paper_score = model.measure(features, view.kept_patches(height, width))
    finished, score = view.assemble(patches, height, width)
    return (paper_score if view.score_share is None and paper_score is not None else score), finished


def top_mean(values: Float, share: float, inside: npt.NDArray[np.bool_] | None = None) -> float:
    """Mean of the highest `share` of every second row and column of a map (blurred maps lose nothing by that).

    `inside` limits it to a part of the map; 0 where that part is empty.
    """
    picked = values[::2, ::2]
    picked = picked.ravel() if inside is None else picked[inside[::2, ::2]]
    if not picked.size:
        return 0.0
    count = max(1, int(picked.size * share))
    return float(np.partition(picked, picked.size - count)[picked.size - count :].mean())


def embed(view: View, embedder: Embedder, rgb: U8) -> Float:
    """Features `[T * P, D]` of an image: its tiles (or itself) one after the other."""
    parts = [embedder(part) for part in view.inputs(rgb)]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)
