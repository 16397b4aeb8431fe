"""Real examples as training views: random windows around the mask, turned and mirrored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import Dataset, DistributedSampler

from noescape.datasets.anomalygen import DefectType
from noescape.datasets.binary_mask import read_binary_mask
from noescape.defects.generators.diffusion.schedule import CROPS, VALIDATION, epoch_places, held_out, stream
from noescape.defects.generators.diffusion.window import U8, cut_pair, random_window
from noescape.defects.generators.diffusion.world import World
from noescape.imaging import read_picture
from noescape.records import ImageError


@dataclass(frozen=True, kw_only=True, eq=False)
class Views:
    """Windows of real examples: `image` float32 [N, 3, S, S] in -1..1, `mask` float32 [N, 1, S, S] 0 or 1."""

    image: torch.Tensor
    mask: torch.Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class TypeExamples:
    """The examples of one type, decoded: RGB and mask (0/255) each; `train` and `valid` index them.

    Where nothing could be held out, `valid` is empty and `judged` are the training images themselves.
    """

    key: str
    pairs: tuple[tuple[U8, U8], ...]
    train: tuple[int, ...]
    valid: tuple[int, ...]

    @property
    def judged(self) -> tuple[int, ...]:
        """What validation looks at."""
        return self.valid or self.train


def read_examples(kind: DefectType, holdout: float) -> TypeExamples:
    """Decode a type's pairs. ImageError for a mask that is blank or of another size. All are held in memory."""
    pairs = []
    for image, mask in kind.pairs:
        rgb, marked = read_picture(image).rgb, read_binary_mask(mask)
        if marked.shape != rgb.shape[:2] or not marked.any():
            raise ImageError(mask, "mask", f"expected a mask of {image.name}'s size that marks something")
        pairs.append((rgb, marked))
    train, valid = held_out(len(pairs), holdout)
    return TypeExamples(key=kind.key, pairs=tuple(pairs), train=tuple(train), valid=tuple(valid))


@dataclass(frozen=True, kw_only=True)
class Cropping:
    """How training views are cut: `size` pixels a side, windows of `ratio_range`, turned with `turn_share`."""

    size: int
    ratio_range: tuple[float, float]
    turn_share: float
    seed: int


def batch_of(examples: TypeExamples, cropping: Cropping, turn: int, batch: int, world: World, kind: int) -> Views:
    """The batch of this process at a type's `turn`-th step: a function of its arguments alone."""
    order: DistributedSampler[int] = DistributedSampler(
        cast("Dataset[int]", range(len(examples.train))),  # only its length is asked for
        num_replicas=world.size,
        rank=world.rank,
        seed=cropping.seed + kind,
    )
    chosen, epoch_now, rows = [], -1, []
    for epoch, place in epoch_places(turn * batch, batch, len(order)):
        if epoch != epoch_now:
            order.set_epoch(epoch)
            rows, epoch_now = list(order), epoch
        chosen.append(examples.train[rows[place]])
    rng = stream(cropping.seed, CROPS, kind, turn, world.rank)
    return _stacked([_view(examples.pairs[i], cropping, rng) for i in chosen])


def validation_views(examples: TypeExamples, cropping: Cropping, kind: int, number: int, crops: int) -> Views:
    """`crops` windows of judged image `number`, the same at every validation."""
    i = examples.judged[number]
    rng = stream(cropping.seed, VALIDATION, CROPS, kind, i)
    return _stacked([_view(examples.pairs[i], cropping, rng) for _ in range(crops)])


def tensor_of(image: U8) -> torch.Tensor:
    """RGB uint8 [S, S, 3] as float32 [1, 3, S, S] in -1..1."""
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))[None]).float() / 127.5 - 1


def _view(pair: tuple[U8, U8], cropping: Cropping, rng: np.random.Generator) -> tuple[U8, U8]:
    image, mask = pair
    part = _one_part(mask, rng) if rng.random() < 0.5 else mask
    window = random_window(part, cropping.ratio_range, rng)
    view, label = cut_pair(image, mask, window, cropping.size)
    if rng.random() < cropping.turn_share:
        quarter, mirrored = int(rng.integers(4)), bool(rng.integers(2))
        view, label = (np.rot90(a, quarter) for a in (view, label))
        view, label = (np.fliplr(a) if mirrored else a for a in (view, label))
    return np.ascontiguousarray(view), np.ascontiguousarray(label)


def _one_part(mask: U8, rng: np.random.Generator) -> U8:
    """A random connected part: defects of many parts are also seen from nearby, as they are drawn one by one."""
    count, labels = cv2.connectedComponents((mask > 0).astype(np.uint8), connectivity=8)
    chosen: npt.NDArray[np.bool_] = labels == 1 + int(rng.integers(count - 1))
    return (chosen * np.uint8(255)).astype(np.uint8)


def _stacked(views: Sequence[tuple[U8, U8]]) -> Views:
    masks = np.stack([(mask > 0).astype(np.float32) for _, mask in views])
    return Views(image=torch.cat([tensor_of(image) for image, _ in views]), mask=torch.from_numpy(masks[:, None]))
