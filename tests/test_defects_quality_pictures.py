"""One picture against its clean original, the examples and a test split: what is planted is found, the rest is not."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from safetensors.torch import save_file

from net_maker import resnet_state, vit_state
from noescape.defects.quality import leakage
from noescape.defects.quality.features import crops, open_reader, patches_of
from noescape.defects.quality.label_fit import boundary_iou, label_fit, parts
from noescape.defects.quality.leakage import Test as Split
from noescape.defects.quality.leakage import common_detail, leaks_of, seen_of
from noescape.defects.quality.nearest import likeness
from quality_maker import CELLS, SIDE, defect, moved_copy, plain_reader, surface


def test_a_label_that_marks_what_changed_is_perfect() -> None:
    image, mask, clean = defect("spot", 0)
    fit = label_fit(image, clean, mask)
    assert (fit.completeness, fit.covered, fit.precision, fit.outside, fit.outside_px) == (1, 1, 1, 0, 0)
    assert fit.boundary_iou > 0.9


@pytest.mark.parametrize("levels", [1, 2, 3, 60])
def test_one_pixel_changed_outside_is_found_however_faint(levels: int) -> None:
    image, mask, clean = defect("spot", 1)
    image[3, 5, 1] = clean[3, 5, 1] + levels
    fit = label_fit(image, clean, mask)
    assert (fit.outside, fit.outside_px) == (levels, 1)
    assert (fit.precision < 1) == (levels >= 3)


def test_a_soft_border_is_no_change_outside_but_a_wider_one_is() -> None:
    image, mask, clean = defect("spot", 2)
    ring = cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > mask
    image[ring] = clean[ring] // 2 + 10
    assert label_fit(image, clean, mask, reach=2).outside == 0
    assert label_fit(image, clean, mask, reach=0).outside > 0


def test_half_a_label_without_a_change_shows_in_the_worst_part() -> None:
    """The mean over the whole mask hides it, completeness does not."""
    image, mask, clean = defect("spot", 3)
    far = np.zeros_like(mask)
    far[100:110, 5:15] = True
    fit = label_fit(image, clean, mask | far)
    assert fit.completeness == 0 and fit.covered > 0.7 and fit.precision == 1
    half = mask.copy()
    half[: int(np.nonzero(mask)[0].mean())] = False
    assert label_fit(image, clean, half).precision < 0.8
    assert label_fit(clean, clean, mask).completeness == 0 and label_fit(clean, clean, mask).precision == 1


def test_parts_are_components_and_quarters() -> None:
    mask = np.zeros((60, 60), np.bool_)
    mask[0:20, 0:20], mask[40:44, 40:44], mask[55, 55] = True, True, True
    assert sorted(int(p.sum()) for p in parts(mask)) == [16, 81, 99, 99, 121] or len(parts(mask)) == 5
    assert np.array_equal(np.any(parts(mask), axis=0), mask & ~(np.indices(mask.shape).min(0) == 55))
    with pytest.raises(ValueError, match="marks nothing"):
        label_fit(surface(0), surface(0), np.zeros((128, 128), np.bool_))
    with pytest.raises(ValueError, match="one size"):
        label_fit(surface(0), surface(0)[:50], mask)


def test_boundary_iou_of_equal_masks_is_1_and_of_apart_ones_0() -> None:
    a, b = np.zeros((200, 200), np.bool_), np.zeros((200, 200), np.bool_)
    a[20:90, 20:90], b[110:180, 110:180] = True, True
    inner = a.copy()
    inner[50:60, 50:60] = False  # far from the border: the band does not see the hole's middle, the IoU falls
    assert boundary_iou(a, a) == 1 and boundary_iou(a, b) == 0 and boundary_iou(a, inner) < 1
    full = np.ones((50, 50), np.bool_)
    assert boundary_iou(full, full) == 1


def _split() -> Split:
    rows = [(f"good{s}", surface(s), None) for s in range(8)]
    rows += [(f"bad{s}", *defect("spot", s)[:2]) for s in range(4)]
    common = common_detail([rgb for _, rgb, _ in rows])
    return Split(seen=tuple(seen_of(n, "spot", n, rgb, mask, common) for n, rgb, mask in rows), common=common)


def test_planted_leaks_are_found_and_clean_pictures_pass() -> None:
    """The test's file, its surface under a defect in other light and flipped, its defect on another surface."""
    split = _split()
    assert leaks_of("x", "spot", "bad2", *defect("spot", 2)[:2], split)[0].how == "file"
    for axes in ((), (0,), (1,), (0, 1)):
        image = surface(5).astype(np.float32) * 0.8 + 12
        mask = np.zeros((128, 128), np.bool_)
        mask[30:60, 40:80] = True
        image[mask] *= 0.4
        image, mask = np.roll(image, (2, -3), (0, 1)), np.roll(mask, (2, -3), (0, 1))
        image, mask = (np.ascontiguousarray(np.flip(p, axes)) for p in (image.astype(np.uint8), mask))
        (leak,) = leaks_of("x", "spot", "-", image, mask, split)
        assert (leak.test, leak.how) == ("good5", "surface")
    image, mask, _ = defect("spot", 5)
    upright = leakage.surfaces(image, mask, split)
    turned = leakage.surfaces(*(np.ascontiguousarray(np.flip(p, 0)) for p in (image, mask)), split)
    assert np.allclose(upright, turned, atol=1e-5)
    (leak,) = leaks_of("x", "spot", "-", *moved_copy(1, 2, True, 1.0, 0.9), split)
    assert (leak.test, leak.how) == ("bad1", "defect") and leak.likeness > 0.95
    for seed in range(60, 70):
        assert leaks_of("x", "spot", "-", *defect("spot", seed)[:2], split) == []
        assert leaks_of("x", "good", "-", surface(seed), None, split) == []


