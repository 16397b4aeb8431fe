"""What the streaming pixel figures refuse, counting nothing of it; and what they take."""

from __future__ import annotations

import math

import numpy as np
import pytest

from noescape.imaging import label_regions
from noescape.metrics import PixelScores


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 2e38])
def test_one_bad_score_refuses_the_image_and_counts_nothing(bad):
    values = np.zeros((4, 4), np.float32)
    values[2, 1] = bad
    pixels = PixelScores()
    with pytest.raises(ValueError, match="finite"):
        pixels.add(values)
    assert pixels.n.images == 0


def test_truth_that_does_not_fit_is_refused_and_counts_nothing():
    values, mask = np.zeros((4, 4), np.float32), np.zeros((4, 4), np.uint8)
    mask[1, 1] = 255
    regions = label_regions(mask)
    pixels = PixelScores()
    for arguments, message in [
        ((values.astype(np.float64), mask, regions), "float32"),
        ((values[:0], None, None), "float32"),
        ((values, mask, None), "label_regions"),
        ((values, None, regions), "without a mask"),
        ((values[:3], mask, regions), "one shape"),
        ((values, mask, regions[:, :3]), "one shape"),
        ((values, mask, regions * 0), "exactly the pixels"),
        ((values, mask, -regions), "exactly the pixels"),
        ((values, mask, regions.astype(np.float32)), "exactly the pixels"),
        ((values, mask, regions * 17), "up to the number"),
    ]:
        with pytest.raises(ValueError, match=message):
            pixels.add(*arguments)
    assert pixels.n.pixels == 0
    assert not len(pixels._other.bins) + len(pixels._defect.bins)


@pytest.mark.parametrize("limit", [0, -0.1, 1.1, math.nan])
def test_impossible_limits_are_refused(limit):
    with pytest.raises(ValueError, match="max_fpr"):
        PixelScores().aupro(limit)


def test_region_numbers_need_not_be_consecutive():
    values = np.arange(16, dtype=np.float32).reshape(4, 4)
    mask = np.zeros((4, 4), np.uint8)
    mask[0, 0] = mask[3, 3] = 1
    regions = label_regions(mask)
    plain, gappy = PixelScores(), PixelScores()
    plain.add(values, mask, regions)
    gappy.add(values, mask, regions * 5)
    assert gappy.n == plain.n
    assert gappy.aupro() == plain.aupro()
