"""ResNet-18/34 and (Wide-)ResNet-50, from a state dict with the usual `layerN.M.convK` names."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from noescape.features.nets.layers import StagedNet, State, folded_conv

EPS = 1e-5
BLOCKS = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3), "resnet50": (3, 4, 6, 3), "wide_resnet50_2": (3, 4, 6, 3)}
STAGES = ("layer1", "layer2", "layer3", "layer4")


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions, or 1x1-3x3-1x1, around a shortcut (He et al. 2016)."""

    def __init__(self, convs: list[nn.Conv2d], shortcut: nn.Conv2d | None) -> None:
        super().__init__()
        self.convs = nn.ModuleList(convs)
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """`[N, C, H, W]` to `[N, O, H/s, W/s]`."""
        y = x
        for i, conv in enumerate(self.convs):
            y = conv(y)
            if i + 1 < len(self.convs):
                y = functional.relu(y)
        return functional.relu(y + (x if self.shortcut is None else self.shortcut(x)))


def build(name: str, state: State, taps: tuple[str, ...]) -> StagedNet:
    """The network `name` with outputs `taps` (`layer1` … `layer4`: strides 4, 8, 16, 32)."""
    stages: dict[str, nn.Module] = {}
    for i, count in enumerate(BLOCKS[name]):
        blocks = [_block(state, f"layer{i + 1}.{j}", 2 if i > 0 and j == 0 else 1) for j in range(count)]
        stages[STAGES[i]] = nn.Sequential(*blocks)
    stem = folded_conv(state, "conv1", "bn1", eps=EPS, stride=2)
    return StagedNet(nn.Sequential(stem, nn.ReLU(), nn.MaxPool2d(3, 2, 1)), stages, taps)


def _block(state: State, p: str, stride: int) -> ResidualBlock:
    bottleneck = f"{p}.conv3.weight" in state
    strided = 2 if bottleneck else 1  # the 3x3 convolution carries the stride
    convs = [
        folded_conv(state, f"{p}.conv{k}", f"{p}.bn{k}", eps=EPS, stride=stride if k == strided else 1)
        for k in range(1, 4 if bottleneck else 3)
    ]
    shortcut = None
    if f"{p}.downsample.0.weight" in state:
        shortcut = folded_conv(state, f"{p}.downsample.0", f"{p}.downsample.1", eps=EPS, stride=stride)
    return ResidualBlock(convs, shortcut)
