"""A small segmenter on frozen features, the yardstick of the gain: quick to train, sensitive to what it is taught.

Frozen EfficientNet-Lite0 stages of stride 2, 4, 8 and 16; a head of 16 channels answers on a grid of stride 4. Features
are kept as rows of cells, so that the 1 x 1 layers on them are plain matrix products on memory as it lies: about 19
CPU-ms a training step, where gathering and convolving whole maps took 35.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from noescape.features.backbones import backbone, load_net
from noescape.features.runtime import OpenVinoEmbedder, convert_to_openvino

SIDE = 256
GRID = SIDE // 4
TAPS = ("blocks.0", "blocks.1", "blocks.2", "blocks.4")
CHANNELS = (4 * 16 + 24, 40, 112)  # stride 2 (2 x 2 cells side by side) with stride 4; stride 8; stride 16
GRIDS = (GRID, GRID // 2, GRID // 4)
BATCH = 8  # half of it good pictures, half defects
COVERED = 0.3  # share of a grid cell from which on it counts as defect
Rgb: TypeAlias = npt.NDArray[np.uint8]
Bool: TypeAlias = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, eq=False)
class Taught:
    """Pictures as the segmenter sees them: per level [N, cells, channels], and the truth bool [N, GRID, GRID]."""

    features: tuple[Tensor, ...]
    truth: Tensor

    def __len__(self) -> int:
        return len(self.truth)


class _Levels(nn.Module):
    """Pixels uint8 [1, H, W, 3] to the three levels of cells, laid end to end."""

    mean: Tensor
    std: Tensor

    def __init__(self, net: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.net = net
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1))

    def forward(self, rgb: Tensor) -> Tensor:
        two, four, eight, sixteen = self.net((rgb.permute(0, 3, 1, 2).float() - self.mean) / self.std)
        near = torch.cat([functional.pixel_unshuffle(two, 2), four], dim=1)
        return torch.cat([level.permute(0, 2, 3, 1).flatten() for level in (near, eight, sixteen)])


class Extractor:
    """The frozen network, once compiled; about 15 CPU-ms a picture."""

    def __init__(self, weights: Path | None = None) -> None:
        row = backbone("efficientnet_lite0")
        levels = _Levels(load_net(row, TAPS, (SIDE, SIDE), weights), row.mean, row.std).eval()
        self._run = OpenVinoEmbedder(convert_to_openvino(levels, (SIDE, SIDE)))

    def __call__(self, pictures: Sequence[Rgb], masks: Sequence[Bool]) -> Taught:
        """Features (float16) and truth of pictures [SIDE, SIDE, 3] and masks [SIDE, SIDE]."""
        kept = [torch.empty(len(pictures), g * g, c, dtype=torch.float16) for g, c in zip(GRIDS, CHANNELS, strict=True)]
        sizes = [g * g * c for g, c in zip(GRIDS, CHANNELS, strict=True)]
        for i, picture in enumerate(pictures):
            flat = torch.from_numpy(self._run(picture))
            for level, part in zip(kept, torch.split(flat, sizes), strict=True):
                level[i] = part.view(level[i].shape)
        return Taught(features=tuple(kept), truth=on_grid(masks))


def on_grid(masks: Sequence[Bool]) -> Tensor:
    """Truth per cell; a defect too small to cover any cell keeps the cells that it covers best."""
    share = functional.avg_pool2d(torch.from_numpy(np.stack(masks).astype(np.float32))[:, None], 4)[:, 0]
    truth = share > COVERED
    peak = share.amax(dim=(1, 2), keepdim=True)
    tiny = ~truth.any(dim=(1, 2), keepdim=True) & (peak > 0)
    return torch.where(tiny, share >= peak * 0.7, truth)


class _Head(nn.Module):
    """Per level one list of cell rows [cells, channels], a picture each, to logits [N, GRID, GRID]."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.levels = nn.ModuleList(nn.Linear(c, width) for c in CHANNELS)
        self.around = nn.Conv2d(width, width, 3, 1, 2, dilation=2)
        self.norm = nn.GroupNorm(4, width)
        self.mix = nn.Conv2d(width, width, 3, 1, 1)
        self.out = nn.Linear(width, 1)
        nn.init.constant_(self.out.bias, -3)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, features: Sequence[Sequence[Tensor]]) -> Tensor:
        near, middle, deep = (
            torch.stack([layer(cells) for cells in rows]).view(len(rows), grid, grid, -1).permute(0, 3, 1, 2)
            for layer, rows, grid in zip(self.levels, features, GRIDS, strict=True)
        )
        deep = deep + self.around(functional.silu(deep))
        z = functional.silu(self.norm(near + _doubled(middle + _doubled(deep))))
        z = functional.silu(self.mix(z)) + z
        out: Tensor = self.out(z.permute(0, 2, 3, 1))
        return out[..., 0]


class Segmenter:
    """A trained head with the normalisation of its features."""

    def __init__(self, clean: Taught) -> None:
        self._norm = []
        for f in clean.features:
            values = f.float()
            self._norm.append((values.mean((0, 1)), 1 / (values.std((0, 1)) + 1e-3)))
        self._head = _Head()

    def normed(self, pictures: Taught) -> Taught:
        """The pictures as `train` wants them: float32, and twice the memory (1.7 MB each)."""
        features = tuple((f.float() - m) * s for f, (m, s) in zip(pictures.features, self._norm, strict=True))
        return Taught(features=features, truth=pictures.truth.float())

    def train(
        self,
        clean: Taught,
        real: Sequence[Taught],
        made: Taught | None,
        *,
        steps: int,
        seed: int,
        real_share: float = 0.5,
    ) -> None:
        """Half of each batch good pictures; of the defects `real_share` real ones (types evenly), the rest made.

        All of them `normed`. Starts from scratch each time.
        """
        torch.manual_seed(seed)
        rng = np.random.default_rng(seed)
        self._head = _Head()
        optimiser = torch.optim.AdamW(self._head.parameters(), 4e-3, weight_decay=1e-3, fused=True)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, total_steps=steps)
        for _ in range(steps):
            chosen = [(clean, int(rng.integers(len(clean)))) for _ in range(BATCH // 2)]
            for _ in range(BATCH // 2):
                source = made if made is not None and rng.random() >= real_share else real[int(rng.integers(len(real)))]
                chosen.append((source, int(rng.integers(len(source)))))
            truth = torch.stack([s.truth[i] for s, i in chosen])
            logits = self._head([[s.features[k][i] for s, i in chosen] for k in range(len(GRIDS))])
            optimiser.zero_grad()
            _loss(logits, truth).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()

    @torch.inference_mode()
    def score(self, pictures: Taught) -> npt.NDArray[np.float32]:
        """The chance of a defect per cell of `normed` pictures, float32 [N, GRID, GRID]."""
        self._head.eval()
        out = []
        for start in range(0, len(pictures), 16):
            out.append(torch.sigmoid(self._head([f[start : start + 16] for f in pictures.features])))
        values: npt.NDArray[np.float32] = torch.cat(out).numpy()
        return values


def _doubled(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def _loss(logits: Tensor, truth: Tensor) -> Tensor:
    """Cross entropy per cell, and Dice per defective picture, so that small defects count."""
    p = torch.sigmoid(logits)
    entropy = functional.binary_cross_entropy_with_logits(logits, truth)
    overlap = (p * truth).flatten(1).sum(1)
    dice = 1 - (2 * overlap + 1) / ((p + truth).flatten(1).sum(1) + 1)
    return entropy * 2 + dice[BATCH // 2 :].mean() * 0.5
