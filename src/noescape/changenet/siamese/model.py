"""The siamese classifier: one backbone for input and golden, differences at four levels, a score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from noescape.changenet.siamese.difference import EuclideanDifference, LearnableDifference, agreed
from noescape.changenet.siamese.levels import Levels, build_levels
from noescape.changenet.spec import Spec


@dataclass(frozen=True, kw_only=True)
class SiameseShape:
    """What the network looks like; part of a checkpoint's card."""

    backbone: str
    size: tuple[int, int]
    difference: str
    modules: int
    width: int
    embed_dec: int
    vectors: int

    @classmethod
    def of(cls, spec: Spec) -> SiameseShape:
        """From a spec."""
        model = spec.model.classify
        return cls(
            backbone=spec.backbone,
            size=spec.dataset.classify.size,
            difference=model.difference_module,
            modules=model.learnable_difference_modules,
            width=spec.model.decode_head.decoder_params.embed_dim,
            embed_dec=model.embed_dec,
            vectors=model.embedding_vectors,
        )

    def to_json(self) -> dict[str, Any]:
        """As plain JSON types."""
        return {**self.__dict__, "size": list(self.size)}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> SiameseShape:
        """The inverse."""
        return cls(**{**value, "size": (int(value["size"][0]), int(value["size"][1]))})


class Siamese(nn.Module):
    """Input float `[N, 3, H, W]` and goldens `[N, G, 3, H, W]`, 0..255, to what the loss wants: logits `[N, 2]`
    (learnable) or distances `[N]` (euclidean)."""

    def __init__(self, levels: Levels, shape: SiameseShape) -> None:
        super().__init__()
        self.levels, self.shape = levels, shape
        self.learnable = shape.difference == "learnable"
        self.difference: LearnableDifference | EuclideanDifference = (
            LearnableDifference(
                levels.channels, levels.shapes, width=shape.width, modules=shape.modules, embed=shape.embed_dec
            )
            if self.learnable
            else EuclideanDifference(levels.channels, vectors=shape.vectors)
        )

    def forward(self, image: Tensor, goldens: Tensor) -> Tensor:
        """Logits or distances."""
        seen, golden = self.features(image, goldens)
        out: Tensor = self.difference(seen, golden)
        return out

    def features(self, image: Tensor, goldens: Tensor) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
        """The levels of the input and of its golden, which is made of several where there are."""
        n, count = goldens.shape[:2]
        maps = self.levels(torch.cat([image, goldens.transpose(0, 1).flatten(0, 1)], 0))
        seen = [m[:n] for m in maps]
        each = [[m[n * (g + 1) : n * (g + 2)] for m in maps] for g in range(count)]
        return seen, each[0] if count == 1 else agreed(seen, each)

    def scores(self, out: Tensor) -> Tensor:
        """What `forward` gave as scores, float64 `[N]`: the chance of NO_PASS, or the distance."""
        wide = out.double()
        return torch.sigmoid(wide[:, 1] - wide[:, 0]) if self.learnable else wide


def build_siamese(shape: SiameseShape, weights: Path | None, *, seed: int, frozen: bool = False) -> Siamese:
    """The network with pretrained backbone and a fresh head, drawn from `seed`; the backbone learns unless `frozen`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Siamese(build_levels(shape.backbone, shape.size, weights), shape)
    model.levels.requires_grad_(not frozen)
    return model
