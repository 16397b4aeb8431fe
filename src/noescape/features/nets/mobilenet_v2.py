"""MobileNetV2 1.0, from a state dict with the widely used `features.N.conv.M` names."""

from __future__ import annotations

from torch import nn

from noescape.features.nets.layers import InvertedResidual, StagedNet, State, folded_conv

EPS = 1e-5
REPEATS = (1, 2, 3, 4, 3, 3, 1)
STRIDES = (1, 2, 2, 2, 1, 2, 1)
STAGES = tuple(f"blocks.{i}" for i in range(7))


def build(name: str, state: State, taps: tuple[str, ...]) -> StagedNet:
    """The network with outputs `taps` (`blocks.0` … `blocks.6`: strides 2, 4, 8, 16, 16, 32, 32)."""
    stages: dict[str, nn.Module] = {}
    index = 1
    for i, (stride, repeats) in enumerate(zip(STRIDES, REPEATS, strict=True)):
        blocks = []
        for j in range(repeats):
            blocks.append(_block(state, f"features.{index}.conv", stride if j == 0 else 1, expands=i > 0))
            index += 1
        stages[STAGES[i]] = nn.Sequential(*blocks)
    stem = folded_conv(state, "features.0.0", "features.0.1", eps=EPS, stride=2)
    return StagedNet(nn.Sequential(stem, nn.ReLU6()), stages, taps)


def _block(state: State, p: str, stride: int, *, expands: bool) -> InvertedResidual:
    if not expands:
        depthwise = folded_conv(state, f"{p}.0.0", f"{p}.0.1", eps=EPS, stride=stride)
        return InvertedResidual(None, depthwise, folded_conv(state, f"{p}.1", f"{p}.2", eps=EPS))
    expand = folded_conv(state, f"{p}.0.0", f"{p}.0.1", eps=EPS)
    depthwise = folded_conv(state, f"{p}.1.0", f"{p}.1.1", eps=EPS, stride=stride)
    return InvertedResidual(expand, depthwise, folded_conv(state, f"{p}.2", f"{p}.3", eps=EPS))
