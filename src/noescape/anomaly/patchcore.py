"""PatchCore (Roth et al. 2022): distance of each patch to the nearest one in a coreset of good patches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from noescape.anomaly.coreset import greedy_coreset
from noescape.features.neighbours import NearestNeighbours
from noescape.records import WorkError

Float = npt.NDArray[np.float32]
THINNED = 4096  # rows that a thinned part keeps at least: a small coreset needs more to choose from than itself


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

    Where all patches and the selection's working copy fit into `memory_budget_mb`, the greedy coreset is exact over
    all of them. Else patches are gathered up to the budget, thinned by the same greedy rule, and so on: a coreset of
    coresets, within the budget (and 32 MB of working memory), at no more than about three times the cost of the
    exact one. WorkError if the coreset itself does not fit.
    """
    wanted = max(1, int(total * ratio))
    kept: list[Float] = []
    rows = 0
    for piece, limit in _pieces(batches, memory_budget_mb):
        if wanted > limit // 2 and total > limit:
            enough = -(-min(2 * wanted, total) * 8 * piece.shape[1] // 2**20)
            raise WorkError(
                f"a coreset of {wanted} patches ({ratio:g} of {total}) does not fit into memory_budget_mb "
                f"{memory_budget_mb}: raise it to {enough} or lower the ratio"
            )
        if rows + len(piece) > limit and rows:
            thin = _gather(kept, rows)
            fewer = min(limit // 2, max(2 * wanted, THINNED))
            kept = [thin[np.sort(greedy_coreset(thin, fewer))]]
            rows = len(kept[0])
        kept.append(piece)
        rows += len(piece)
    pool = _gather(kept, rows)
    bank = pool[greedy_coreset(pool, wanted, on_step=on_step)]
    _, kin = NearestNeighbours(bank).search(bank, num_neighbors)
    return PatchCore(bank=bank, kin=kin)


def _pieces(batches: Iterable[Float], memory_budget_mb: int) -> Iterator[tuple[Float, int]]:
    """The batches in pieces that leave room for the patches before them; with each, how many rows fit in all."""
    for batch in batches:
        limit = max(2, memory_budget_mb * 2**20 // (2 * 4 * batch.shape[1]))
        step = max(1, limit // 4)
        for begin in range(0, len(batch), step):
            yield batch[begin : begin + step], limit


def _gather(parts: list[Float], rows: int) -> Float:
    """One array of all parts, emptying the list as it goes, so that both need not fit at once."""
    if not rows:
        raise ValueError("PatchCore needs at least one patch, got none")
    out = np.empty((rows, parts[0].shape[1]), np.float32)
    at = rows
    while parts:
        part = parts.pop()
        out[at - len(part) : at] = part
        at -= len(part)
    return out
