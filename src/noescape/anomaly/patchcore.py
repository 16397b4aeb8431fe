"""PatchCore (Roth et al. 2022): distance of each patch to the nearest one in a coreset of good patches."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from noescape.anomaly.coreset import greedy_coreset
from noescape.features.neighbours import NearestNeighbours
from noescape.records import WorkError

Float = npt.NDArray[np.float32]
THINNED = 4096  # rows that a thinned part keeps at least: a small coreset needs more to choose from than itself
BESIDE = 16  # bytes that the choice needs for each row, beside the rows


@dataclass(frozen=True, kw_only=True)
class PatchCore:
    """`bank` `[M, D]` of good patches and, for the re-weighting, `kin` `[M, b]`: the b nearest of each in the bank."""

    bank: Float
    kin: npt.NDArray[np.int64]

    @cached_property
    def _neighbours(self) -> NearestNeighbours:
        return NearestNeighbours(self.bank)

    def distances(self, features: Float) -> tuple[Float, npt.NDArray[np.int64]]:
        """Distance to the nearest bank patch and its row, for each of `[P, D]`."""
        distance, row = self._neighbours.search(features, 1)
        return distance[:, 0], row[:, 0]

    def reweight(self, feature: Float, distance: float, row: int) -> float:
        """The image score from its farthest patch: (1 - softmax weight of the nearest among its kin) x distance
        (the paper's eq. 7): a patch whose nearest bank patch is itself rare counts more."""
        if self.kin.shape[1] < 2:
            return distance
        to_kin = np.sqrt(((self.bank[self.kin[row]] - feature) ** 2).sum(1))
        weights = np.exp(to_kin - to_kin.max())
        return float(distance * (1 - np.exp(distance - to_kin.max()) / weights.sum()))

    def tensors(self) -> dict[str, npt.NDArray[np.generic]]:
        """The arrays to store."""
        return {"bank": self.bank, "kin": self.kin}

    @classmethod
    def from_tensors(cls, tensors: dict[str, npt.NDArray[np.generic]]) -> PatchCore:
        """The inverse of `tensors`; ValueError where they do not belong together."""
        bank = tensors["bank"].astype(np.float32, copy=False)
        kin = tensors["kin"].astype(np.int64, copy=False)
        if bank.ndim != 2 or not len(bank) or kin.ndim != 2 or len(kin) != len(bank) or not kin.shape[1]:
            raise ValueError(f"bank {list(bank.shape)} and kin {list(kin.shape)} must be [M, D] and [M, b]")
        if not np.isfinite(bank).all() or kin.min() < 0 or kin.max() >= len(bank):
            raise ValueError("bank must be finite, and kin must name its rows")
        return cls(bank=bank, kin=kin)


def fit_patchcore(
    batches: Iterable[Float],
    *,
    total: int,
    ratio: float,
    num_neighbors: int,
    memory_budget_mb: int,
    on_step: Callable[[int, int], None] | None = None,
) -> PatchCore:
    """Choose `ratio` of the `total` patches that come in batches `[n, D]`.

    Where all patches and those chosen fit into `memory_budget_mb`, the greedy coreset is exact over all of them. Else
    patches are gathered up to the budget, thinned by the same greedy rule, and so on: a coreset of coresets, within the
    budget (and 32 MB of working memory), at no more than about three times the cost of the exact one. WorkError if the
    coreset itself does not fit.
    """
    wanted = max(1, int(total * ratio))
    pool, rows = np.empty((0, 0), np.float32), 0
    for batch in batches:
        if not pool.size:
            pool = np.empty((_room(wanted, total, ratio, batch.shape[1], memory_budget_mb), batch.shape[1]), np.float32)
        at = 0
        while at < len(batch):
            if rows == len(pool):
                fewer = min(rows // 2, max(2 * wanted, THINNED))
                _keep(pool, np.sort(greedy_coreset(pool, fewer)))
                rows = fewer
            step = min(len(batch) - at, len(pool) - rows)
            pool[rows : rows + step] = batch[at : at + step]
            rows, at = rows + step, at + step
    if not rows:
        raise ValueError("PatchCore needs at least one patch, got none")
    bank = pool[greedy_coreset(pool[:rows], wanted, on_step=on_step)]
    _, kin = NearestNeighbours(bank).search(bank, num_neighbors)
    return PatchCore(bank=bank, kin=kin)


def _room(wanted: int, total: int, ratio: float, dims: int, memory_budget_mb: int) -> int:
    """How many patches to gather at most: all, or what the budget holds beside those that are chosen in the end."""
    budget, one = memory_budget_mb * 2**20, 4 * dims
    room = (budget - wanted * one) // (one + BESIDE)
    if wanted > room // 2 and total > room:
        enough = -(-(min(2 * wanted, total) * (one + BESIDE) + wanted * one) // 2**20)
        raise WorkError(
            f"a coreset of {wanted} patches ({ratio:g} of {total}) does not fit into memory_budget_mb "
            f"{memory_budget_mb}: raise it to {enough} or lower the ratio"
        )
    return min(room, total)


def _keep(pool: Float, rows: npt.NDArray[np.int64]) -> None:
    """Move these rows (ascending) to the start of `pool`, some at a time: no second array."""
    for begin in range(0, len(rows), THINNED):
        some = rows[begin : begin + THINNED]
        pool[begin : begin + len(some)] = pool[some]
