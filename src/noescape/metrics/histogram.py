"""A histogram of float32 scores whose bins keep the relative precision, from -1e38 to 1e38, stored sparsely.

The bits of a float32 number, read as an integer with the sign turned round, sort like the numbers themselves.
Dropping the last 10 of the 23 fraction bits gives the bin: 8,192 bins per octave, at most 2^22 in all.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

DROPPED_BITS = 10
RELATIVE_STEP = 2.0**-13
LARGEST_VALUE = 1e38
# Counting costs a fixed time for the span of bins, so it is done for this many values at once: 32 maps of 256 x 256.
BUFFERED_VALUES = 1 << 21

Bins = npt.NDArray[np.uint32]


def bins_of(values: npt.NDArray[np.float32]) -> Bins:
    """The bin of each score, flat, in reading order; a higher bin holds higher scores.

    ValueError unless `values` is a float32 array of at least one number, all within ±1e38.
    """
    if values.dtype != np.float32 or not values.size:
        raise ValueError(f"expected scores as a float32 array, got {values.dtype} of shape {values.shape}")
    # The least and the greatest are NaN if any is, and then not within the limits.
    if not (values.min() >= -LARGEST_VALUE and values.max() <= LARGEST_VALUE):
        raise ValueError(f"expected finite scores within ±{LARGEST_VALUE:g}, got {_worst(values)!r}")
    bits = (values.ravel() + np.float32(0)).view(np.uint32)  # + 0 turns -0 into 0: they are equal, so one bin
    # Arithmetic shift: all ones for a negative number (its order must turn round), all zeros otherwise.
    sign = (bits.view(np.int32) >> np.int32(31)).view(np.uint32)
    bits ^= sign | np.uint32(0x8000_0000)
    bits >>= np.uint32(DROPPED_BITS)
    return bits


def bin_floor(number: int) -> np.float32:
    """The lowest score of a bin."""
    key = number << DROPPED_BITS
    bits = key ^ 0x8000_0000 if key & 0x8000_0000 else key ^ 0xFFFF_FFFF
    return np.uint32(bits).view(np.float32)


def union(a: npt.NDArray[np.int64], b: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The numbers of either of two ascending lists, ascending, once each.

    A stable sort merges two ascending runs in one pass: measured several times as fast as numpy's union.
    """
    both = np.sort(np.concatenate([a, b]), kind="stable")
    return both[np.append(True, both[1:] != both[:-1])] if len(both) else both


class Histogram:
    """Counts, or sums of weights, per bin in use. Counts are exact up to 2^53."""

    def __init__(self) -> None:
        self._bins = np.zeros(0, np.int64)
        self._sums = np.zeros(0, np.float64)
        self._waiting: list[tuple[Bins, npt.NDArray[np.float64] | None]] = []
        self._n_waiting = 0

    def add(self, bins: Bins, weights: npt.NDArray[np.float64] | None = None) -> None:
        """Count `bins` `[n]`, each 1 or by its weight `[n]`; one histogram is always weighted or never."""
        if not len(bins):
            return
        self._waiting.append((bins, weights))
        self._n_waiting += len(bins)
        if self._n_waiting >= BUFFERED_VALUES:
            self._count()

    def merge(self, other: Histogram) -> None:
        """Add what `other` holds; `other` keeps it."""
        other._count()
        self._count()
        self._absorb(other._bins, other._sums)

    @property
    def bins(self) -> npt.NDArray[np.int64]:
        """The bins in use, ascending."""
        self._count()
        return self._bins

    def over(self, bins: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """The sum at each of `bins`, which must be ascending and include every bin in use."""
        self._count()
        sums = np.zeros(len(bins))
        sums[np.searchsorted(bins, self._bins)] = self._sums
        return sums

    def _count(self) -> None:
        """Empty the buffer into the sums."""
        if not self._waiting:
            return
        bins = np.concatenate([b for b, _ in self._waiting])
        parts = [w for _, w in self._waiting if w is not None]
        weights = np.concatenate(parts) if parts else None
        self._waiting, self._n_waiting = [], 0
        start = bins.min()
        bins -= start
        used = np.bincount(bins) if weights is None else np.bincount(bins, weights)
        at = np.flatnonzero(used != 0)  # three times as fast as on the numbers
        self._absorb(at + int(start), used[at].astype(np.float64))

    def _absorb(self, bins: npt.NDArray[np.int64], sums: npt.NDArray[np.float64]) -> None:
        together = union(self._bins, bins)
        total = np.zeros(len(together))
        total[np.searchsorted(together, self._bins)] = self._sums
        total[np.searchsorted(together, bins)] += sums
        self._bins, self._sums = together, total


def _worst(values: npt.NDArray[np.float32]) -> float:
    outside = ~(np.abs(values) <= LARGEST_VALUE)
    return float(values[outside].flat[0])
