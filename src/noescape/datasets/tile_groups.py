"""Which captures of the magnetic-tile set show the same physical tile.

The set numbers its captures in the order in which they were taken, whatever the exposure. A tile was shot about six
times in a row, so captures whose numbers lie close together are one tile. Some tiles come back minutes later: those
are found by comparing the pictures, since the grinding marks of a tile are as good as a fingerprint.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

MAX_GAP = 150  # numbers further apart start a new run; within one run of six captures gaps are under 130
MIN_MATCH = 0.45  # different tiles were never seen over .38, returning tiles never under .73
SIZE_TOLERANCE = 0.2  # of the logarithm of height and width: the crop around one tile varies by some 10 pixels
GRID = 128
MAX_SHIFT = 20  # of GRID pixels
PER_RUN = 2  # representatives per run, kind and size: two, as one may be a dark exposure

Grey = npt.NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Capture:
    """One photograph: its running number, what it shows (`kind`) and its size in pixels."""

    number: int
    kind: str
    height: int
    width: int


def physical_tiles(captures: Sequence[Capture], load: Callable[[int], Grey]) -> list[int]:
    """For each capture the index of its tile, 0, 1, … in the order of capture numbers.

    `load(i)` gives the grey image of capture `i`; it is asked only for representatives. A joined tile errs on the
    safe side: two tiles called one cost a little training data, one tile called two leaks.
    Cost: a Fourier transform per representative and one per pair of similar size, about 4 CPU-s for 730 captures.
    """
    order = sorted(range(len(captures)), key=lambda i: (captures[i].number, i))
    runs = _runs(captures, order)
    parent = list(range(max(runs, default=-1) + 1))
    for a, b in _returns(captures, order, runs, load):
        low, high = sorted((_root(parent, a), _root(parent, b)))
        parent[high] = low
    index: dict[int, int] = {}
    tiles = [0] * len(captures)
    for i in order:
        tiles[i] = index.setdefault(_root(parent, runs[i]), len(index))
    return tiles


def _runs(captures: Sequence[Capture], order: Sequence[int]) -> list[int]:
    runs = [0] * len(captures)
    for before, i in itertools.pairwise(order):
        runs[i] = runs[before] + (captures[i].number - captures[before].number > MAX_GAP)
    return runs


def _returns(
    captures: Sequence[Capture], order: Sequence[int], runs: Sequence[int], load: Callable[[int], Grey]
) -> list[tuple[int, int]]:
    """Pairs of runs that show the same tile."""
    chosen = _representatives(captures, order, runs)
    if not chosen:
        return []
    spectra = np.stack([_spectrum(load(i)) for i in chosen])
    size = np.log([[captures[i].height, captures[i].width] for i in chosen])
    run = np.array([runs[i] for i in chosen])
    found = []
    for k in range(len(chosen) - 1):
        rest = np.arange(k + 1, len(chosen))
        near = rest[(np.abs(size[rest] - size[k]).max(axis=1) < SIZE_TOLERANCE) & (run[rest] != run[k])]
        if len(near):
            match = _correlation(spectra[k], spectra[near])
            found += [(int(run[k]), int(run[j])) for j in near[match > MIN_MATCH]]
    return found


def _representatives(captures: Sequence[Capture], order: Sequence[int], runs: Sequence[int]) -> list[int]:
    taken: dict[tuple[int, str], list[int]] = defaultdict(list)
    for i in order:
        one = captures[i]
        alike = [j for j in taken[runs[i], one.kind] if _alike(one, captures[j])]
        if len(alike) < PER_RUN:
            taken[runs[i], one.kind].append(i)
    return sorted(i for members in taken.values() for i in members)


def _alike(a: Capture, b: Capture) -> bool:
    return max(abs(math.log(a.height / b.height)), abs(math.log(a.width / b.width))) < SIZE_TOLERANCE


def _spectrum(grey: Grey) -> npt.NDArray[np.complex64]:
    """Unit-energy spectrum of the fine marks: light and slow shading, and the mean of each column, are taken out."""
    a = np.log1p(cv2.resize(grey, (GRID, GRID), interpolation=cv2.INTER_AREA).astype(np.float32))
    a = cv2.GaussianBlur(a - cv2.GaussianBlur(a, (0, 0), 4), (0, 0), 0.8)
    a = a - a.mean(axis=0, keepdims=True)
    a = np.clip(a / (a.std() + 1e-6), -3, 3) * np.outer(np.hanning(GRID), np.hanning(GRID))
    return np.asarray(np.fft.rfft2(a) / np.sqrt((a**2).sum() + 1e-12), dtype=np.complex64)


def _correlation(one: npt.NDArray[np.complex64], many: npt.NDArray[np.complex64]) -> npt.NDArray[np.float32]:
    """Highest correlation of `one` with each of `many` over shifts of up to MAX_SHIFT pixels."""
    over = np.fft.irfft2(one.conj() * many, s=(GRID, GRID))
    near = np.r_[0:MAX_SHIFT, GRID - MAX_SHIFT : GRID]
    return np.asarray(over[:, near][:, :, near].max(axis=(1, 2)), dtype=np.float32)


def _root(parent: list[int], i: int) -> int:
    while parent[i] != i:
        i = parent[i]
    return i
