"""The PatchCore coreset: greedy k-centre selection (Roth et al. 2022, algorithm 1), exact, lazy and in blocks.

Greedy k-centre takes, again and again, the vector farthest from all taken so far. `greedy_coreset_plain` says just
that and is the oracle. `greedy_coreset` gives the identical selection, bit for bit, from three observations:

- distances to the nearest centre only ever fall, so an old distance is a bound. As long as the farthest vector of a
  small front (the rows that are farthest now) lies over every bound outside the front, it is the farthest of all:
  many centres can be taken while looking at the front alone;
- for the same reason a row need not be looked at again before its old distance is among the largest. Most rows are
  near some centre long before the end, and miss the later ones altogether;
- rows that are looked at again are brought up to date for all centres they have missed at once, by one matrix
  product. It is only approximate, so it merely says where a distance may have fallen; there the distance is computed
  as the plain loop computes it.

Measured on 1 core, 61,440 x 152 -> 614 and 204,800 x 152 -> 2,048: see docs/results.md.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float32]
Index = npt.NDArray[np.int64]

FRONT = 256  # rows among which centres are taken
BATCH = 8192  # the farthest rows that are brought up to date together, to find a front among them
CHUNK = 512  # rows of one matrix product
CENTRES = 1024  # centres of one matrix product, at most
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
    """The same rows as `greedy_coreset_plain`. Memory beside `vectors`: 16 bytes a row and some 10 MB;
    `on_step(done, count)` reports."""
    count = min(count, len(vectors))
    chosen = list(range(given)) or [start]
    distances = _Distances(vectors, chosen[0])
    while len(chosen) < count:
        chosen += _next_centres(vectors, distances, np.array(chosen), count - len(chosen))
        if on_step:
            on_step(len(chosen), count)
    return np.array(chosen, np.int64)


def _next_centres(vectors: Float, distances: _Distances, centres: Index, most: int) -> list[int]:
    """Centres that can be taken by looking at one front only: at least one, at most `most`."""
    if not distances.nearest.max():
        return [0] * most  # every row is a centre or equal to one: the plain loop takes the first from now on
    front, outside = distances.front(centres)
    rows, distance = vectors[front], distances.nearest[front]
    taken: list[int] = []
    while len(taken) < most:
        best = int(distance.argmax())
        if distance[best] <= outside:
            break
        taken.append(int(front[best]))
        np.minimum(distance, _squared(rows, rows[best]), out=distance)
    return taken


class _Distances:
    """Per row of `vectors`: `nearest`, its squared distance to the nearest of the first `seen` centres.

    A row that has not seen all centres has a bound, then: its distance to all of them is no larger.
    """

    def __init__(self, vectors: Float, centre: int) -> None:
        self.vectors = vectors
        self.mean: Float = vectors.mean(0, dtype=np.float64).astype(np.float32)
        self.norms = np.empty(len(vectors), np.float32)  # of the rows less their mean: rounding grows with the norm
        self.nearest = np.empty(len(vectors), np.float32)
        self.seen = np.ones(len(vectors), np.int64)
        for begin in range(0, len(vectors), CHUNK):
            part = slice(begin, begin + CHUNK)
            self.norms[part] = _squared(vectors[part], self.mean)
            self.nearest[part] = _squared(vectors[part], vectors[centre])

    def front(self, centres: Index) -> tuple[Index, np.float32]:
        """The farthest rows in their order, all up to date, and a distance that at least one of them exceeds.

        While one does, the first of the farthest rows of the front is the first of the farthest of all.
        """
        total = len(self.nearest)
        size = min(FRONT, total - 1)
        wide = min(max(BATCH, size + 1), total)
        while True:
            batch = np.argpartition(self.nearest, total - wide)[total - wide :]
            order = np.argpartition(self.nearest[batch], wide - size - 1)
            front, outside = batch[order[wide - size :]], self.nearest[batch[order[wide - size - 1]]]
            if (self.seen[front] == len(centres)).all():
                # Sorted, so that ties go to the lowest row as in the plain loop.
                return (np.sort(front), outside) if self.nearest[front].max() > outside else self._tied(centres)
            self._bring_up_to_date(batch, centres)

    def _tied(self, centres: Index) -> tuple[Index, np.float32]:
        """The front where more rows than it holds are the farthest, equally far: these rows, the first `BATCH`."""
        while True:
            farthest = self.nearest.max()
            tied = np.flatnonzero(self.nearest == farthest)
            if (self.seen[tied] == len(centres)).all():
                break
            self._bring_up_to_date(tied, centres)
        if len(tied) > BATCH:
            return tied[:BATCH], np.nextafter(farthest, np.float32(0))  # the others come after these in order
        return tied, np.max(self.nearest, where=self.nearest < farthest, initial=-1)

    def _bring_up_to_date(self, rows: Index, centres: Index) -> None:
        """Lower `nearest` of `rows` for those of `centres` that they have not seen."""
        rows = np.sort(rows[self.seen[rows] < len(centres)])  # in the order of memory
        seen = self.seen[rows]
        for since in np.unique(seen):
            same = rows[seen == since]
            for first in range(since, len(centres), CENTRES):
                self._lower(same, centres[first : first + CENTRES])
        self.seen[rows] = len(centres)

    def _lower(self, rows: Index, fresh: Index) -> None:
        """Lower `nearest` of `rows` for the centres `fresh`."""
        # |x - c|^2 < nearest  <=>  x.c - |c|^2 / 2 > (|x|^2 - nearest) / 2; the left side is largest for the nearest c.
        # It is one product: of x and c with one element more, 1 and -|c|^2 / 2.
        dims = self.vectors.shape[1]
        right = np.empty((dims + 1, len(fresh)), np.float32)
        right[:dims] = (self.vectors[fresh] - self.mean).T
        right[dims] = self.norms[fresh] / -2
        left = np.ones((min(CHUNK, len(rows)), dims + 1), np.float32)
        longest = self.norms[fresh].max()
        for begin in range(0, len(rows), CHUNK):
            at = rows[begin : begin + CHUNK]
            vectors = self.vectors[at]
            np.subtract(vectors, self.mean, out=left[: len(at), :dims])
            closeness = left[: len(at)] @ right
            best = closeness.max(1)
            slack = MARGIN * (self.norms[at] + longest)
            low = np.flatnonzero(best >= (self.norms[at] - self.nearest[at]) / 2 - slack)
            close = closeness[low] >= (best[low] - slack[low])[:, None]
            self._lower_exactly(at[low], vectors[low], fresh, close)

    def _lower_exactly(self, at: Index, vectors: Float, fresh: Index, close: npt.NDArray[np.bool_]) -> None:
        """Lower `nearest` of the rows `at` for the centres that are `close` `[len(at), len(fresh)]`: at least one."""
        one = close.argmax(1)
        self.nearest[at] = np.minimum(self.nearest[at], _squared(vectors, self.vectors[fresh[one]]))
        close[np.arange(len(at)), one] = False
        doubtful = np.flatnonzero(close.any(1))  # rows with a second centre as near, to rounding: rare
        if len(doubtful):
            r, c = np.nonzero(close[doubtful])
            again = doubtful[r]
            np.minimum.at(self.nearest, at[again], _squared(vectors[again], self.vectors[fresh[c]]))


def _squared(vectors: Float, centre: Float) -> Float:
    """Squared distances row by row; a row's value does not depend on the other rows."""
    difference = vectors - centre
    squared: Float = np.einsum("nd,nd->n", difference, difference)
    return squared
