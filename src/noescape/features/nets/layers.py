"""Building blocks shared by the network families: folded convolutions and inverted residuals."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

State = dict[str, Tensor]
EARLY = 1.2  # growth of a map up to which its border is expanded with it; at 1.3 a CPU is no faster by it


class SameConv(nn.Conv2d):
    """Convolution with TensorFlow's SAME padding, which is uneven (more at the end) for stride 2.

    `border` is "zeros", as in training, or "reflect": the image goes on as its mirror, so that patches at the border
    see no edge that is not there. Maps too small to be mirrored that far go on as their last row or column.
    """

    border = "zeros"

    def forward(self, x: Tensor) -> Tensor:
        """`[N, C, H, W]` to `[N, O, ceil(H/s), ceil(W/s)]`."""
        left, right, top, bottom = self.margins(x)
        if left == right == top == bottom and (self.border == "zeros" or not left):
            return functional.conv2d(x, self.weight, self.bias, self.stride, left, 1, self.groups)
        return self.inside(self.extended(x))

    def margins(self, x: Tensor) -> tuple[int, int, int, int]:
        """Columns wanted left and right, rows wanted above and below."""
        k, s = self.kernel_size[0], self.stride[0]
        high, wide = (max((-(-int(n) // s) - 1) * s + k - int(n), 0) for n in x.shape[-2:])
        return wide // 2, wide - wide // 2, high // 2, high - high // 2

    def extended(self, x: Tensor) -> Tensor:
        """`x` with its border around it."""
        left, right, top, bottom = self.margins(x)
        mode = "constant"
        if self.border != "zeros":
            mode = "reflect" if bottom < x.shape[-2] and right < x.shape[-1] else "replicate"
        return functional.pad(x, [left, right, top, bottom], mode)

    def inside(self, x: Tensor) -> Tensor:
        """The convolution of what has its border already."""
        return functional.conv2d(x, self.weight, self.bias, self.stride, 0, 1, self.groups)


def folded_conv(state: State, conv: str, norm: str, *, eps: float, stride: int = 1, same: bool = False) -> nn.Conv2d:
    """The convolution `conv` of `state` with the batch norm `norm` folded in (inference only).

    y = g (Wx - m) / sqrt(v + eps) + b  becomes one convolution with weight W g/sqrt(v+eps) and bias
    b - m g/sqrt(v+eps). A kernel of one input channel and size > 1 is depthwise.
    """
    weight = state[f"{conv}.weight"]
    gain = state[f"{norm}.weight"] / torch.sqrt(state[f"{norm}.running_var"] + eps)
    out_channels, in_per_group, k, _ = weight.shape
    groups = out_channels if in_per_group == 1 and k > 1 else 1
    kind = SameConv if same else nn.Conv2d
    folded = kind(in_per_group * groups, out_channels, k, stride, 0 if same else k // 2, groups=groups)
    folded.weight = nn.Parameter(weight * gain[:, None, None, None], requires_grad=False)
    bias = state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * gain
    folded.bias = nn.Parameter(bias, requires_grad=False)
    return folded


class InvertedResidual(nn.Module):
    """Expand (1x1), depthwise, project (1x1), with a shortcut where shapes allow (MobileNetV2, section 3.3)."""

    def __init__(self, expand: nn.Conv2d | None, depthwise: nn.Conv2d, project: nn.Conv2d) -> None:
        super().__init__()
        self.expand, self.depthwise, self.project = expand, depthwise, project
        first = depthwise if expand is None else expand
        self.shortcut = depthwise.stride[0] == 1 and first.in_channels == project.out_channels

    def forward(self, x: Tensor) -> Tensor:
        """`[N, C, H, W]` to `[N, O, H/s, W/s]`."""
        if self.expand is None:
            y = self.depthwise(x)
        elif isinstance(self.depthwise, SameConv) and _mirrors_early(self.depthwise, x):
            y = self.depthwise.inside(functional.relu6(self.expand(self.depthwise.extended(x))))
        else:
            y = self.depthwise(functional.relu6(self.expand(x)))
        y = self.project(functional.relu6(y))
        return torch.add(x, y) if self.shortcut else y


def _mirrors_early(depthwise: SameConv, x: Tensor) -> bool:
    """Whether to mirror a map before it is expanded instead of after.

    A 1x1 convolution looks at one place at a time, so the results are the same bits; a sixth of the channels is
    copied, but the border is expanded too. That pays where the border is small: on large maps.
    """
    if depthwise.border == "zeros":
        return False  # zeros do not stay zeros: the expansion adds its bias
    left, right, top, bottom = depthwise.margins(x)
    height, width = int(x.shape[-2]), int(x.shape[-1])
    return (height + top + bottom) * (width + left + right) <= EARLY * height * width


class StagedNet(nn.Module):
    """A stem and named stages; `forward` returns the outputs of the wanted stages and computes no more than needed."""

    def __init__(self, stem: nn.Module, stages: dict[str, nn.Module], taps: tuple[str, ...]) -> None:
        super().__init__()
        last = max(list(stages).index(tap) for tap in taps)
        self.stem = stem
        self.stages = nn.ModuleList(list(stages.values())[: last + 1])
        self.names = list(stages)[: last + 1]
        self.taps = taps

    def forward(self, x: Tensor) -> list[Tensor]:
        """Normalised `[N, 3, H, W]` to one `[N, C, H/stride, W/stride]` per tap, in the order of `taps`."""
        x = self.stem(x)
        got = {}
        for name, stage in zip(self.names, self.stages, strict=True):
            x = stage(x)
            got[name] = x
        return [got[tap] for tap in self.taps]
