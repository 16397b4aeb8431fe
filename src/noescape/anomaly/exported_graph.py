"""The whole detector as one graph for other runtimes: RGB bytes of network size in, anomaly map and score out.

What the native path does in three libraries (OpenVINO, OpenCV, numpy) is written here in torch operations that
every exporter knows. Letters: P patches of one input, D feature dimensions, M bank vectors, H W the network input.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from noescape.anomaly.detector import OUTSIDE, Model, PadimScorer, PatchCoreScorer, View
from noescape.anomaly.padim import Padim
from noescape.anomaly.patchcore import PatchCore
from noescape.imaging import blur_map, resize_map
from noescape.records import UsageError

Float = npt.NDArray[np.float32]
# Bank vectors compared at a time: a block of distances of 1,024 patches is 8 MB, whatever the size of the bank.
BANK_BLOCK = 2048


class DetectorGraph(nn.Module):
    """RGB uint8 `[1, H, W, 3]` to the map float32 `[H, W]` and the image score, a float32 scalar.

    Equal, to rounding, to `Detector.score` of the same view without tiles on an image of network size.
    """

    rows: Tensor
    columns: Tensor
    kept: Tensor | None
    inside: Tensor | None
    sampled: Tensor | None

    def __init__(self, embedding: nn.Module, model: Model, view: View) -> None:
        """`embedding` gives `[P, D]`. UsageError for what one network input cannot say (see `refuse_the_unsayable`)."""
        super().__init__()
        refuse_the_unsayable(model, view)
        self.embedding = embedding
        self.measure: NearestInBank | Gaussians = (
            Gaussians(model.padim)
            if isinstance(model, PadimScorer)
            else NearestInBank(_core(model), reweighted=view.score_share is None)
        )
        self.grid, self.share = view.grid, view.score_share
        down, across = (growth(g, n, view.sigma) for g, n in zip(view.grid, view.image_size, strict=True))
        self.register_buffer("rows", torch.from_numpy(down))
        self.register_buffer("columns", torch.from_numpy(np.ascontiguousarray(across.T)))
        kept = view.kept_patches(*view.image_size)
        inside = None if kept is None else view.source_roi(*view.image_size)
        self.register_buffer("kept", None if kept is None else torch.from_numpy(kept.astype(np.float32)))
        self.register_buffer("inside", None if inside is None else torch.from_numpy(inside))
        self.register_buffer("sampled", None if inside is None else _sampled(inside))

    def forward(self, rgb: Tensor) -> tuple[Tensor, Tensor]:
        """Judge one image."""
        if self.inside is not None:
            rgb = torch.where(self.inside[None, :, :, None], rgb, torch.full_like(rgb, int(OUTSIDE)))
        features = self.embedding(rgb)
        patches, nearest = self.measure(features)
        if self.kept is not None:
            patches = patches * self.kept
        anomaly_map = self.rows @ patches.reshape(self.grid) @ self.columns
        if self.inside is not None:
            anomaly_map = torch.where(self.inside, anomaly_map, torch.zeros_like(anomaly_map))
        if isinstance(self.measure, NearestInBank) and self.share is None:
            return anomaly_map, self.measure.reweight(features, patches, nearest)
        return anomaly_map, self._score(anomaly_map)

    def _score(self, anomaly_map: Tensor) -> Tensor:
        """Mean of the top share of every second row and column (`detector.top_mean`), or the maximum."""
        if self.share is None:
            return anomaly_map.reshape(-1).amax(0)
        picked = anomaly_map[::2, ::2].reshape(-1)
        if self.sampled is not None:
            picked = picked.index_select(0, self.sampled)
        count = max(1, int(picked.shape[0] * self.share))
        return picked.topk(count).values.mean()


class NearestInBank(nn.Module):
    """PatchCore: the distance of each patch to the nearest vector of the bank, and which that is.

    The bank is searched in blocks by |b|² - 2 x·b, both taken relative to the bank's mean so that little cancels; the
    distance to the vector found is then computed as it is written. Memory: the bank (twice for the re-weighted score)
    and one block of P x 2048.
    """

    middle: Tensor
    bank: Tensor | None
    kin: Tensor | None

    def __init__(self, core: PatchCore, *, reweighted: bool) -> None:
        super().__init__()
        bank = torch.from_numpy(np.ascontiguousarray(core.bank))
        with_kin = reweighted and core.kin.shape[1] > 1
        self.register_buffer("middle", bank.mean(0))
        bank = bank - self.middle
        self.register_buffer("bank", bank if with_kin else None)
        self.register_buffer("kin", torch.from_numpy(np.ascontiguousarray(core.kin)) if with_kin else None)
        self.starts = range(0, len(bank), BANK_BLOCK)
        for start in self.starts:
            block = bank[start : start + BANK_BLOCK].clone()
            self.register_buffer(f"block_{start}", block)
            self.register_buffer(f"squares_{start}", (block.double() ** 2).sum(1).float())

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """`[P, D]` to distances `[P]` and bank rows `[P]`."""
        x = features - self.middle
        distance, row = self._nearest(x, 0)
        for start in self.starts[1:]:
            other, other_row = self._nearest(x, start)
            row = torch.where(other < distance, other_row, row)
            distance = torch.minimum(distance, other)
        return distance, row

    def _nearest(self, x: Tensor, start: int) -> tuple[Tensor, Tensor]:
        block = getattr(self, f"block_{start}")
        row = functional.linear(-2 * x, block, getattr(self, f"squares_{start}")).argmin(1)
        return _length(x - block.index_select(0, row)), row + start

    def reweight(self, features: Tensor, patches: Tensor, nearest: Tensor) -> Tensor:
        """The image score of the paper's eq. 7 (see `PatchCore.reweight`): a scalar."""
        worst = torch.argmax(patches, 0, keepdim=True)
        distance = patches.index_select(0, worst)[0]
        if self.kin is None or self.bank is None:
            return distance
        kin = self.kin.index_select(0, nearest.index_select(0, worst))[0]
        to_kin = _length(self.bank.index_select(0, kin) - (features.index_select(0, worst) - self.middle))
        farthest = to_kin.amax(0)
        return distance * (1 - torch.exp(distance - farthest) / torch.exp(to_kin - farthest).sum())


