"""Pixel figures over any number of images in bounded memory: AUROC, average precision, best F1, AUPRO.

Every pixel's score falls into a bin, and three histograms are kept: pixels outside defects, pixels of defects, and
pixels of defects weighted by 1 / area of their region. The cumulative sum of the third, over the number of regions,
is PRO(t): the mean share of a region that lies over t.

A bin holds the float32 numbers that agree in sign, exponent and the first 13 bits of the fraction: two scores of one
bin differ by at most 2^-13 (0.012%) of their size. Scores of one bin count as ties, all else is exact, so
(`quantisation_error` computes these bounds for the data at hand):

- AUROC is off by at most half the share of (defect, other) pixel pairs that fall into one bin;
- AUPRO by at most half the sum over bins of (FPR step) · (PRO step), over the limit;
- average precision and best F1 by at most what reordering the pixels inside single bins can change; precision,
  recall and F1 are exact for the threshold that is given with them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from noescape.metrics.counts import area_under_roc, at_or_above, best_f1_level, f1_by_level, mean_precision
from noescape.metrics.histogram import Histogram, bin_floor, bins_of, union
from noescape.metrics.ranking import BestF1, f1_at

MAX_FPR = 0.3


@dataclass(frozen=True, kw_only=True, slots=True)
class PixelCounts:
    """What the pixel figures rest on; `pixels` counts all, those of defects included."""

    images: int
    pixels: int
    defect_pixels: int
    regions: int


@dataclass(frozen=True, kw_only=True, slots=True)
class QuantisationError:
    """The most by which each figure can differ from the one computed without bins."""

    pixel_auroc: float
    average_precision: float
    best_f1: float
    aupro: float


class PixelScores:
    """Accumulates pixel scores and truth, image by image.

    Memory: 48 bytes for each bin in use (8,192 per octave of scores, 4 million bins at the very most) and up to
    8 MB of pixels not yet sorted into bins; while these are, 70 MB at worst. Cost of `add`: measured 0.4 to 1 ms for
    256 x 256, the more octaves the scores span the more. Everything is a sum, so the order of the images changes
    nothing but the last digits of AUPRO.
    """

    def __init__(self) -> None:
        self._other, self._defect, self._covered = Histogram(), Histogram(), Histogram()
        self._images = self._pixels = self._defect_pixels = self._regions = 0

    def add(
        self,
        anomaly_map: npt.NDArray[np.float32],
        mask: npt.NDArray[np.uint8] | None = None,
        regions: npt.NDArray[np.int32] | None = None,
    ) -> None:
        """Count one image: its map float32 `[H, W]`, its truth `[H, W]` (non-zero = defect; None = a good image).

        `regions` are the numbered 8-connected regions of the mask, 0 = background, as `imaging.label_regions` gives
        them; they must come with a mask. A defective image whose mask nobody drew must not be added: without a mask
        all its pixels would count as good. ValueError when shapes disagree, when the regions do not cover the mask
        exactly, or when a score is not finite; nothing is counted then.
        """
        bins = bins_of(anomaly_map)
        if mask is None:
            if regions is not None:
                raise ValueError("regions without a mask: expected both, or neither for a good image")
            self._other.add(bins)
            defect_pixels = count = 0
        else:
            inside, number_of_pixel, areas = _truth(anomaly_map, mask, regions)
            found = bins[inside]
            self._other.add(bins[~inside])
            self._defect.add(found)
            self._covered.add(found, 1.0 / areas[number_of_pixel])
            defect_pixels, count = len(found), int(np.count_nonzero(areas))
        self._images += 1
        self._pixels += bins.size
        self._defect_pixels += defect_pixels
        self._regions += count

    def merge(self, other: PixelScores) -> None:
        """Add everything that `other` counted, as if its images had been added here; `other` stays as it is."""
        self._other.merge(other._other)
        self._defect.merge(other._defect)
        self._covered.merge(other._covered)
        self._images += other._images
        self._pixels += other._pixels
        self._defect_pixels += other._defect_pixels
        self._regions += other._regions

    @property
    def n(self) -> PixelCounts:
        """What was counted so far."""
        return PixelCounts(
            images=self._images, pixels=self._pixels, defect_pixels=self._defect_pixels, regions=self._regions
        )

    def pixel_auroc(self) -> float | None:
        """The chance that a pixel of a defect scores above another pixel. None if either kind is missing."""
        _, other, defect, _ = self._levels()
        return area_under_roc(other, defect)

    def average_precision(self) -> float | None:
        """Average precision over all pixels. None if either kind is missing."""
        _, other, defect, _ = self._levels()
        return mean_precision(other, defect)

    def best_f1(self) -> BestF1 | None:
        """The best F1 over all pixels, with the threshold (a float32 number between two bins). None as above."""
        bins, other, defect, _ = self._levels()
        at = best_f1_level(other, defect)
        if at is None:
            return None
        threshold = float(np.nextafter(bin_floor(int(bins[at])), np.float32(-np.inf)))
        return f1_at(other, defect, at, threshold)

    def aupro(self, max_fpr: float = MAX_FPR) -> float | None:
        """The area under PRO over the pixel false alarm rate, up to `max_fpr`, divided by `max_fpr`.

        The curve is joined by straight lines, at the limit too. None if either kind of pixel is missing; ValueError
        unless 0 < max_fpr <= 1.
        """
        if not 0 < max_fpr <= 1:
            raise ValueError(f"max_fpr: expected a number over 0 and at most 1, got {max_fpr!r}")
        curve = self._pro_curve()
        if curve is None:
            return None
        fpr, pro = curve
        upto = int(np.searchsorted(fpr, max_fpr, "right"))
        end = float(np.interp(max_fpr, fpr, pro)) if upto < len(fpr) else float(pro[-1])
        x, y = np.append(fpr[:upto], max_fpr), np.append(pro[:upto], end)
        return min(1.0, float(np.dot(np.diff(x), (y[1:] + y[:-1]) / 2)) / max_fpr)

    def quantisation_error(self, max_fpr: float = MAX_FPR) -> QuantisationError | None:
        """How far the bins can have moved each figure, at most, on this data. None if a kind of pixel is missing."""
        _, other, defect, _ = self._levels()
        curve = self._pro_curve()
        if curve is None:
            return None
        fpr, pro = curve
        within = fpr[:-1] < max_fpr
        total, found, false = defect.sum(), at_or_above(defect), at_or_above(other)
        # Inside a bin the defects may all come first (false alarms of the bins above only) or all last.
        gains = np.flatnonzero(defect)
        first = found[gains] / (found + false - other)[gains]
        one_found = (found - defect)[gains] + 1
        last = one_found / (one_found + false[gains])
        best_inside = 2 * found / (found + false - other + total)
        return QuantisationError(
            pixel_auroc=float(np.dot(other, defect)) / (2 * float(other.sum()) * float(total)),
            average_precision=float(np.dot(defect[gains], first - last)) / float(total),
            best_f1=float(best_inside.max() - f1_by_level(other, defect).max()),
            aupro=float(np.dot(np.diff(fpr)[within], np.diff(pro)[within])) / (2 * max_fpr),
        )

    def _levels(self) -> tuple[npt.NDArray[np.int64], _Counts, _Counts, _Counts]:
        """The bins in use, ascending, and the three histograms over them."""
        bins = union(self._other.bins, self._defect.bins)
        return bins, self._other.over(bins), self._defect.over(bins), self._covered.over(bins)

    def _pro_curve(self) -> tuple[_Counts, _Counts] | None:
        """False alarm rate and PRO, from (0, 0) at the highest threshold to (1, 1)."""
        _, other, defect, covered = self._levels()
        if not other.any() or not defect.any():
            return None
        fpr = np.append(0.0, np.cumsum(other[::-1]) / other.sum())
        pro = np.append(0.0, np.cumsum(covered[::-1]) / self._regions)
        return fpr, np.minimum(pro, 1.0)


_Counts = npt.NDArray[np.float64]


def _truth(
    anomaly_map: npt.NDArray[np.float32], mask: npt.NDArray[np.uint8], regions: npt.NDArray[np.int32] | None
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """The mask as flat booleans, the region number of each defect pixel, and the area of each region number."""
    if regions is None:
        raise ValueError("a mask without its regions: expected imaging.label_regions(mask) beside it")
    if not anomaly_map.shape == mask.shape == regions.shape:
        raise ValueError(
            f"expected map, mask and regions of one shape, got {anomaly_map.shape}, {mask.shape}, {regions.shape}"
        )
    inside = mask.ravel() != 0
    numbers = regions.ravel()
    if regions.dtype.kind not in "iu" or not np.array_equal(numbers != 0, inside) or numbers.min() < 0:
        raise ValueError("expected regions to number exactly the pixels of the mask, from 1, and 0 elsewhere")
    if numbers.max() > numbers.size:
        raise ValueError(f"expected region numbers up to the number of pixels, got {numbers.max()}")
    of_pixel = numbers[inside]
    return inside, of_pixel, np.bincount(of_pixel)
