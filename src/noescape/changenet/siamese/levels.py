"""Four feature maps of an image, fine to coarse, from any backbone that is known here.

Convolutional backbones give strides 4, 8, 16 and 32 as they are. A transformer has one stride only: the maps of four
depths are enlarged 4 and 2 times, kept, and halved, without further weights.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional

from noescape.changenet.siamese import cradio
from noescape.features.backbones import Backbone, backbone, load_net
from noescape.features.weights import WHEELS
from noescape.records import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

ALIASES = {
    "resnet_18": "resnet18",
    "resnet_34": "resnet34",
    "resnet_50": "resnet50",
    "vit_small_patch16_224": "vit_small_patch16",
    "vit_base_patch16_224": "vit_base_patch16",
    "vit_small_nvdinov2": "dinov2_vits14",
    "vit_base_nvdinov2": "dinov2_vitb14",
    "vit_large_nvdinov2": "dinov2_vitl14",
}
_STAGES = {
    "efficientnet_lite": ("blocks.1", "blocks.2", "blocks.4", "blocks.6"),
    "mobilenet_v2": ("blocks.1", "blocks.2", "blocks.4", "blocks.6"),
    "resnet": ("layer1", "layer2", "layer3", "layer4"),
}


class Levels(nn.Module):
    """RGB float `[N, 3, H, W]` on the 0..255 scale to four maps `[N, C_i, H/s_i, W/s_i]`; `channels` and `shapes`."""

    mean: Tensor
    scale: Tensor

    def __init__(self, net: nn.Module, mean: tuple[float, ...], std: tuple[float, ...], size: tuple[int, int],
                 rescaled: bool) -> None:  # fmt: skip
        super().__init__()
        self.net, self.rescaled = net, rescaled
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("scale", (1 / torch.tensor(std)).view(1, 3, 1, 1))
        with torch.no_grad():
            maps = self(torch.zeros(1, 3, *size))
        self.channels = tuple(int(m.shape[1]) for m in maps)
        self.shapes = tuple((int(m.shape[2]), int(m.shape[3])) for m in maps)

    def forward(self, rgb: Tensor) -> list[Tensor]:
        """The four maps."""
        maps: list[Tensor] = self.net((rgb - self.mean) * self.scale)
        if not self.rescaled:
            return maps
        four, two, one, half = maps
        grown = [_grown(four, 4), _grown(two, 2), one]
        return [*grown, functional.avg_pool2d(half, 2, ceil_mode=True)]


def build_levels(name: str, size: tuple[int, int], weights: Path | None) -> Levels:
    """The levels of the backbone `name` for inputs of `size` (height, width).

    UsageError for a name that is not known (with the nearest), one whose weights are not here, or a size that it cannot
    take.
    """
    if name in cradio.NAMES:
        _divisible(name, size, cradio.PATCH)
        net = cradio.load(_required(name, weights), size)
        return Levels(net, cradio.MEAN, cradio.STD, size, rescaled=True)
    row = backbone(ALIASES.get(name, name))
    if row.name not in WHEELS:
        _required(name, weights)
    _divisible(name, size, row.multiple)
    taps = _taps(row)
    return Levels(load_net(row, taps, size, weights), row.mean, row.std, size, rescaled=row.family == "vit")


def _taps(row: Backbone) -> tuple[str, ...]:
    if row.family != "vit":
        return _STAGES[row.family]
    depth = len(row.taps)
    return tuple(f"blocks.{depth * part // 4 - 1}" for part in (1, 2, 3, 4))


def _required(name: str, weights: Path | None) -> Path:
    if weights is None:
        raise UsageError(
            f"backbone {name!r} needs a local weights file: model.backbone.pretrained_backbone_path (or "
            "noescape.weights); for the offline backbone set noescape.backbone=efficientnet_lite0"
        )
    if not weights.is_file():
        raise UsageError(f"backbone {name!r}: weights file {weights} does not exist")
    return weights


def _divisible(name: str, size: tuple[int, int], multiple: int) -> None:
    if size[0] % multiple or size[1] % multiple:
        raise UsageError(
            f"backbone {name} takes inputs whose height and width are multiples of {multiple}, got "
            f"{size[1]}x{size[0]} (image_width x image_height, all lights together)"
        )


def _grown(x: Tensor, times: int) -> Tensor:
    interpolate: Callable[..., Tensor] = functional.interpolate
    return interpolate(x, scale_factor=times, mode="bilinear", align_corners=False)
