"""Images that are in a data set twice: the same bytes, or the same picture saved again (other format, size, light)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from noescape.imaging import perceptual_hash

Float = npt.NDArray[np.float32]

MAX_BITS = 6  # of 64. Copies in JPEG of quality 60, half size, other gamma: at most 6 bits on tiles, cells and boards
MIN_CORRELATION = 0.97  # Those copies: .98 and more. Different tiles, modules, panels that pass MAX_BITS: at most .97
GRID = 32
DETAIL_SIGMA = 2.0
ENOUGH_FOR_MEAN = 8
BLOCK = 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class Fingerprint:
    """What is kept of one image: `sha256` of its file, 64 perceptual `bits`, and its fine `detail` `[1024]`."""

    sha256: str
    bits: int
    detail: Float


def fingerprint(sha256: str, rgb: npt.NDArray[np.uint8]) -> Fingerprint:
    """Fingerprint of a decoded image: about 0.3 ms and 4 KB."""
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (GRID, GRID), interpolation=cv2.INTER_AREA).astype(np.float32)
    detail = (small - cv2.GaussianBlur(small, (0, 0), DETAIL_SIGMA)).ravel()
    return Fingerprint(sha256=sha256, bits=perceptual_hash(rgb), detail=_unit(detail - detail.mean()))


def same_bytes(prints: Sequence[Fingerprint]) -> list[list[int]]:
    """Groups of indices (two or more, ascending) with identical files."""
    by_digest: dict[str, list[int]] = defaultdict(list)
    for i, p in enumerate(prints):
        by_digest[p.sha256].append(i)
    return [members for members in by_digest.values() if len(members) > 1]


def same_picture(prints: Sequence[Fingerprint]) -> list[list[int]]:
    """Groups of indices (two or more, ascending) that show one and the same picture in different files.

    Two pictures count as one when their perceptual bits nearly agree and their fine detail, less what all pictures
    of the set have in common (fixture, bus bars, print), correlates: parts of one kind all look alike, but each
    has its own grain and noise. Identical files are compared once. Chains join: a~b and b~c give one group.
    Cost: n^2 / 2 products of 64 numbers (10,000 images: about 1 s), memory linear in n.
    """
    first = {p.sha256: i for i, p in reversed(list(enumerate(prints)))}
    index = sorted(first.values())
    if len(index) < 2:
        return []
    words = np.array([prints[i].bits for i in index], dtype=np.uint64)
    signs = np.unpackbits(words.byteswap().view(np.uint8).reshape(-1, 8), axis=1).astype(np.float32) * 2 - 1
    detail = np.stack([prints[i].detail for i in index])
    if len(index) >= ENOUGH_FOR_MEAN:
        detail = detail - detail.mean(axis=0)
        detail /= np.maximum(np.linalg.norm(detail, axis=1, keepdims=True), 1e-6)
    parent = list(range(len(index)))
    for start in range(0, len(index), BLOCK):
        rows = slice(start, start + BLOCK)
        near = signs[rows] @ signs[start:].T >= 64 - 2 * MAX_BITS
        near &= np.arange(near.shape[1])[None, :] > np.arange(near.shape[0])[:, None]
        have_row, have_column = np.flatnonzero(near.any(axis=1)), np.flatnonzero(near.any(axis=0))
        alike = detail[start + have_row] @ detail[start + have_column].T > MIN_CORRELATION
        for a, b in zip(*np.nonzero(alike & near[np.ix_(have_row, have_column)]), strict=True):
            _join(parent, int(start + have_row[a]), int(start + have_column[b]))
    groups: dict[int, list[int]] = defaultdict(list)
    for k, i in enumerate(index):
        groups[_root(parent, k)].append(i)
    return [members for members in groups.values() if len(members) > 1]


def _unit(vector: Float) -> Float:
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-6), dtype=np.float32)


def _join(parent: list[int], a: int, b: int) -> None:
    low, high = sorted((_root(parent, a), _root(parent, b)))
    parent[high] = low


def _root(parent: list[int], i: int) -> int:
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i
