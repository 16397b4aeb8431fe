"""Mutual information at every shift at once: pictures as a few tones, counted together by FFT.

How often tone i of one picture meets tone j of the other is, for all shifts at once, a correlation; from these counts
follows the mutual information of each shift (the idea of Öfverstedt, Lindblad and Sladoje, "Fast computation of mutual
information in the frequency domain", 2021). Nothing is sampled and no start is needed: no wrong basin can catch it.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

TONES = 5
Float = npt.NDArray[np.float32]
Grey8 = npt.NDArray[np.uint8]
Spectrum = npt.NDArray[np.complex64]
_FINER = 5  # edges are looked for in a picture so much larger
_SLOW = 1 / 6  # of the longer side: slower changes are light, not board


def channels(grey: Grey8, size: tuple[int, int], side: int) -> list[Float]:
    """Two small pictures [height, width] of `size`: its tones, and how strong edges are in each place.

    Tones alone lose thin tracks, which vanish in the mean of an area: of 20 sparse drawn boards they found 8, edges
    all. Edges alone would trust in noise and gloss. Slow changes of light are taken out; `side` is the unit for that.
    """
    h, w = size
    finer = (min(grey.shape[1], w * _FINER), min(grey.shape[0], h * _FINER))
    fine = cv2.GaussianBlur(cv2.resize(grey, finer, interpolation=cv2.INTER_AREA).astype(np.float32), (0, 0), 1.2)
    edges = np.sqrt(cv2.magnitude(cv2.Scharr(fine, cv2.CV_32F, 1, 0), cv2.Scharr(fine, cv2.CV_32F, 0, 1)))
    small = [cv2.resize(one, (w, h), interpolation=cv2.INTER_AREA) for one in (fine, edges)]
    return [one - cv2.GaussianBlur(one, (0, 0), side * _SLOW, borderType=cv2.BORDER_REFLECT) for one in small]


def cuts(grey: Float) -> Float:
    """Between tones of equal area; a flat picture gets fewer tones."""
    return np.unique(np.quantile(grey, np.arange(1, TONES) / TONES).astype(np.float32))


def one_hot(grey: Float, between: Float) -> Float:
    """One picture of zeros and ones a tone, [TONES, height, width]."""
    tones = np.digitize(grey, between)
    return np.stack([(tones == i).astype(np.float32) for i in range(TONES)])


def spectrum(tones: Float, size: tuple[int, int]) -> Spectrum:
    """Of each tone, padded to `size`."""
    return np.asarray(np.fft.rfft2(tones, size), dtype=np.complex64)


def joint(a: Spectrum, b: Spectrum, size: tuple[int, int]) -> Float:
    """How often tone i meets tone j at each shift, [TONES, TONES, *size]; the first spectrum is a conjugate."""
    return np.asarray(np.fft.irfft2(a[:, None] * b[None], size), dtype=np.float32)


def information(counts: Float, total: int, least_coverage: float) -> Float:
    """Mutual information of each shift times the share of the `total` pixels that meet; minus infinity under
    `least_coverage`, since a sliver of overlap fits anything."""
    counts = np.maximum(counts, 0)
    seen = counts.sum(axis=(0, 1))
    both = _n_log_n(counts).sum(axis=(0, 1)) + _n_log_n(seen)
    apart = _n_log_n(counts.sum(axis=0)).sum(axis=0) + _n_log_n(counts.sum(axis=1)).sum(axis=0)
    coverage = seen / total
    mi = (both - apart) / np.maximum(seen, 1) * coverage
    return np.where(coverage >= least_coverage, mi, -np.inf).astype(np.float32)


def _n_log_n(counts: Float) -> Float:
    return np.asarray(counts * np.log(np.maximum(counts, 0.5)), dtype=np.float32)
