"""Kernel inception distance: how far apart two sets of features lie, without bias however few they are.

The squared maximum mean discrepancy with the kernel (x.y / D + 1)^3 (Binkowski et al., Demystifying MMD GANs, 2018).
Its mean is 0 for two draws from one source; single values then come out below 0 as often as above.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from noescape.defects.quality.halving import half_of

Floats = npt.NDArray[np.floating]
Codes = npt.NDArray[np.int64]
Doubles = npt.NDArray[np.float64]
ROWS = 512  # of the kernel matrix that are held at a time
LEAST = 3  # pictures a side for a standard error


@dataclass(frozen=True, kw_only=True, slots=True)
class Kid:
    """`value` with its `standard_error` over redrawing both sets (jackknife), from `n` and `m` pictures."""

    value: float
    standard_error: float
    n: int
    m: int


def kernel(x: Floats, y: Floats) -> Doubles:
    """(x.y / D + 1)^3 for rows `[N, D]` and `[M, D]`: `[N, M]`."""
    return np.asarray((x.astype(np.float64) @ y.astype(np.float64).T / x.shape[1] + 1.0) ** 3, np.float64)


def kid(x: Floats, y: Floats) -> Kid | None:
    """The estimate from all pairs; None with fewer than LEAST rows in either set. Time (N + M)^2 D, memory linear.

    The standard error leaves each row out once: redrawing x and redrawing y add up, as they are independent.
    """
    n, m = len(x), len(y)
    if min(n, m) < LEAST:
        return None
    xx, yy, xy, yx = _row_sums(x, x, True), _row_sums(y, y, True), _row_sums(x, y, False), _row_sums(y, x, False)
    value = _estimate(xx.sum(), yy.sum(), xy.sum(), n, m)
    without_x = _estimate(xx.sum() - 2 * xx, yy.sum(), xy.sum() - xy, n - 1, m)
    without_y = _estimate(xx.sum(), yy.sum() - 2 * yy, xy.sum() - yx, n, m - 1)
    variance = _jackknife(without_x) + _jackknife(without_y)
    return Kid(value=float(value), standard_error=float(np.sqrt(variance)), n=n, m=m)


def kid_by_subsets(
    x: Floats, y: Floats, *, size: int, count: int, rng: np.random.Generator
) -> tuple[float, float] | None:
    """Mean and sd over `count` pairs of random subsets of at most `size` rows: the form that papers print.

    The subsets overlap, so this sd is not the error of the mean. None with fewer than two rows in either set.
    """
    take = min(size, len(x), len(y))
    if take < 2:
        return None
    values = []
    for _ in range(count):
        a, b = (s[rng.choice(len(s), take, replace=False)] for s in (x, y))
        values.append(_value(a, b))
    return float(np.mean(values)), float(np.std(values))


def kid_within(x: Floats, y: Floats, types_x: Codes, types_y: Codes) -> tuple[Kid, int] | None:
    """The distance of each type by itself, averaged with the shares that the types have in x; and how many types have
    LEAST rows or more on both sides (the others are left out). None without any.

    Sets that are drawn type by type are no independent draws from a mixture: taken as one they would seem nearer than
    they are, since two rows of one set are of one type less often than a row of each. Nor can another mix of types pass
    for a difference of pictures.
    """
    found = [(k, int((types_x == t).sum())) for t in np.unique(types_x) if (k := kid(x[types_x == t], y[types_y == t]))]
    if not found:
        return None
    share = np.array([n for _, n in found]) / sum(n for _, n in found)
    return Kid(
        value=float(share @ np.array([k.value for k, _ in found])),
        standard_error=float(np.sqrt((share**2) @ np.array([k.standard_error**2 for k, _ in found]))),
        n=sum(k.n for k, _ in found), m=sum(k.m for k, _ in found),
    ), len(found)  # fmt: skip


def halves_within(x: Floats, groups: Codes, types: Codes, *, count: int, rng: np.random.Generator) -> list[float]:
    """The same between random halves of one set, `count` times: what no difference looks like at this size.

    Rows of one group (captures of one part) stay on one side. A draw in which some type has fewer than two rows on a
    side counts the other types alone; empty where none ever has them.
    """
    out = []
    for _ in range(count):
        side = half_of(groups, types, rng)
        values, shares = [], []
        for t in np.unique(types):
            a, b = x[side & (types == t)], x[~side & (types == t)]
            if min(len(a), len(b)) >= 2:
                values.append(_value(a, b))
                shares.append(len(a) + len(b))
        out += [float(np.average(values, weights=shares))] if values else []
    return out


def _row_sums(x: Floats, y: Floats, same: bool) -> Doubles:
    """Sums over y of the kernel for each x, without the diagonal where both are the `same` set."""
    sums = np.concatenate([kernel(x[i : i + ROWS], y).sum(axis=1) for i in range(0, len(x), ROWS)])
    if same:
        sums = sums - ((x.astype(np.float64) ** 2).sum(axis=1) / x.shape[1] + 1.0) ** 3
    return np.asarray(sums, np.float64)


def _value(x: Floats, y: Floats) -> float:
    sums = _row_sums(x, x, True).sum(), _row_sums(y, y, True).sum(), _row_sums(x, y, False).sum()
    return float(_estimate(*sums, len(x), len(y)))


def _estimate(xx: Doubles, yy: Doubles, xy: Doubles, n: int, m: int) -> Doubles:
    return np.asarray(xx / (n * (n - 1)) + yy / (m * (m - 1)) - 2 * xy / (n * m), np.float64)


def _jackknife(values: Doubles) -> float:
    return float((len(values) - 1) / len(values) * ((values - values.mean()) ** 2).sum())