def test_a_fixture_that_all_pictures_share_is_no_leak() -> None:
    """Print in the same place on every part: what all of the test has in common proves nothing."""
    rng = np.random.default_rng(0)
    marks = cv2.GaussianBlur(rng.normal(0, 60, (128, 128)).astype(np.float32), (0, 0), 1)[..., None]
    printed = [np.clip(surface(s) + marks, 0, 255).astype(np.uint8) for s in range(30)]
    common = common_detail(printed[:20])
    split = Split(
        seen=tuple(seen_of(str(i), "good", str(i), p, None, common) for i, p in enumerate(printed[:20])), common=common
    )
    bare = Split(
        seen=tuple(seen_of(str(i), "good", str(i), p, None, 0 * common) for i, p in enumerate(printed[:20])),
        common=0 * common,
    )
    assert leaks_of("x", "good", "-", printed[25], None, bare)  # so this test could fail
    assert leaks_of("x", "good", "-", printed[25], None, split) == []
    assert [leak.test for leak in leaks_of("x", "good", "-", printed[7], None, split)] == ["7"]


def test_a_large_test_is_sieved_by_its_hashes_and_correlations_are_the_whole_transform(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    split = _split()
    every = leakage.surfaces(surface(3), None, split)
    a, b = split.seen[1].spectrum, split.seen[2].spectrum
    whole = np.roll(np.fft.irfft2(a.conj() * b), (8, 8), (0, 1))[:17, :17]
    assert np.allclose(leakage.correlations(a, b[None])[0], whole, atol=1e-5)
    monkeypatch.setattr(leakage, "LARGE", 3)
    monkeypatch.setattr(leakage, "BLOCK", 2)
    sieved = leakage.surfaces(surface(3), None, split)
    assert (
        sieved[3] == pytest.approx(every[3])
        and every[3] > 0.99
        and np.all(sieved <= every + 1e-6)
        and (sieved == 0).any()
    )


def test_crops_follow_the_parts_and_never_count_a_mirrored_mask() -> None:
    rgb = surface(0)
    mask = np.zeros((128, 128), np.bool_)
    mask[0:6, 0:6], mask[100:110, 90:120] = True, True
    big, small = crops(rgb, mask)
    assert big[0].shape == (60, 60, 3) and small[0].shape == (48, 48, 3)
    assert big[1].sum() == 300 and small[1].sum() == 36
    whole = np.ones((40, 130), np.bool_)
    ((picture, inside),) = crops(np.zeros((40, 130, 3), np.uint8), whole)
    assert picture.shape == (260, 260, 3) and inside.sum() == whole.sum()
    with pytest.raises(ValueError, match="marks nothing"):
        crops(rgb, np.zeros((128, 128), np.bool_))


@pytest.mark.parametrize("name", ["resnet18", "vit_small_patch16"])
def test_any_backbone_reads_patches_by_its_name(name: str, tmp_path: Path) -> None:
    """From a local file of weights; a defect is nearest to itself."""
    state = resnet_state(name) if name.startswith("resnet") else vit_state(384, 16, 12, 14)
    save_file(state, tmp_path / "weights.safetensors")
    reader = open_reader(name, tmp_path / "weights.safetensors")
    pictures = [defect(kind, seed)[:2] for kind in ("spot", "line") for seed in (0, 1)]
    seen = [reader(*p).unit for p in pictures]
    assert seen[0].shape[1] == {"resnet18": 384, "vit_small_patch16": 768}[name]
    assert likeness(seen[0], seen[0])[0] == pytest.approx(1, abs=1e-5)
    assert all(likeness(seen[0], other)[0] < 0.9999 for other in seen[1:])


def test_the_smallest_defect_keeps_a_patch() -> None:
    dot = np.zeros((SIDE, SIDE), np.bool_)
    dot[100, 100] = True
    assert patches_of(dot, (CELLS, CELLS)).tolist() == [12 * CELLS + 12]
    assert len(patches_of(np.ones((SIDE, SIDE), np.bool_), (CELLS, CELLS))) == CELLS**2
    image, mask, _ = defect("spot", 0)
    seen = plain_reader()(image, mask)
    assert np.allclose(np.linalg.norm(seen.unit, axis=1), 1, atol=1e-5) and seen.mean.shape == (9,)
    assert len(plain_reader()(image, np.ones_like(mask)).unit) <= 256
