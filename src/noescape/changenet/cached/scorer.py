"""A cached-feature checkpoint at work."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from noescape.changenet.cached.features import Describer, FeatureBook, LazyDescriber, describe_spec, stack_pair
from noescape.changenet.cached.head import Head, probability
from noescape.changenet.images import LoadedPair
from noescape.changenet.input_card import input_size, loader_of
from noescape.changenet.rows import Row
from noescape.changenet.spec import Spec
from noescape.records import BundleError

Float = npt.NDArray[np.float32]


class CachedScorer:
    """Descriptor and head. Scores are probabilities as trained (with the class weights of the spec)."""

    heat_share = 0.5
    kind = "cached"

    def __init__(
        self, path: Path, tensors: dict[str, Tensor], card: dict[str, Any], spec: Spec, images_dir: str | Path
    ) -> None:
        self.card, self.size = card, input_size(card)
        self.heat_scale = (float(card["heat_scale"][0]), float(card["heat_scale"][1]))
        self.loader = loader_of(card, spec, images_dir)
        self.head = head_of(tensors, path)
        self.weights = spec.weights if spec.backbone == card["backbone"] else None
        self.descriptor = describe_spec(card["backbone"], self.weights, self.size)
        if self.descriptor.weights_sha256 != card["weights_sha256"]:
            raise BundleError(f"{path}: the weights of {card['backbone']} here are not those that it was trained with")
        self.lazy = LazyDescriber(self.descriptor, self.weights, spec.dataset.classify.workers)
        if len(self.head.weights) != int(card["dims"]):
            raise BundleError(f"{path}: {len(self.head.weights)} weights, its card says {card['dims']}")

    def load(self, row: Row) -> LoadedPair:
        """The pair at network size, golden registered."""
        return self.loader.load(row)

    def score(self, pairs: Sequence[LoadedPair]) -> list[float]:
        """Probabilities."""
        vectors = np.stack([self.describer(pair) for pair in pairs])
        return [float(p) for p in probability(self.head.logits(vectors))]

    def book(self, folder: Path) -> FeatureBook:
        """The features of many rows, kept in `folder`."""
        return FeatureBook(folder, self.lazy, self.loader)

    def heat(self, pair: LoadedPair) -> Float:
        """Differences by the weights of the head: `[h, w]` of the finest level, the least over several goldens."""
        weights = torch.from_numpy(self.head.weights.astype(np.float32))
        maps = []
        with torch.inference_mode():
            for golden in pair.goldens:
                stacked = torch.from_numpy(stack_pair(pair.input, golden)[None])
                maps.append(self.describer.module.weighted(stacked, weights).numpy())
        return np.asarray(np.min(maps, axis=0), np.float32)

    @property
    def describer(self) -> Describer:
        """The compiled network, built at its first use."""
        return self.lazy.get()


def head_tensors(head: Head) -> dict[str, Tensor]:
    """The head as tensors of a checkpoint (double precision)."""
    return {
        "head.weight": torch.from_numpy(head.weights),
        "head.bias": torch.tensor([head.bias], dtype=torch.float64),
    }


def head_of(tensors: dict[str, Tensor], path: Path) -> Head:
    """The inverse of `head_tensors`; BundleError."""
    weight, bias = tensors.get("head.weight"), tensors.get("head.bias")
    if weight is None or bias is None or weight.ndim != 1 or bias.numel() != 1:
        raise BundleError(f"{path}: expected the head of a cached model, its tensors are others")
    return Head(weights=weight.double().numpy(), bias=float(bias), steps=0)
