"""Which rows of the pool are worth labelling and learning from: four ways to choose, each by name.

knn        the nearest of each weak KPI sample, at least so similar
hard       those the model gets most wrong, as many defects as good ones
uncertain  those nearest to the threshold, as many defects as good ones
random     any, by the seed
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from noescape.features.neighbours import NearestNeighbours
from noescape.records import UsageError

WAYS = ("knn", "hard", "uncertain", "random")
SIGLIP_CUTOFF = 0.9
# A cosine of .9 between plain pooled features of EfficientNet-Lite0 rejected 95% of all pairs of cells (measured on
# ELPV). There is no SigLIP offline to measure its own share with, so this stands for it.
REJECTED_SHARE = 0.95
MOST_PAIRS = 1 << 24  # beyond, the quantile is taken over evenly spread rows of the pool

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, eq=False)
class Nearest:
    """Of the pool: `candidates` (places, distinct, in any target's top-k), each with its best `similarity` and the
    `target` it is nearest to. `all_similarities` are those of every pair, repeats with them."""

    candidates: npt.NDArray[np.int64]
    similarity: Doubles
    target: npt.NDArray[np.int64]
    all_similarities: Doubles

    @property
    def pairs(self) -> int:
        """Targets times neighbours."""
        return len(self.all_similarities)


def units(targets: Floats, pool: Floats, *, centred: bool) -> tuple[Floats, Floats]:
    """Both as unit vectors; `centred`: after taking the pool's mean from both, what they all have in common."""
    mean = pool.mean(axis=0, keepdims=True) if centred else np.float32(0)
    out = []
    for vectors in (targets - mean, pool - mean):
        length = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        out.append(np.asarray(vectors / length, np.float32))
    return out[0], out[1]


def similarity_quantile(targets: Floats, pool: Floats, share: float = REJECTED_SHARE) -> float:
    """The cosine under which this share of all pairs of a target and a pool row lies; both as unit vectors."""
    step = max(1, -(-len(targets) * len(pool) // MOST_PAIRS))
    return float(np.quantile(targets @ pool[::step].T, share))


def nearest(targets: Floats, pool: Floats, top_k: int) -> Nearest:
    """The `top_k` nearest pool rows of each target by cosine (unit vectors). Time O(T N D), memory a block."""
    distances, places = NearestNeighbours(pool).search(targets, top_k)
    similarity = 1 - np.asarray(distances, np.float64).ravel() ** 2 / 2
    flat = places.ravel()
    of = np.repeat(np.arange(len(targets)), places.shape[1])
    order = np.lexsort((of, -similarity, flat))
    first = np.unique(flat[order], return_index=True)[1]
    chosen = order[first]
    return Nearest(
        candidates=flat[chosen], similarity=similarity[chosen], target=of[chosen], all_similarities=similarity
    )


def hardest(scores: Doubles, defect: Bools, budget: int) -> npt.NDArray[np.int64]:
    """Places of `budget` rows: defects with the lowest scores and good ones with the highest, half of each.

    Balanced because the hardest alone are one-sided, and a small one-sided batch made the model worse.
    """
    return _balanced(np.where(defect, scores, -scores), defect, budget)


def most_uncertain(scores: Doubles, defect: Bools, threshold: float, budget: int) -> npt.NDArray[np.int64]:
    """Places of `budget` rows nearest to the threshold, half of each class."""
    return _balanced(np.abs(scores - threshold), defect, budget)


def any_of(count: int, budget: int, seed: int) -> npt.NDArray[np.int64]:
    """`budget` of `count` places, ascending, every choice as likely."""
    rng = np.random.default_rng(seed)
    return np.sort(rng.choice(count, size=min(budget, count), replace=False))


def _balanced(rank: Doubles, defect: Bools, budget: int) -> npt.NDArray[np.int64]:
    """The lowest ranks, half of each class; where one class is too small, the other fills up. Ties by place."""
    if budget < 1:
        raise UsageError(f"budget: expected at least 1 row, got {budget}")
    sides = [np.flatnonzero(side)[np.argsort(rank[side], kind="stable")] for side in (defect, ~defect)]
    half = [min(len(sides[0]), (budget + 1) // 2), min(len(sides[1]), budget // 2)]
    half[0] = min(len(sides[0]), budget - half[1])
    half[1] = min(len(sides[1]), budget - half[0])
    return np.sort(np.concatenate([side[:n] for side, n in zip(sides, half, strict=True)])).astype(np.int64)