class Gaussians(nn.Module):
    """PaDiM: the Mahalanobis distance of each patch to the Gaussian of its position (see `Padim.distances`)."""

    mean: Tensor
    basis: Tensor
    channels: Tensor

    def __init__(self, padim: Padim) -> None:
        super().__init__()
        self.register_buffer("mean", torch.from_numpy(np.ascontiguousarray(padim.mean)))
        self.register_buffer("basis", torch.from_numpy(np.ascontiguousarray(padim.basis)))
        self.register_buffer("channels", torch.from_numpy(np.ascontiguousarray(padim.channels)))
        self.ridge = padim.ridge

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """`[P, D]` to distances `[P]`; the second value has no meaning here."""
        centred = features.index_select(1, self.channels) - self.mean
        along = torch.matmul(self.basis, centred[:, :, None])[:, :, 0]
        squared = (centred * centred).sum(1) - (along * along).sum(1)
        return (squared.clamp(min=0) / self.ridge).sqrt(), self.channels


def growth(cells: int, pixels: int, sigma: float) -> Float:
    """What growing `cells` patches to `pixels` and blurring do along one axis, as a matrix `[pixels, cells]`.

    Both are linear and separable, so that a whole map is `growth(rows) @ patches @ growth(columns)'`. The matrix is
    what `resize_map` and `blur_map` make of one patch at a time: kernel and mirrored border are theirs by
    construction, and the runtimes need no padding mode that some of them lack.
    """
    out = np.empty((pixels, cells), np.float32)
    for cell in range(cells):
        one = np.zeros((cells, 8), np.float32)  # constant along the other axis, where a blur then changes nothing
        one[cell] = 1
        out[:, cell] = blur_map(resize_map(one, pixels, 8), sigma)[:, 0]
    return out


def refuse_the_unsayable(model: Model, view: View) -> None:
    """UsageError where the answer for an image is not made of answers for single network inputs.

    With tiles that is so for PaDiM (a Gaussian for each position of the whole image), for a region of interest (it
    lies differently in each tile) and for PatchCore's own score (it is taken from the worst patch of all tiles).
    """
    reasons = []
    cells = view.grid[0] * view.grid[1]
    if isinstance(model, PadimScorer) and len(model.padim.mean) != cells:
        reasons.append(f"PaDiM learnt {len(model.padim.mean)} positions over all tiles, one tile has {cells}")
    if view.tile is not None and view.roi is not None:
        reasons.append("the region of interest lies differently in each tile")
    if view.tile is not None and view.score_share is None and isinstance(model, PatchCoreScorer):
        reasons.append("the re-weighted score (score_share: null) belongs to the worst patch of all tiles")
    if reasons:
        raise UsageError(
            f"one graph for one tile cannot give this model's answers: {'; '.join(reasons)}; "
            "--format bundle exports it as it is"
        )


def _core(model: Model) -> PatchCore:
    if not isinstance(model, PatchCoreScorer):
        raise TypeError(f"expected a PaDiM or PatchCore model, got {type(model).__name__}")
    return model.core


def _sampled(inside: npt.NDArray[np.bool_]) -> Tensor:
    """Where a map sampled at every second row and column lies in the region of interest, as indices."""
    found = np.flatnonzero(inside[::2, ::2])
    if not len(found):
        raise UsageError("the region of interest vanishes at the size of the network input: nothing to export")
    return torch.from_numpy(found)


def _length(vectors: Tensor) -> Tensor:
    return (vectors * vectors).sum(1).sqrt()
