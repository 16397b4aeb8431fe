"""EfficientNet-Lite0/1/2 (no squeeze-and-excite, ReLU6), from the state dict of the PyPI weight wheels."""

from __future__ import annotations

import math

from torch import nn

from noescape.features.nets.layers import InvertedResidual, StagedNet, State, folded_conv

EPS = 1e-3
STRIDES = (1, 2, 2, 2, 1, 2, 1)  # of the seven stages
REPEATS = (1, 2, 2, 3, 3, 4, 1)
DEPTH = {"efficientnet_lite0": 1.0, "efficientnet_lite1": 1.1, "efficientnet_lite2": 1.2}
STAGES = tuple(f"blocks.{i}" for i in range(7))


def build(name: str, state: State, taps: tuple[str, ...]) -> StagedNet:
    """The network `name` with outputs `taps` (`blocks.0` … `blocks.6`: strides 2, 4, 8, 16, 16, 32, 32)."""
    depth = DEPTH[name]
    stages: dict[str, nn.Module] = {}
    block = 0
    for i, (stride, repeats) in enumerate(zip(STRIDES, REPEATS, strict=True)):
        # The first and the last stage are not deepened (EfficientNet-Lite's fix_first_last_block).
        count = repeats if i in (0, 6) else math.ceil(depth * repeats)
        blocks = [_block(state, f"_blocks.{block + j}", stride if j == 0 else 1) for j in range(count)]
        stages[STAGES[i]] = nn.Sequential(*blocks)
        block += count
    stem = folded_conv(state, "_conv_stem", "_bn0", eps=EPS, stride=2, same=True)
    return StagedNet(nn.Sequential(stem, nn.ReLU6()), stages, taps)


def _block(state: State, prefix: str, stride: int) -> InvertedResidual:
    expand = None
    if f"{prefix}._expand_conv.weight" in state:
        expand = folded_conv(state, f"{prefix}._expand_conv", f"{prefix}._bn0", eps=EPS)
    depthwise = folded_conv(state, f"{prefix}._depthwise_conv", f"{prefix}._bn1", eps=EPS, stride=stride, same=True)
    return InvertedResidual(expand, depthwise, folded_conv(state, f"{prefix}._project_conv", f"{prefix}._bn2", eps=EPS))
