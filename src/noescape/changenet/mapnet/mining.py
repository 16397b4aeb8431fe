"""Which crops a training step sees: half around boxes, nearly half around what could be taken for one, a few anywhere.

What went wrong last time is drawn more often, so that steps are spent where there is something to learn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from noescape.changenet.mapnet.augment import Shares, augmented
from noescape.changenet.mapnet.channels import channels
from noescape.changenet.mapnet.net import STRIDE
from noescape.changenet.mapnet.prepared import CROP, MARGIN, Prepared
from noescape.records import DataError

ANYWHERE = 2  # crops of a batch
JITTER = 40  # px: how far a candidate lies from the middle of its crop
MOST_LOSS = 2.0  # a hopeless candidate must not take all steps
MOST_AREA = 30  # px


@dataclass(frozen=True, kw_only=True, eq=False)
class Batch:
    """`pixels` uint8 `[N, 128, 128, 7]`, `target` int8 `[N, 16, 16]`; which candidates the first crops are about."""

    pixels: npt.NDArray[np.uint8]
    target: npt.NDArray[np.int8]
    wanted: npt.NDArray[np.int64]
    tempting: npt.NDArray[np.int64]


class Miner:
    """Draws batches, and learns from their losses which candidates are hard."""

    def __init__(self, pairs: Sequence[Prepared], shares: Shares) -> None:
        """DataError without a single box: there is nothing to find."""
        self._pairs, self._shares = pairs, shares
        self._wanted = _listed([p.wanted for p in pairs])
        self._tempting = _listed([p.tempting for p in pairs])
        if not len(self._wanted):
            raise DataError(f"{len(pairs)} training pairs hold no box: a map network learns from marked defects")
        area = np.concatenate([p.area for p in pairs])
        self._size = np.sqrt(np.minimum(area, MOST_AREA) + 3.0)
        self._miss = np.ones(len(self._wanted))
        self._alarm = np.ones(len(self._tempting))

    def draw(self, count: int, rng: np.random.Generator) -> Batch:
        """`count` crops, each turned and mirrored at random."""
        weight = self._miss + 0.15
        wanted = rng.choice(len(self._wanted), count // 2, p=weight / weight.sum())
        tempting = np.zeros(0, np.int64)
        if len(self._tempting):
            weight = (self._alarm + 0.1) * self._size
            tempting = rng.choice(len(self._tempting), count // 2 - ANYWHERE, p=weight / weight.sum())
        places = [*self._wanted[wanted], *self._tempting[tempting]]
        places += [self._anywhere(rng) for _ in range(count - len(places))]
        crops = [self._crop(int(n), int(y), int(x), rng) for n, y, x in places]
        return Batch(
            pixels=np.stack([pixels for pixels, _ in crops]),
            target=np.stack([target for _, target in crops]),
            wanted=wanted,
            tempting=tempting,
        )

    def learn(self, batch: Batch, missed: npt.NDArray[np.float32], alarmed: npt.NDArray[np.float32]) -> None:
        """Take in the loss per crop `[N]`: on what should be found, and on what should not."""
        one, two = len(batch.wanted), len(batch.tempting)
        for remembered, which, loss in (
            (self._miss, batch.wanted, missed[:one]),
            (self._alarm, batch.tempting, alarmed[one : one + two]),
        ):
            remembered[which] = 0.5 * remembered[which] + 0.5 * np.minimum(loss, MOST_LOSS)

    def _anywhere(self, rng: np.random.Generator) -> tuple[int, int, int]:
        n = int(rng.integers(len(self._pairs)))
        height, width = self._pairs[n].size
        return n, int(rng.integers(height)), int(rng.integers(width))

    def _crop(
        self, n: int, y: int, x: int, rng: np.random.Generator
    ) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int8]]:
        pair = self._pairs[n]
        dy, dx = rng.integers(-JITTER, JITTER + 1, size=2)
        top, left = (
            int(np.clip(at + off - CROP // 2, 0, end - CROP)) // STRIDE * STRIDE
            for at, off, end in zip((y, x), (dy, dx), pair.size, strict=True)
        )
        golden, placed, test = augmented(*pair.crop(top, left), rng, self._shares)
        pixels = channels(golden, placed, test)[MARGIN:-MARGIN, MARGIN:-MARGIN]
        rows, columns = top // STRIDE, left // STRIDE
        target = pair.target[rows : rows + CROP // STRIDE, columns : columns + CROP // STRIDE]
        turns, mirror = int(rng.integers(4)), bool(rng.integers(2))
        pixels, target = np.rot90(pixels, turns), np.rot90(target, turns)
        return (pixels[:, ::-1], target[:, ::-1]) if mirror else (pixels, target)


def _listed(places: Sequence[npt.NDArray[np.int32]]) -> npt.NDArray[np.int32]:
    """(pair, y, x) of every place: `[n, 3]`."""
    rows = [np.column_stack([np.full(len(p), n, np.int32), p]) for n, p in enumerate(places)]
    return np.concatenate(rows).reshape(-1, 3)
