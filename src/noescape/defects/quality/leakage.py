"""Leakage: pictures that show what a test split shows. Whoever learns from them has seen the test.

Three ways in: the test's very file, its surface under another defect or light (by the correlation of the fine detail
outside of the masks; in a large test of those with a similar perceptual hash), and its defect on another surface.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import numpy.typing as npt

from noescape.defects.copies import Gallery, Poses, poses_of
from noescape.imaging import hamming, perceptual_hash

U8 = npt.NDArray[np.uint8]
Bool = npt.NDArray[np.bool_]
Float = npt.NDArray[np.float32]
Spectrum = npt.NDArray[np.complex64]

GRID = 128
COARSE, FINE = 4.0, 0.8  # cells: what is slower than the first is light, what is finer than the second is noise
MAX_SHIFT = 8  # cells that the one may lie beside the other
MAX_BITS = 28  # of 64: on tiles a large defect and other light turn over up to 28; unlike pictures 32 +- 4
SAME_DEFECT = 0.97  # 212 defects of magnetic tiles against those of other tiles: .965 at most, eight above .95
LEAST_FREE = 0.3  # of a picture: less than that left beside a defect proves nothing
SAME_SURFACE = 0.45  # magnetic tiles in other light, flipped, shifted, with a defect: .72 and more; others: to .25
LARGE = 300  # pictures of a test up to which every one is compared, whatever its hash
BLOCK = 64
FLIPS: tuple[tuple[int, ...], ...] = ((), (0,), (1,), (0, 1))


@dataclass(frozen=True, kw_only=True, eq=False)
class Seen:
    """One picture of the test: its file's digest, its hash, the spectrum of its detail, its defect. About 70 KB."""

    name: str
    kind: str
    sha256: str
    bits: int
    spectrum: Spectrum
    defect: Poses | None


@dataclass(frozen=True, kw_only=True, eq=False)
class Test:
    """All pictures of a test split; `common` [GRID, GRID] is the detail that they share (fixture, print, bus bars)."""

    __test__ = False  # no test class, whatever pytest thinks of the name
    seen: tuple[Seen, ...]
    common: Float

    @cached_property
    def flawed(self) -> Mapping[str | None, tuple[tuple[str, ...], Gallery]]:
        """Names and poses of its defects by type, and of all under None."""
        by_kind: dict[str | None, list[tuple[str, Poses]]] = {None: []}
        for one in self.seen:
            if one.defect is not None:
                for kind in (None, one.kind):
                    by_kind.setdefault(kind, []).append((one.name, one.defect))
        return {k: (tuple(n for n, _ in rows), Gallery([p for _, p in rows])) for k, rows in by_kind.items()}


@dataclass(frozen=True, kw_only=True, slots=True)
class Leak:
    """`how` is file, surface or defect; `likeness` the correlation (1 for the same file)."""

    name: str
    test: str
    how: str
    likeness: float


def common_detail(pictures: Sequence[U8]) -> Float:
    """What is alike in the detail of most pictures (their median; up to 50 are enough), which is no proof of a leak.

    Zero for fewer than eight pictures.
    """
    if len(pictures) < 8:
        return np.zeros((GRID, GRID), np.float32)
    return np.asarray(np.median(np.stack([detail(rgb) for rgb in pictures[:50]]), axis=0), np.float32)


def seen_of(name: str, kind: str, sha256: str, rgb: U8, mask: Bool | None, common: Float) -> Seen:
    """What is kept of one picture of the test; `mask` None for a good one. About 5 CPU-ms."""
    marked = mask is not None and bool(mask.any())
    return Seen(
        name=name, kind=kind, sha256=sha256, bits=perceptual_hash(rgb), spectrum=_spectrum(rgb, _grid(mask), common),
        defect=poses_of(rgb, mask) if marked and mask is not None else None,
    )  # fmt: skip


def leaks_of(name: str, kind: str, sha256: str, rgb: U8, mask: Bool | None, test: Test) -> list[Leak]:
    """Every picture of the test that this one shows, the surest way only. About .3 CPU-ms for a picture of the test,
    and .1 CPU-ms more for each with a defect of its type (of any type where the test has none of this one)."""
    likeness = surfaces(rgb, mask, test)
    out = []
    for one, value in zip(test.seen, likeness, strict=True):
        if one.sha256 == sha256:
            out.append(Leak(name=name, test=one.name, how="file", likeness=1.0))
        elif value >= SAME_SURFACE:
            out.append(Leak(name=name, test=one.name, how="surface", likeness=round(float(value), 4)))
    names, gallery = test.flawed.get(kind) or test.flawed[None]
    found = gallery.likest(rgb, mask) if mask is not None and mask.any() else None
    if found is not None and found.ncc >= SAME_DEFECT:
        shown = names[found.example]
        known = {leak.test for leak in out}
        out += [] if shown in known else [Leak(name=name, test=shown, how="defect", likeness=found.ncc)]
    return out


