"""Promises of the streaming pixel figures: within their stated error of the exact ones, and bounded in memory."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score

from noescape.imaging import label_regions
from noescape.metrics import PixelScores
from noescape.metrics.histogram import RELATIVE_STEP, bin_floor, bins_of

SIDE = 24


def images(rng, count, make):
    """Pairs of map and mask (None for every third image); the defects overlap the rest in score."""
    for i in range(count):
        mask = None
        values = make(rng.normal(size=(SIDE, SIDE)))
        if i % 3:
            mask = np.zeros((SIDE, SIDE), np.uint8)
            for _ in range(rng.integers(1, 4)):
                y, x = rng.integers(0, SIDE - 6, 2)
                mask[y : y + rng.integers(1, 7), x : x + rng.integers(1, 7)] = 255
            values = np.where(mask > 0, make(rng.normal(size=(SIDE, SIDE)) + 1), values)
        yield values.astype(np.float32), mask


SHAPES = {
    "signed": lambda z: z,
    "far from zero": lambda z: 5 * z + 40,
    "over many octaves": lambda z: np.exp(3 * z),
    "negative": lambda z: -np.exp(-z),
    "few levels": lambda z: np.round(z),
    "clipped at zero": lambda z: np.maximum(z, 0),
}


def collect(pairs):
    pixels = PixelScores()
    for values, mask in pairs:
        pixels.add(values, mask, None if mask is None else label_regions(mask))
    return pixels


def flat(pairs):
    truth = np.concatenate([(np.zeros(v.shape) if m is None else m > 0).ravel() for v, m in pairs]).astype(int)
    return truth, np.concatenate([v.ravel() for v, _ in pairs]).astype(np.float64)


def brute_aupro(pairs, max_fpr):
    """Every distinct score is a threshold; every region is counted by itself."""
    truth, scores = flat(pairs)
    regions, start = [], 0
    for values, mask in pairs:
        if mask is not None:
            labels, count = ndimage.label(mask > 0, structure=np.ones((3, 3)))
            regions += [values[labels == i].astype(np.float64) for i in range(1, count + 1)]
        start += values.size
    curve = [(0.0, 0.0)]
    for t in np.unique(scores)[::-1]:
        curve.append((np.mean(scores[truth == 0] >= t), np.mean([np.mean(r >= t) for r in regions])))
    area = 0.0
    for (x0, y0), (x1, y1) in pairwise(curve):
        if x0 >= max_fpr:
            break
        if x1 > max_fpr:
            y1 = y0 + (y1 - y0) * (max_fpr - x0) / (x1 - x0)
            x1 = max_fpr
        area += (x1 - x0) * (y0 + y1) / 2
    return area / max_fpr


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("max_fpr", [0.3, 0.05, 1.0])
def test_every_figure_is_within_its_stated_error_of_the_exact_one(shape, max_fpr):
    pairs = list(images(np.random.default_rng(7), 6, SHAPES[shape]))
    pixels, (truth, scores) = collect(pairs), flat(pairs)
    error = pixels.quantisation_error(max_fpr)
    tiny = 1e-12
    precision, recall, _ = precision_recall_curve(truth, scores)
    exact_f1 = np.max(2 * precision * recall / np.maximum(precision + recall, 1e-300))
    assert abs(pixels.pixel_auroc() - roc_auc_score(truth, scores)) <= error.pixel_auroc + tiny
    assert abs(pixels.average_precision() - average_precision_score(truth, scores)) <= error.average_precision + tiny
    assert -tiny <= exact_f1 - pixels.best_f1().f1 <= error.best_f1 + tiny
    assert abs(pixels.aupro(max_fpr) - brute_aupro(pairs, max_fpr)) <= error.aupro + tiny


@pytest.mark.parametrize("shape", ["signed", "far from zero", "over many octaves", "negative"])
def test_the_stated_error_is_small(shape):
    """A bound of 1 would keep the promise above, too."""
    error = collect(images(np.random.default_rng(8), 6, SHAPES[shape])).quantisation_error()
    assert error.pixel_auroc < 1e-3
    assert error.aupro < 1e-3
    assert error.average_precision < 0.02
    assert error.best_f1 < 0.01


def test_scores_that_fall_on_bins_are_exact():
    rng = np.random.default_rng(9)
    pairs = list(images(rng, 6, lambda z: np.round(z * 8) / 8))
    pixels, (truth, scores) = collect(pairs), flat(pairs)
    assert pixels.pixel_auroc() == pytest.approx(roc_auc_score(truth, scores), abs=1e-12)
    assert pixels.average_precision() == pytest.approx(average_precision_score(truth, scores), abs=1e-12)
    assert pixels.aupro() == pytest.approx(brute_aupro(pairs, 0.3), abs=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_best_threshold_gives_exactly_the_f1_it_states(shape):
    pairs = list(images(np.random.default_rng(10), 6, SHAPES[shape]))
    best, (truth, scores) = collect(pairs).best_f1(), flat(pairs)
    over = scores > best.threshold
    found = int((over & (truth == 1)).sum())
    assert best.f1 == pytest.approx(2 * found / (over.sum() + truth.sum()), abs=1e-15)
    assert best.precision == found / over.sum()
    assert best.recall == found / truth.sum()
    assert np.array_equal(scores.astype(np.float32) > best.threshold, over)


@given(st.lists(st.floats(-(2.0**126), 2.0**126, width=32), min_size=1, max_size=50))
@settings(max_examples=300)
def test_bins_keep_the_order_and_are_narrow(values):
    array = np.array(values, dtype=np.float32)
    bins = bins_of(array)
    order = np.argsort(array, kind="stable")
    assert (np.diff(bins[order].astype(np.int64)) >= 0).all()
    for value, number in zip(array, bins):
        low, following = float(bin_floor(int(number))), float(bin_floor(int(number) + 1))
        assert low <= value < following
        if abs(value) > 1e-37:  # under that, float32 itself is coarser than relative
            assert following - low <= RELATIVE_STEP * max(abs(low), abs(following))


def test_zero_and_minus_zero_are_one_score():
    a, b = bins_of(np.array([0.0, -0.0], dtype=np.float32))
    assert a == b


def test_memory_does_not_grow_with_the_number_of_images():
    rng = np.random.default_rng(1)
    pixels = PixelScores()
    mask = np.zeros((256, 256), np.uint8)
    mask[10:20, 10:20] = 1
    regions = label_regions(mask)
    sizes = []
    for _ in range(2):
        for _ in range(70):
            pixels.add(rng.random((256, 256), dtype=np.float32) + 1, mask, regions)
        held = [pixels._other, pixels._defect, pixels._covered]
        assert all(h._n_waiting < 1 << 21 for h in held)
        sizes.append(sum(len(h.bins) for h in held))
    assert sizes[1] <= 3 * 8192
    assert pixels.n.pixels == 140 * 65536


def test_emptying_the_buffer_in_between_changes_nothing(monkeypatch):
    pairs = list(images(np.random.default_rng(2), 9, SHAPES["signed"]))
    whole = collect(pairs)
    monkeypatch.setattr("noescape.metrics.histogram.BUFFERED_VALUES", 100)
    often = collect(pairs)
    assert often.pixel_auroc() == whole.pixel_auroc()
    assert often.best_f1() == whole.best_f1()
    assert often.aupro() == pytest.approx(whole.aupro(), abs=1e-13)


def test_asking_in_between_changes_nothing():
    pairs = list(images(np.random.default_rng(2), 6, SHAPES["signed"]))
    asked = PixelScores()
    for values, mask in pairs:
        asked.add(values, mask, None if mask is None else label_regions(mask))
        asked.aupro()
    assert asked.aupro() == pytest.approx(collect(pairs).aupro(), abs=1e-13)


def test_merged_parts_equal_the_whole_in_any_order_and_stay_as_they_were():
    pairs = list(images(np.random.default_rng(3), 9, SHAPES["over many octaves"]))
    whole, first, second = collect(pairs), collect(pairs[:4]), collect(pairs[4:])
    before = (second.n, second.pixel_auroc(), second.aupro())
    first.merge(second)
    backwards = collect(pairs[::-1])
    for other in (first, backwards):
        assert other.n == whole.n
        assert other.pixel_auroc() == whole.pixel_auroc()
        assert other.average_precision() == whole.average_precision()
        assert other.best_f1() == whole.best_f1()
        assert other.aupro() == pytest.approx(whole.aupro(), abs=1e-13)
    assert before == (second.n, second.pixel_auroc(), second.aupro())


def test_pro_counts_regions_alike_whatever_their_size():
    """A large region that is found does not hide a small one that is missed; pixels would say 98%."""
    values = np.zeros((20, 20), np.float32)
    mask = np.zeros((20, 20), np.uint8)
    mask[:10, :10], mask[15, 15:17] = 255, 255
    values[:10, :10] = 1
    pixels = collect([(values, mask)])
    # Up to the limit the curve rises from 1/2 at FPR 0 to 1 at FPR 1, where all the rest is tied.
    assert pixels.n.regions == 2
    assert pixels.aupro(0.3) == pytest.approx(0.5 + 0.5 * 0.3 / 2)


def test_a_step_exactly_at_the_limit_adds_no_area():
    """The curve climbs at FPR 1/2 without going on to the right: under it, up to 1/2, lies what was there before."""
    values = np.array([[3, 2, 1, 0]], np.float32)
    mask = np.array([[1, 0, 1, 0]], np.uint8) * np.uint8(255)
    # (0, 0) (0, 1/2) (1/2, 1/2) (1/2, 1) (1, 1)
    pixels = collect([(values, mask)])
    assert pixels.aupro(0.5) == pytest.approx(0.5)
    assert pixels.aupro(1.0) == pytest.approx(0.75)


def test_pixels_that_touch_at_corners_are_one_region():
    mask = np.eye(5, dtype=np.uint8) * 255
    mask[0, 4] = 1
    regions = label_regions(mask)
    assert regions.dtype == np.int32
    assert sorted(np.unique(regions)) == [0, 1, 2]
    assert len({regions[i, i] for i in range(5)}) == 1
    assert not label_regions(np.zeros((3, 4), np.uint8)).any()


@given(st.integers(0, 2**32 - 1), st.floats(0.05, 0.6))
@settings(max_examples=50)
def test_regions_agree_with_scipy(seed, share):
    mask = (np.random.default_rng(seed).random((12, 9)) < share).astype(np.uint8)
    ours, (theirs, count) = label_regions(mask), ndimage.label(mask, structure=np.ones((3, 3)))
    assert ours.max() == count
    assert len({(a, b) for a, b in zip(ours.ravel(), theirs.ravel())}) == len(np.unique(theirs))


def test_without_defect_pixels_or_without_others_nothing_is_claimed():
    full = np.full((4, 4), 255, np.uint8)
    good, all_defect = PixelScores(), PixelScores()
    good.add(np.ones((4, 4), np.float32))
    good.add(np.ones((4, 4), np.float32), full * 0, label_regions(full * 0))
    all_defect.add(np.ones((4, 4), np.float32), full, label_regions(full))
    for pixels in (PixelScores(), good, all_defect):
        assert pixels.pixel_auroc() is None
        assert pixels.average_precision() is None
        assert pixels.best_f1() is None
        assert pixels.aupro() is None
        assert pixels.quantisation_error() is None
    assert (good.n.images, good.n.pixels, good.n.defect_pixels, good.n.regions) == (2, 32, 0, 0)


def test_constant_scores_are_worth_a_coin():
    mask = np.zeros((10, 10), np.uint8)
    mask[2:4, 2:7] = 1
    pixels = collect([(np.full((10, 10), -2.5, np.float32), mask)])
    assert pixels.pixel_auroc() == 0.5
    assert pixels.average_precision() == pytest.approx(0.1)
    assert pixels.aupro(0.3) == pytest.approx(0.15)
    assert (np.float32(-2.5) > pixels.best_f1().threshold) and pixels.best_f1().recall == 1
