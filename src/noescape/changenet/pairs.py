"""A pair to compare, and how pairs come from disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from noescape.datasets.deeppcb import deeppcb_pairs
from noescape.imaging import read_picture
from noescape.records import Box, DataError, ImageError

Image = npt.NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A golden and a test image, where the test image is defective, and what must never be split (`group`).

    `key` names the pair in results. Images are paths, read when they are needed, or uint8 arrays `[H, W]` or
    `[H, W, 3]`. `types` names the defect in each box, or is empty where nobody says.
    """

    key: str
    golden: Path | Image
    test: Path | Image
    boxes: tuple[Box, ...] = ()
    types: tuple[str, ...] = ()
    group: str = ""

    def __post_init__(self) -> None:
        if self.types and len(self.types) != len(self.boxes):
            raise DataError(f"pair {self.key!r}: expected a type per box, got {len(self.types)} for {len(self.boxes)}")

    def images(self) -> tuple[Image, Image]:
        """Golden and test image. ImageError when one cannot be read, DataError when their sizes differ."""
        golden, test = _pixels(self.golden), _pixels(self.test)
        if golden.shape[:2] != test.shape[:2]:
            sizes = f"{golden.shape[1]}x{golden.shape[0]} and {test.shape[1]}x{test.shape[0]}"
            raise DataError(f"pair {self.key!r}: golden and test image must have one size in pixels, got {sizes}")
        return golden, test


def read_deeppcb(source: Path, skipped: list[ImageError]) -> list[Pair]:
    """The pairs of DeepPCB (the folder `PCBData`, or the one that holds it); the group is the panel.

    Pairs that cannot be used go to `skipped`; images are not opened here.
    """
    return [
        Pair(key=p.key, golden=p.golden, test=p.test, boxes=p.boxes, types=p.types, group=p.panel)
        for p in deeppcb_pairs(source, skipped)
    ]


def groups_of(pairs: Sequence[Pair]) -> list[str]:
    """The groups among `pairs`, sorted."""
    return sorted({pair.group for pair in pairs})


def _pixels(image: Path | Image) -> Image:
    return read_picture(image).rgb if isinstance(image, Path) else image
