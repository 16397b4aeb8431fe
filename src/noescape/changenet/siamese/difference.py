"""How two stacks of feature maps become a verdict: a learnt difference with a classifier, or a distance."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

WINDOW = 7  # feature cells over which the agreement with a golden is averaged


class LearnableDifference(nn.Module):
    """Per level a convolution over input and golden side by side, summed from coarse to fine, then a classifier.

    `[N, C_i, h_i, w_i]` twice to logits `[N, classes]`. `modules` of the levels, from the coarsest, are fused.
    """

    def __init__(
        self, channels: Sequence[int], shapes: Sequence[tuple[int, int]], *, width: int, modules: int, embed: int,
        classes: int = 2,
    ) -> None:  # fmt: skip
        super().__init__()
        self.modules_used = modules
        self.project = nn.ModuleList(nn.Linear(c, width) for c in channels)
        self.differ = nn.ModuleList(_difference(width) for _ in channels)
        self.fuse = nn.Sequential(nn.Conv2d(modules * width, width, 1), nn.BatchNorm2d(width))
        cells = width * shapes[0][0] * shapes[0][1]
        self.head = nn.Sequential(
            nn.Linear(cells, embed), nn.ReLU(), nn.BatchNorm1d(embed),
            nn.Linear(embed, embed), nn.ReLU(), nn.BatchNorm1d(embed),
            nn.Linear(embed, classes),
        )  # fmt: skip

    def forward(self, seen: Sequence[Tensor], golden: Sequence[Tensor]) -> Tensor:
        """Logits."""
        logits: Tensor = self.head(self.fused(seen, golden).flatten(1))
        return logits

    def fused(self, seen: Sequence[Tensor], golden: Sequence[Tensor]) -> Tensor:
        """The map before the classifier, `[N, width, h_1, w_1]`."""
        target = seen[0].shape[-2:]
        carried: Tensor | None = None
        levels: list[Tensor] = []
        for i in reversed(range(len(seen))):
            both = torch.cat([_projected(self.project[i], x) for x in (seen[i], golden[i])], 1)
            own: Tensor = self.differ[i](both)
            if carried is not None:
                own = own + _to(carried, own.shape[-2:])
            carried = own
            levels.append(_to(own, target))
        out: Tensor = self.fuse(torch.cat(levels[: self.modules_used], 1))
        return out


class EuclideanDifference(nn.Module):
    """Each image becomes a short vector; `[N, C_i, h_i, w_i]` twice to distances `[N]`."""

    def __init__(self, channels: Sequence[int], *, vectors: int) -> None:
        super().__init__()
        self.embed = nn.Sequential(
            nn.Linear(2 * sum(channels), 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, vectors)
        )

    def forward(self, seen: Sequence[Tensor], golden: Sequence[Tensor]) -> Tensor:
        """Distances."""
        one, other = (self.embed(_pooled(maps)) for maps in (seen, golden))
        # The square root has no slope at 0, where every pair starts.
        return torch.sqrt((one - other).square().sum(1) + 1e-12)


def agreed(seen: Sequence[Tensor], goldens: Sequence[Sequence[Tensor]]) -> list[Tensor]:
    """One golden out of several, place by place: a mean weighted by how well each agrees with the input thereabouts.

    `goldens[g][i]` is level i of golden g. Only the first carries a gradient.
    """
    out = []
    for i, x in enumerate(seen):
        stack = torch.stack([levels[i] if g == 0 else levels[i].detach() for g, levels in enumerate(goldens)])
        match = (x.detach()[None] * stack.detach()).sum(2, keepdim=True) / x.shape[1] ** 0.5
        near = functional.avg_pool2d(match.flatten(0, 1), WINDOW, 1, WINDOW // 2, count_include_pad=False)
        share = torch.softmax(near.reshape(match.shape), 0)
        out.append((share * stack).sum(0))
    return out


def contrastive_loss(distance: Tensor, defect: Tensor, margin: float) -> Tensor:
    """mean((1 - y) d^2 + y max(margin - d, 0)^2), y = 1 for NO_PASS."""
    y = defect.float()
    return ((1 - y) * distance.square() + y * (margin - distance).clamp(min=0).square()).mean()


def _difference(width: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(2 * width, width, 3, padding=1), nn.ReLU(), nn.BatchNorm2d(width),
        nn.Conv2d(width, width, 3, padding=1), nn.ReLU(),
    )  # fmt: skip


def _projected(linear: nn.Module, x: Tensor) -> Tensor:
    """A linear layer over channels."""
    out: Tensor = linear(x.permute(0, 2, 3, 1))
    return out.permute(0, 3, 1, 2)


def _pooled(maps: Sequence[Tensor]) -> Tensor:
    return torch.cat([part for m in maps for part in (m.mean((2, 3)), m.amax((2, 3)))], 1)


def _to(x: Tensor, size: Sequence[int]) -> Tensor:
    height, width = int(size[0]), int(size[1])
    if x.shape[-2:] == (height, width):
        return x
    return functional.interpolate(x, size=(height, width), mode="bilinear", align_corners=False)
