"""The PatchCore coreset: greedy k-centre selection (Roth et al. 2022, algorithm 1), exact and in blocks.

Greedy k-centre takes, again and again, the vector farthest from all taken so far. `greedy_coreset_plain` says just
that and is the oracle. `greedy_coreset` gives the identical selection, bit for bit, from two observations:

- distances to the nearest centre only ever fall. So as long as the farthest vector of a small front (the rows that
  are farthest now) lies over everything outside the front, it is the farthest of all: many centres can be taken while
  looking at the front alone;
- the rest is brought up to date for all those centres at once, by one matrix product. It is only approximate, so it
  merely says where a distance may have fallen; there the distance is computed as the plain loop computes it.

Measured on 1 core, 61,440 x 152 -> 614 and 204,800 x 152 -> 2,048: see docs/results.md.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float32]
Index = npt.NDArray[np.int64]

FRONT = 1024  # rows looked at between two matrix products
CHUNK = 4096  # rows of one matrix product
MARGIN = np.float32(4e-5)  # of |x|^2 + |c|^2: over the rounding of a float32 product of up to some thousand terms


def greedy_coreset_plain(vectors: Float, count: int, start: int = 0, given: int = 0) -> Index:
    """Rows of `vectors` `[N, D]` chosen by plain greedy k-centre from row `start`. O(N D count).

    `given` goes on instead from a choice that was made before: the first `given` rows.
    """
    chosen = list(range(given)) or [start]
    nearest = np.full(len(vectors), np.inf, np.float32)
    for row in chosen[:-1]:
        nearest = np.minimum(nearest, _squared(vectors, vectors[row]))
    while len(chosen) < min(count, len(vectors)):
        nearest = np.minimum(nearest, _squared(vectors, vectors[chosen[-1]]))
        chosen.append(int(nearest.argmax()))
    return np.array(chosen, np.int64)


def greedy_coreset(
    vectors: Float, count: int, start: int = 0, *, given: int = 0, on_step: Callable[[int, int], None] | None = None
) -> Index:
    """The same rows as `greedy_coreset_plain`. Memory beside `vectors`: one copy; `on_step(done, count)` reports."""
    count = min(count, len(vectors))
    chosen = list(range(given)) or [start]
    nearest = _squared(vectors, vectors[chosen[0]])  # before the copy below: it takes one of its own
    centred = vectors - vectors.mean(0, dtype=np.float64).astype(np.float32)
    norms = np.einsum("nd,nd->n", centred, centred)
    for begin in range(1, len(chosen), FRONT):
        _bring_up_to_date(vectors, centred, norms, nearest, np.array(chosen[begin : begin + FRONT]))
    while len(chosen) < count:
        fresh = _take_from_front(vectors, nearest, count - len(chosen))
        chosen += fresh
        if len(chosen) < count:
            _bring_up_to_date(vectors, centred, norms, nearest, np.array(fresh))
        if on_step:
            on_step(len(chosen), count)
    return np.array(chosen, np.int64)


def _take_from_front(vectors: Float, nearest: Float, most: int) -> list[int]:
    """Centres that can be taken by looking at the farthest `FRONT` rows only: at least one, at most `most`."""
    size = min(FRONT, len(nearest) - 1)
    order = np.argpartition(nearest, len(nearest) - size - 1)
    outside = nearest[order[len(nearest) - size - 1]]  # the largest distance that is not in the front
    front = np.sort(order[len(nearest) - size :])  # sorted, so that ties go to the lowest row as in the plain loop
    if nearest.max() <= outside:
        return [int(nearest.argmax())]
    rows, distance = vectors[front], nearest[front]
    taken: list[int] = []
    while len(taken) < most:
        best = int(distance.argmax())
        if distance[best] <= outside:
            break
        taken.append(int(front[best]))
        np.minimum(distance, _squared(rows, rows[best]), out=distance)
    return taken


def _bring_up_to_date(vectors: Float, centred: Float, norms: Float, nearest: Float, fresh: Index) -> None:
    """Lower `nearest` of all rows, in place, for the centres `fresh`."""
    centres, halves = centred[fresh].T.copy(), norms[fresh] / 2
    slack = MARGIN * (norms + norms[fresh].max())
    for begin in range(0, len(vectors), CHUNK):
        part = slice(begin, begin + CHUNK)
        # |x - c|^2 < nearest  <=>  x.c - |c|^2 / 2 > (|x|^2 - nearest) / 2; the left side is largest for the nearest c.
        closeness = centred[part] @ centres
        closeness -= halves
        best = closeness.max(1)
        rows = np.flatnonzero(best >= (norms[part] - nearest[part]) / 2 - slack[part])
        close = closeness[rows] >= (best[rows] - slack[part][rows])[:, None]
        nearest_one = close.argmax(1)
        at = rows + begin
        nearest[at] = np.minimum(nearest[at], _squared(vectors[at], vectors[fresh[nearest_one]]))
        close[np.arange(len(rows)), nearest_one] = False
        doubtful = np.flatnonzero(close.any(1))  # rows with a second centre as near, to rounding: rare
        if len(doubtful):
            r, c = np.nonzero(close[doubtful])
            at = rows[doubtful[r]] + begin
            np.minimum.at(nearest, at, _squared(vectors[at], vectors[fresh[c]]))


def _squared(vectors: Float, centre: Float) -> Float:
    """Squared distances row by row; a row's value does not depend on the other rows."""
    difference = vectors - centre
    squared: Float = np.einsum("nd,nd->n", difference, difference)
    return squared
