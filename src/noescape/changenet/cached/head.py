"""The light head: an L2-penalised logistic regression on standardised vectors, fitted by L-BFGS over blocks.

Minimises  sum_i s_i log(1 + exp(-y_i z_i)) / sum_i s_i  +  strength/2 |w|^2,  z = w.(x - mean)/scale + bias, where y is
+1 for NO_PASS. Convex, so it ends at the same place from anywhere; same data and kind of CPU: the same bytes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from noescape.changenet.cached.store import Selection

Float = npt.NDArray[np.float32]
Double = npt.NDArray[np.float64]
BLOCK = 4096
MEMORY = 10  # pairs of steps and changes of gradient
TOLERANCE = 1e-5  # of the gradient's largest entry
MOST_STEPS = 300


@dataclass(frozen=True, kw_only=True, eq=False)
class Head:
    """`weights` `[D]` on raw vectors and `bias`: the standardisation is folded in. `steps` it took."""

    weights: Double
    bias: float
    steps: int

    def logits(self, vectors: Float) -> Double:
        """`[n, D]` to `[n]`: over 0 = rather NO_PASS."""
        return np.asarray(vectors.astype(np.float64) @ self.weights + self.bias, np.float64)


@dataclass(frozen=True, kw_only=True, eq=False)
class Standard:
    """Mean and scale of each entry; an entry that never varies has scale infinity, and counts for nothing."""

    mean: Double
    scale: Double


def standard(rows: Selection) -> Standard:
    """Mean and standard deviation over `rows`, in two passes."""
    mean, square = np.zeros(rows.dims), np.zeros(rows.dims)
    for start in range(0, len(rows), BLOCK):
        mean += rows.block(start, start + BLOCK).sum(0, dtype=np.float64)
    mean /= len(rows)
    for start in range(0, len(rows), BLOCK):
        square += ((rows.block(start, start + BLOCK) - mean) ** 2).sum(0)
    scale = np.sqrt(square / len(rows))
    scale[scale < 1e-7 * (1 + np.abs(mean))] = np.inf
    return Standard(mean=mean, scale=scale)


class HeadPath:
    """Heads of falling strength, each started where the one before ended."""

    def __init__(self, rows: Selection, defect: npt.NDArray[np.bool_], weights: Double) -> None:
        """`weights` `[n]` say how much each row counts."""
        self._rows, self._standard = rows, standard(rows)
        self._sign = np.where(defect, 1.0, -1.0)
        self._share = weights / weights.sum()
        self._at = np.zeros(rows.dims + 1)
        self._steps = 0

    def fit(self, strength: float, start: Head | None = None) -> Head:
        """The head of this strength; `start` (a head of the same vectors) replaces the place to start from."""
        if start is not None:
            self._at = self._standardised(start)
        self._at, steps = minimise(lambda x: self._loss(x, strength), self._at)
        self._steps += steps
        scaled = self._at[:-1] / self._standard.scale
        bias = float(self._at[-1] - scaled @ self._standard.mean)
        return Head(weights=scaled, bias=bias, steps=self._steps)

    def _standardised(self, head: Head) -> Double:
        scale = np.where(np.isinf(self._standard.scale), 0.0, self._standard.scale)
        return np.append(head.weights * scale, head.bias + head.weights @ self._standard.mean)

    def _loss(self, x: Double, strength: float) -> tuple[float, Double]:
        scaled = x[:-1] / self._standard.scale
        shift = x[-1] - scaled @ self._standard.mean
        loss, slope, bias_slope = 0.0, np.zeros(len(scaled)), 0.0
        narrow = scaled.astype(np.float32)
        for start in range(0, len(self._rows), BLOCK):
            block = self._rows.block(start, start + BLOCK)
            sign, share = self._sign[start : start + BLOCK], self._share[start : start + BLOCK]
            margin = sign * ((block @ narrow).astype(np.float64) + shift)
            loss += float(share @ np.logaddexp(0, -margin))
            pull = -share * sign * _sigmoid(-margin)
            slope += block.T @ pull.astype(np.float32)
            bias_slope += float(pull.sum())
        slope = (slope - bias_slope * self._standard.mean) / self._standard.scale
        value = loss + 0.5 * strength * float(x[:-1] @ x[:-1])
        return value, np.append(slope + strength * x[:-1], bias_slope)


def weighted_loss(logits: Double, defect: npt.NDArray[np.bool_], weights: Double) -> float:
    """The mean weighted log-loss of logits."""
    return float(weights @ np.logaddexp(0, -np.where(defect, 1.0, -1.0) * logits) / weights.sum())


def probability(logits: Double) -> Double:
    """Logits to scores between 0 and 1."""
    return _sigmoid(logits)


def minimise(function: Callable[[Double], tuple[float, Double]], x: Double) -> tuple[Double, int]:
    """L-BFGS with backtracking: the place and the number of steps. `function` gives value and gradient."""
    value, slope = function(x)
    past: deque[tuple[Double, Double, float]] = deque(maxlen=MEMORY)
    for step in range(MOST_STEPS):
        if np.abs(slope).max() <= TOLERANCE:
            return x, step
        way = -_scaled(slope, past)
        if way @ slope >= 0:
            past.clear()
            way = -slope
        length = 1.0 if past else min(1.0, 1.0 / float(np.abs(slope).sum()))
        for _ in range(30):
            trial = x + length * way
            new_value, new_slope = function(trial)
            if new_value <= value + 1e-4 * length * float(way @ slope):
                break
            length /= 2
        else:
            return x, step  # no smaller value along it: as low as float32 vectors allow
        moved, change = trial - x, new_slope - slope
        curve = float(moved @ change)
        if curve > 1e-12:
            past.append((moved, change, curve))
        x, value, slope = trial, new_value, new_slope
    return x, MOST_STEPS


def _scaled(slope: Double, past: deque[tuple[Double, Double, float]]) -> Double:
    """The gradient times the inverse curvature that the past steps suggest (two-loop recursion)."""
    out, shares = slope.copy(), []
    for moved, change, curve in reversed(past):
        share = float(moved @ out) / curve
        out -= share * change
        shares.append(share)
    if past:
        _, change, curve = past[-1]
        out *= curve / float(change @ change)
    for (moved, change, curve), share in zip(past, reversed(shares), strict=True):
        out += (share - float(change @ out) / curve) * moved
    return out


def _sigmoid(x: Double) -> Double:
    return np.asarray(np.exp(-np.logaddexp(0, -x)), np.float64)  # exact near 0, where good parts lie