def surfaces(rgb: U8, mask: Bool | None, test: Test) -> npt.NDArray[np.float64]:
    """For each picture of the test the correlation of both details where neither has its defect, in the best of four
    flips and at the best shift of up to MAX_SHIFT cells; 0 where hashes of a large test differ too much."""
    best = np.zeros(len(test.seen))
    for axes in FLIPS:
        flipped = np.ascontiguousarray(np.flip(rgb, axes))
        bits = perceptual_hash(flipped)
        rows = [i for i, s in enumerate(test.seen) if len(test.seen) <= LARGE or hamming(bits, s.bits) <= MAX_BITS]
        # A picture that shows one of the test in this flip has, so flipped, the common part as the test has it.
        mine = _spectrum(flipped, np.flip(_grid(mask), axes), test.common)
        for at in range(0, len(rows), BLOCK):
            part = rows[at : at + BLOCK]
            over = correlations(mine, np.stack([test.seen[i].spectrum for i in part]))
            best[part] = np.maximum(best[part], over.max(axis=(1, 2)))
    return best


def correlations(mine: Spectrum, others: Spectrum) -> Float:
    """The circular correlations [N, 2 S + 1, 2 S + 1] of one spectrum with N others at shifts of up to S = MAX_SHIFT:
    the inverse Fourier transform at those points alone, a third of the time of all of them."""
    return np.asarray((_ROWS @ (mine.conj()[None] * others) @ _COLUMNS).real, np.float32)


def detail(rgb: U8, covered: Bool | None = None) -> Float:
    """Grain, scratches and print of a picture on a grid, less light, shading, and what whole rows or columns share.

    Cells that are `covered` (by a defect) come out as zero and have no say in the others.
    """
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    small = np.log1p(cv2.resize(grey, (GRID, GRID), interpolation=cv2.INTER_AREA).astype(np.float32))
    free = np.ones_like(small) if covered is None else (~covered).astype(np.float32)
    fine = _blurred((small - _blurred(small, free, COARSE)) * free, free, FINE) * free
    for axis in (0, 1):
        fine = (fine - fine.sum(axis, keepdims=True) / np.maximum(free.sum(axis, keepdims=True), 1)) * free
    size = float(np.sqrt((fine**2).sum() / max(float(free.sum()), 1.0)))
    here = np.sqrt(_blurred(fine**2, free, COARSE))  # an edge of the part must not count for more than its grain
    return np.asarray(np.clip(fine / np.maximum(here, max(0.2 * size, 1e-6)), -3, 3) * free, np.float32)


def _blurred(values: Float, free: Float, sigma: float) -> Float:
    """A Gaussian blur in which only the free cells have a say."""
    share = cv2.GaussianBlur(free, (0, 0), sigma)
    return np.asarray(cv2.GaussianBlur(values * free, (0, 0), sigma) / np.maximum(share, 1e-3), np.float32)


def _points() -> tuple[Spectrum, Spectrum]:
    """Left and right factor of the inverse transform of a half spectrum at the shifts wanted; all columns but the
    first and the last stand for two."""
    shift = np.arange(-MAX_SHIFT, MAX_SHIFT + 1)
    turn = 2j * np.pi / GRID
    rows = np.exp(turn * np.outer(shift, np.arange(GRID))) / GRID
    twice = np.where(np.isin(np.arange(GRID // 2 + 1), (0, GRID // 2)), 1, 2)[:, None]
    columns = np.exp(turn * np.outer(np.arange(GRID // 2 + 1), shift)) * twice / GRID
    return rows.astype(np.complex64), columns.astype(np.complex64)


_ROWS, _COLUMNS = _points()


def _spectrum(rgb: U8, covered: Bool, common: Float) -> Spectrum:
    """Of the detail less the common one, at unit energy where nothing covers it; zero where it is mostly covered."""
    free = ~covered
    if free.mean() < LEAST_FREE:
        return np.zeros((GRID, GRID // 2 + 1), np.complex64)
    kept = np.where(free, detail(rgb, covered) - common, 0.0)
    return np.asarray(np.fft.rfft2(kept) / max(float(np.linalg.norm(kept)), 1e-9), np.complex64)


def _grid(mask: Bool | None) -> Bool:
    """Cells that a mask touches, and their neighbours."""
    if mask is None or not mask.any():
        return np.zeros((GRID, GRID), np.bool_)
    share = cv2.resize(np.ascontiguousarray(mask).astype(np.float32), (GRID, GRID), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.dilate((share > 0).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0, np.bool_)
