"""Are the pictures different from each other? Distances of features, overlap of masks, and how many kinds there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]
Doubles = npt.NDArray[np.float64]
Bool = npt.NDArray[np.bool_]
SAME_MASK = 0.9  # IoU from which on two masks are one and the same


@dataclass(frozen=True, kw_only=True, slots=True)
class MaskSpread:
    """IoU of all pairs of masks, each reduced to one grid over its picture: mean, sd, and the share of equal ones."""

    mean_iou: float
    sd_iou: float
    same_share: float
    n: int


def mean_distance(features: Floats) -> float | None:
    """Mean of 1 - cosine over all pairs of rows `[N, D]`, from the sum of the unit rows; None with fewer than two."""
    n = len(features)
    if n < 2:
        return None
    total = unit_rows(features).sum(axis=0)
    return float(1 - (total @ total - n) / (n * (n - 1)))


def distance_within(features: Floats, clusters: Sequence[str]) -> tuple[float, int] | None:
    """Mean pairwise distance within each cluster (what was made from one exemplar), averaged over the clusters with two
    or more rows, and how many those are; None without any."""
    names = np.array(clusters)
    found = [d for name in dict.fromkeys(clusters) if (d := mean_distance(features[names == name])) is not None]
    return (float(np.mean(found)), len(found)) if found else None


def vendi(features: Floats) -> float:
    """Vendi score (Friedman and Dieng, 2023): the effective number of different rows, 1 to N, by cosine.

    exp of the entropy of the eigenvalues of K / N; those of the smaller of K and the covariance, which are the same.
    """
    unit = unit_rows(features) / np.sqrt(len(features))
    gram = unit @ unit.T if len(unit) <= unit.shape[1] else unit.T @ unit
    values = np.linalg.eigvalsh(gram)
    values = values[values > 1e-12]
    return float(np.exp(-(values * np.log(values)).sum()))


def vendi_of(features: Floats, size: int, *, rng: np.random.Generator, count: int = 20) -> float | None:
    """The mean Vendi score of random subsets of `size` rows: comparable between sets of different sizes."""
    if size < 2 or len(features) < size:
        return None
    if len(features) == size:
        return vendi(features)
    return float(np.mean([vendi(features[rng.choice(len(features), size, replace=False)]) for _ in range(count)]))


def mask_spread(grids: Sequence[Bool]) -> MaskSpread | None:
    """How alike the masks of one type lie, from bool grids of one size (see `mask_grid`); None with fewer than two."""
    if len(grids) < 2:
        return None
    flat = np.stack(grids).reshape(len(grids), -1).astype(np.float32)
    common = flat @ flat.T
    area = flat.sum(axis=1)
    iou = common / np.maximum(area[:, None] + area[None, :] - common, 1e-9)
    pairs = iou[np.triu_indices(len(grids), 1)].astype(np.float64)
    return MaskSpread(
        mean_iou=float(pairs.mean()), sd_iou=float(pairs.std()), same_share=float((pairs >= SAME_MASK).mean()),
        n=len(grids),
    )  # fmt: skip


def mask_grid(mask: Bool, side: int = 64) -> Bool:
    """A mask on a grid of `side` x `side` cells; every cell that it touches counts."""
    ys, xs = np.nonzero(mask)
    out = np.zeros((side, side), np.bool_)
    out[ys * side // mask.shape[0], xs * side // mask.shape[1]] = True
    return out


def exemplars_used(used: Sequence[Sequence[str]], available: int) -> Mapping[str, float]:
    """`used` different examples of `available`, and the largest share that one of them has of all uses."""
    every = [name for names in used for name in names]
    counts = np.array([every.count(name) for name in dict.fromkeys(every)])
    largest = float(counts.max() / counts.sum()) if len(counts) else 0.0
    return {"used": len(counts), "available": available, "largest_share": largest}


def unit_rows(features: Floats) -> Doubles:
    """Rows of length 1."""
    rows = features.astype(np.float64)
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12), np.float64)
