"""Masks go where they may, in the shapes and numbers asked for; no pair comes twice before all have come once."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from defects_maker import notch_mask, spot_mask, surface, write_png
from noescape.defects.placement.allocate import by_hand, proportional, uniform
from noescape.defects.placement.augment import FULL, Pose, draw, lay, morphed, typed
from noescape.defects.placement.foreground import foreground
from noescape.defects.placement.free import lay_free
from noescape.defects.placement.pair import pairs
from noescape.defects.placement.roi import check_rois, read_rois
from noescape.defects.placement.submask import Traits, parts, take, traits
from noescape.defects.placement.testcase import TestCase, read_testcases, write_testcases
from noescape.records import DataError, UsageError

COUNTS = st.lists(st.integers(0, 40), min_size=1, max_size=8)


@given(st.integers(1, 9), st.integers(0, 100))
def test_uniform_differs_by_one_at_most(types: int, total: int) -> None:
    counts = list(uniform([f"t{i}" for i in range(types)], total).values())
    assert sum(counts) == total and max(counts) - min(counts) <= 1 and counts == sorted(counts, reverse=True)


@given(COUNTS, st.integers(0, 200))
def test_proportional_gives_each_one_and_adds_up(examples: list[int], more: int) -> None:
    """Everybody has one; nobody who has more is further than one above its share, but for what the floor takes."""
    weights = {f"t{i}": n for i, n in enumerate(examples)}
    counts = proportional(weights, len(weights) + more)
    assert sum(counts.values()) == len(weights) + more and min(counts.values()) >= 1
    assert all(
        counts[a] >= counts[b] - 1 for a, b in itertools.permutations(weights, 2) if weights[a] >= weights[b] > 0
    )


def test_proportional_by_largest_remainder() -> None:
    assert proportional({"a": 5, "b": 3, "c": 2}, 7) == {"a": 4, "b": 2, "c": 1}
    with pytest.raises(UsageError, match="at least one image per type: 2 for 3"):
        proportional({"a": 5, "b": 3, "c": 2}, 2)


def test_counts_by_hand_are_taken_or_refused_whole() -> None:
    assert by_hand(["a", "b"], {"b": 3}, 3) == {"a": 0, "b": 3}
    for counts, total in (
        ({"bb": 1, "a": -1}, None),
        ({"a": True}, None),
        ({"a": 2}, 3),
        ({}, None),
        ({"a": 1.5}, None),
    ):
        with pytest.raises(UsageError):
            by_hand(["a", "b"], counts, total)
    with pytest.raises(UsageError, match=r"unknown type 'bb'; did you mean 'b'.*a: expected a whole number"):
        by_hand(["a", "b"], {"bb": 1, "a": "x"}, None)


@given(st.integers(1, 8), st.integers(1, 8), st.integers(0, 9))
def test_every_pair_once_before_any_twice(masks: int, images: int, seed: int) -> None:
    """And any few neighbours use masks and images as evenly as that goes."""
    stream = pairs(masks, images, np.random.default_rng(seed))
    for number in range(2):
        some = list(itertools.islice(stream, masks * images))
        assert sorted((m, i) for m, i, _ in some) == list(itertools.product(range(masks), range(images)))
        assert {r for _, _, r in some} == {number}
        used = np.bincount([m for m, _, _ in some[: max(1, masks * images // 2)]], minlength=masks)
        assert used.max() - used.min() <= 1


@given(st.integers(0, 2**31))
def test_poses_stay_in_their_ranges(seed: int) -> None:
    """The typed ranges lie within the full ones; strength 0 changes nothing but flips."""
    rng = np.random.default_rng(seed)
    for shape in (Traits(share=0.01, elongation=1, at_border=False), Traits(share=0.3, elongation=1, at_border=True)):
        for ranges in (FULL, typed(shape)):
            p = draw(ranges, rng)
            assert (
                max(abs(p.shift_x), abs(p.shift_y), abs(p.rotation)) <= 30 and max(abs(p.shear_x), abs(p.shear_y)) <= 10
            )
            assert 0.2499 <= min(p.scale_x, p.scale_y) <= max(p.scale_x, p.scale_y) <= 4.001
            assert p.morph in ("dilate", "erode", "open", "close")
    still = draw(FULL, rng, strength=0)
    assert (still.scale_x, still.scale_y, still.rotation, still.shift_x, still.shear_y) == (1, 1, 0, 0, 0)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from([(96, 128), (70, 300), (300, 70), (200, 256)]))
def test_a_free_mask_lies_whole_and_in_one_part(seed: int, size: tuple[int, int]) -> None:
    sub = take(spot_mask(1))
    laid = lay_free(sub, np.ones(size, bool), typed(traits([sub])), np.random.default_rng(seed))
    assert laid.status == "OK" and laid.mask.shape == size and parts(laid.mask) == 1
    again = lay_free(sub, np.ones(size, bool), typed(traits([sub])), np.random.default_rng(seed))
    assert (laid.mask == again.mask).all()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.sampled_from([(96, 128), (70, 300), (300, 70)]))
def test_what_touches_a_side_keeps_touching_it(seed: int, size: tuple[int, int]) -> None:
    """A notch of the left border comes to the left or, flipped, to the right one, and reaches it along all its foot."""
    sub = take(notch_mask(1))
    assert sub.touch == (True, False, False, False)
    mask = lay_free(sub, np.ones(size, bool), typed(traits([sub])), np.random.default_rng(seed)).mask
    left, right = int(mask[:, 0].sum()), int(mask[:, -1].sum())
    assert (left > 0) != (right > 0) and not mask[0].any() and not mask[-1].any()
    assert max(left, right) >= 0.6 * mask.sum(axis=0).max()


def test_what_spans_the_picture_keeps_spanning_it() -> None:
    band = np.zeros((96, 128), np.uint8)
    band[30:50] = 255
    laid = lay_free(take(band), np.ones((60, 300), bool), typed(traits([take(band)])), np.random.default_rng(1))
    assert laid.mask[:, [0, -1]].any(axis=0).all()


def test_an_unchanged_pose_is_the_same_mask() -> None:
    for mask in (spot_mask(2), notch_mask(2)):
        same, area = lay(take(mask), Pose(), (10.0, 20.0), (10.0, 20.0), mask.shape)
        assert (same == (mask > 0)).all() and area == (mask > 0).sum()
    shifted, _ = lay(take(spot_mask(2)), Pose(), (0, 0), (5, -7), (96, 128))
    assert (shifted == np.roll(spot_mask(2) > 0, (-7, 5), (0, 1))).all()


def test_masks_stay_in_their_region_and_small_ones_are_told() -> None:
    """Half of the moved mask in the region, or SMALL, or FAILED; never a pixel outside."""
    region = np.zeros((96, 128), bool)
    region[40:70, 60:100] = True
    sub = take(spot_mask(3))
    for seed in range(20):
        laid = lay_free(sub, region, FULL, np.random.default_rng(seed))
        assert laid.status == "OK" and not (laid.mask & ~region).any() and laid.kept >= 0.5
    crack = np.zeros((96, 128), bool)
    crack[50:52, 60:100] = True
    assert lay_free(sub, crack, typed(traits([sub])), np.random.default_rng(0)).status == "SMALL"
    assert lay_free(sub, np.zeros((96, 128), bool), FULL, np.random.default_rng(0)).status == "FAILED"


def test_morphology_never_takes_half_of_a_mask() -> None:
    line = np.zeros((20, 20), bool)
    line[5, 3:17] = True
    assert (morphed(line, "erode") == line).all() and (morphed(line, "open") == line).all()
    assert morphed(line, "dilate").sum() > 40


def test_regions_from_masks_and_boxes(tmp_path: Path) -> None:
    """Legal ones join, illegal ones are cut out; a box may be for one image; what is wrong is listed."""
    legal = np.zeros((96, 128), np.uint8)
    legal[:, :64] = 255
    write_png(tmp_path / "legal/a_mask.png", legal)
    boxes = tmp_path / "boxes.json"
    boxes.write_text(
        '{"rois": [{"x": 100, "y": 0, "width": 10, "height": 96, "is_legal": true, "id": "1"},'
        '{"x": 0, "y": 0, "width": 20, "height": 96, "is_legal": false, "image": "a.png"}]}'
    )
    rois, wrong = read_rois(tmp_path / "legal", None, boxes)
    region = rois.region(Path("a.png"), (96, 128))
    assert not wrong and not region[:, :20].any() and region[:, 20:64].all() and region[:, 100:110].all()
    assert region.sum() == 96 * 54 and rois.region(Path("b.png"), (96, 128)).sum() == 960
    (small,) = check_rois(rois, [(Path("a.png"), (50, 50))])
    assert "128x96" in small.what
    rows = tmp_path / "rows.json"
    rows.write_text('[{"image_path": "x/b.png", "boxes": [[1, 2, 3, 4]]}]')
    assert read_rois(None, None, rows)[0].region(Path("b.png"), (9, 9)).sum() == 4
    for text in ('{"rois": [{"x": 1}]}', "[1]", "{", '{"rois": [{"x": 9, "y": 0, "width": -2, "height": 1}]}'):
        rows.write_text(text)
        assert [p.code for p in read_rois(None, None, rows)[1]] == ["roi_json"]
    assert [p.code for p in read_rois(tmp_path / "none", None, None)[1]] == ["roi_folder"]


def test_foreground_finds_a_part_and_owns_up_when_there_is_none() -> None:
    photo = surface(1) // 8 + 200
    photo[30:70, 40:100] = 60
    part, said = foreground(photo)
    truth = np.zeros((96, 128), bool)
    truth[30:70, 40:100] = True
    assert (part & truth).sum() / (part | truth).sum() > 0.85 and "not read" in said
    whole, said = foreground(np.full((96, 128, 3), 128, np.uint8))
    assert whole.all() and said.startswith("whole image")


def test_testcases_read_back_and_bad_rows_are_all_told(tmp_path: Path) -> None:
    case = TestCase(
        image_filename=str(tmp_path / "a b.png"), mask_filename=str(tmp_path / "t/m.png"), anomaly_type="T+x", seed=3
    )
    path = tmp_path / "t/testcase.jsonl"
    write_testcases(path, [case])
    assert '"../a b.png"' in path.read_text() and "shift_values" not in path.read_text()
    (back,) = read_testcases(path)
    assert back.image.resolve() == case.image and back.mask == case.mask and back.seed == 3
    path.write_text('{"image_filename": "a", "mask_filename": "m", "anomaly_type": "Tx", "crop_ratios": 2}\n{\n[]\n')
    with pytest.raises(DataError, match=r"(?s)line 1: anomaly_type.*line 2: not a row of JSON.*line 3"):
        read_testcases(path)
    path.write_text('{"image_filename": "a", "mask_filename": "m", "anomaly_type": "T+x", "crop_ratios": 2}')
    with pytest.raises(DataError, match="unknown key 'crop_ratios', did you mean 'crop_ratio'"):
        read_testcases(path)


def test_rows_of_the_public_originals_read_and_keep_their_keys(tmp_path: Path) -> None:
    row = {"image_filename": "a.png", "mask_filename": "m.png", "anomaly_type": "T+x", "crop_ratio": None}
    more = {"shift_values": "8,-13", "rotation_angle": 178, "morph_operation": "none", "crop_grid_X": 192}
    case = TestCase.model_validate({**row, **more, "their_own": [1]})
    assert case.shift == (8, -13) and (case.texture, case.defect) == ("T", "x")
    write_testcases(tmp_path / "t.jsonl", [case])
    assert read_testcases(tmp_path / "t.jsonl")[0].model_extra == {"their_own": [1]}
    assert TestCase.model_validate({**row, "shift_values": [3, 4]}).shift == (3, 4)
