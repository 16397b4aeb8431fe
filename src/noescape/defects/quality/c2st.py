"""Classifier two-sample test: can a simple classifier tell generated from real? AUROC .5 = no, 1 = always.

A logistic regression of our own, since it is small: standardised features, ridge penalty, Newton's steps in the span
of the training rows (where its solution lies), so that the width of the features costs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from noescape.defects.quality.halving import half_of
from noescape.metrics import auroc

Floats = npt.NDArray[np.floating]
Codes = npt.NDArray[np.int64]
Doubles = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
RIDGE = 0.01
FOLDS = 5
LEAST = 10  # pictures a side
STEPS = 50


@dataclass(frozen=True, kw_only=True, slots=True)
class Separability:
    """Mean AUROC over the held-out folds of some repeats, `sd` over the repeats (redrawn folds, not redrawn data)."""

    auroc: float
    sd: float
    n_real: int
    n_generated: int


def fit_logistic(x: Floats, is_one: Bools, *, ridge: float = RIDGE) -> tuple[Doubles, float]:
    """Weights `[D]` and offset that minimise the mean logistic loss plus `ridge` / 2 |weights|^2.

    Both classes weigh the same however many rows they have. ValueError unless both are there.
    """
    ones = int(is_one.sum())
    if not 0 < ones < len(x):
        raise ValueError("logistic regression needs rows of both classes")
    rows: Doubles = x.astype(np.float64)
    left, size, right = np.linalg.svd(rows, full_matrices=False)
    kept = size > size.max(initial=0) * 1e-10
    coordinates: Doubles = np.column_stack([left[:, kept] * size[kept], np.ones(len(rows))]).astype(np.float64)
    penalty = np.append(np.full(int(kept.sum()), ridge), 0.0)
    sign = np.where(is_one, 1.0, -1.0)
    weight = np.where(is_one, 0.5 / ones, 0.5 / (len(x) - ones))
    at: Doubles = np.zeros(coordinates.shape[1])
    for _ in range(STEPS):
        chance = _sigmoid(-sign * (coordinates @ at))
        slope = coordinates.T @ (-weight * sign * chance) + penalty * at
        curve = coordinates.T @ (coordinates * (weight * chance * (1 - chance))[:, None])
        step: Doubles = np.asarray(np.linalg.solve(curve + np.diag(penalty + 1e-12), slope), np.float64)
        at = np.asarray(at - _shortened(step, at, coordinates, sign, weight, penalty) * step, np.float64)
        if float(np.abs(step).max()) < 1e-9:
            break
    return right[kept].T @ at[:-1], float(at[-1])


def separability(
    real: Floats,
    generated: Floats,
    groups: Codes,
    types: Codes | None = None,
    *,
    rng: np.random.Generator,
    folds: int = FOLDS,
    repeats: int = 10,
) -> Separability | None:
    """Cross-validated AUROC of telling `generated` from `real` rows; None where one side has fewer than LEAST.

    `groups` (one number per row of both, real first) stay whole within a fold: captures of one part, and an example
    with the pictures made from it. Without that a picture that copies its example gives itself away, or hides. `types`
    (likewise) are spread evenly over the folds.
    """
    if min(len(real), len(generated)) < LEAST:
        return None
    x = np.concatenate([real, generated])
    is_generated = np.arange(len(x)) >= len(real)
    strata = np.zeros(len(x), np.int64) if types is None else types
    found = [f for _ in range(repeats) if (f := _one_round(x, is_generated, groups, strata, folds, rng)) is not None]
    if not found:
        return None
    return Separability(
        auroc=float(np.mean(found)), sd=float(np.std(found)), n_real=len(real), n_generated=len(generated)
    )


def floor(
    real: Floats,
    groups: Codes,
    types: Codes | None = None,
    *,
    rng: np.random.Generator,
    folds: int = FOLDS,
    repeats: int = 20,
) -> list[float]:
    """AUROCs of telling one random half of the real pictures from the other: what chance gives at this size.

    For the halves see `half_of`. Empty where a half would have fewer than LEAST rows.
    """
    strata = np.zeros(len(real), np.int64) if types is None else types
    out = []
    for _ in range(repeats):
        other = half_of(groups, strata, rng)
        if min(other.sum(), (~other).sum()) < LEAST:
            continue
        found = _one_round(real, other, groups, strata, folds, rng)
        out += [found] if found is not None else []
    return out


def _one_round(
    x: Floats, is_one: Bools, groups: Codes, strata: Codes, folds: int, rng: np.random.Generator
) -> float | None:
    """The mean AUROC of the folds, weighted by their pairs. Scores of different folds are never compared."""
    of = _folds(groups, is_one, strata, folds, rng)
    total, pairs = 0.0, 0
    for k in range(folds):
        test = of == k
        ones, zeros = int(is_one[test].sum()), int((~is_one[test]).sum())
        if not ones or not zeros or is_one[~test].all() or not is_one[~test].any():
            continue
        mean, spread = x[~test].mean(axis=0), x[~test].std(axis=0)
        scale = 1 / (np.maximum(spread, 1e-6 * max(float(spread.max()), 1e-12)) * np.sqrt(x.shape[1]))
        weights, offset = fit_logistic((x[~test] - mean) * scale, is_one[~test])
        found = auroc(is_one[test], ((x[test] - mean) * scale) @ weights + offset)
        if found is not None:
            total, pairs = total + found * ones * zeros, pairs + ones * zeros
    return total / pairs if pairs else None


def _folds(groups: Codes, is_one: Bools, strata: Codes, folds: int, rng: np.random.Generator) -> Codes:
    """Deal whole groups in random order, each sort of them (its stratum, and which classes it holds) by turns.

    All sorts of a stratum begin with the same fold: so what is held out of it is alike for both classes. Otherwise what
    is left to learn from would have more of the other class in that stratum, and the answer would be worse than chance.
    """
    names, first, of_row = np.unique(groups, return_index=True, return_inverse=True)
    zeros, ones = (np.bincount(of_row, weights=w, minlength=len(names)) > 0 for w in (~is_one, is_one))
    sort = strata[first] * 4 + zeros * 2 + ones
    start = {int(t): int(rng.integers(folds)) for t in np.unique(strata)}
    of = np.zeros(len(names), np.int64)
    for kind in np.unique(sort):
        members = rng.permutation(np.flatnonzero(sort == kind))
        of[members] = (start[int(kind) // 4] + np.arange(len(members))) % folds
    return np.asarray(of[of_row], np.int64)


def _shortened(step: Doubles, at: Doubles, x: Doubles, sign: Doubles, weight: Doubles, penalty: Doubles) -> float:
    """The first of 1, 1/2, 1/4 … of Newton's step that does not raise the loss."""
    before = _loss(at, x, sign, weight, penalty)
    share = 1.0
    while share > 1e-6 and _loss(at - share * step, x, sign, weight, penalty) > before + 1e-12:
        share /= 2
    return share


def _loss(at: Doubles, x: Doubles, sign: Doubles, weight: Doubles, penalty: Doubles) -> float:
    return float((weight * np.logaddexp(0, -sign * (x @ at))).sum() + 0.5 * (penalty * at * at).sum())


def _sigmoid(z: Doubles) -> Doubles:
    return np.asarray(0.5 * (1 + np.tanh(z / 2)), np.float64)
