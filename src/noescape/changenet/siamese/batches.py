"""Batches of pairs for training and for measuring, read on a few threads, in an order that the seed fixes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from noescape.changenet.augment import draw
from noescape.changenet.cached.features import reason
from noescape.changenet.images import LoadedPair, Loader, augmented
from noescape.changenet.rows import Row
from noescape.changenet.spec_data import Augmentation
from noescape.imaging.parallel import ordered_map
from noescape.records import WorkError


class Reader:
    """Loads rows; `errors` gathers what could not be read (place: reason), each row once."""

    def __init__(self, rows: Sequence[Row], loader: Loader, augmentation: Augmentation | None, workers: int) -> None:
        self._rows, self._loader, self._augmentation, self._workers = rows, loader, augmentation, workers
        self.errors: dict[int, str] = {}

    def batches(
        self, order: Sequence[int], size: int, seed: tuple[int, ...], *, drop_last: bool
    ) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """(inputs `[N, 3, H, W]`, goldens `[N, G, 3, H, W]`, defect `[N]`) with rows that cannot be read left out."""
        pairs: list[LoadedPair] = []
        labels: list[bool] = []
        work = list(enumerate(order))
        for (_, place), pair in zip(work, ordered_map(lambda w: self._one(w, seed), work, self._workers), strict=True):
            if isinstance(pair, str):
                self.errors[place] = pair
                continue
            pairs.append(pair)
            labels.append(self._rows[place].is_defect)
            if len(pairs) == size:
                yield (*tensors(pairs), torch.tensor(labels))
                pairs, labels = [], []
        if pairs and not drop_last:
            yield (*tensors(pairs), torch.tensor(labels))

    def _one(self, work: tuple[int, int], seed: tuple[int, ...]) -> LoadedPair | str:
        number, place = work
        rng = np.random.default_rng([*seed, number])
        try:
            if self._augmentation is None:
                return self._loader.load(self._rows[place])
            pair = self._loader.load(self._rows[place], rng)
        except (WorkError, OSError) as error:
            return reason(error)
        height, width = pair.input.shape[:2]
        return augmented(pair, draw(self._augmentation, rng, square=height == width))


def tensors(pairs: Sequence[LoadedPair]) -> tuple[Tensor, Tensor]:
    """Float tensors of loaded pairs, 0..255."""
    image = torch.from_numpy(np.stack([p.input for p in pairs])).permute(0, 3, 1, 2).float()
    goldens = torch.from_numpy(np.stack([p.goldens for p in pairs])).permute(0, 1, 4, 2, 3).float()
    return image.contiguous(), goldens.contiguous()
