"""A photo of other tones is laid on its render to a fraction of a pixel, wherever it was; the way there and back."""

from __future__ import annotations

import math
from dataclasses import replace

import cv2
import numpy as np
import pytest

from drawn_boards import Shot, any_pose, draw, error_px, flat, photograph
from noescape.board.align.coarse import Coarse
from noescape.board.align.config import AlignConfig
from noescape.board.align.lineup import line_up
from noescape.board.align.place import Placed, crop_photo, on_render
from noescape.board.align.reach import reach
from noescape.board.align.tones import cuts, information, joint, one_hot, spectrum
from noescape.imaging.mutual import levels, mutual_information
from noescape.imaging.warp import Pose, inside, warped
from noescape.records import DataError

H = 384
NARROW = AlignConfig(rot_range_deg=(-5, 5, 0.1), sx_range=(0.94, 1.06, 0.02), sy_range=(0.94, 1.06, 0.02))


@pytest.mark.parametrize("seed", [2, 3])
def test_any_pose_in_the_promised_ranges_is_found_to_half_a_pixel(seed: int) -> None:
    """Rotation to 5 degrees, scale to 5 %, scales 2 % apart, shift of 60 px at 2,048: dense and sparse boards."""
    board = draw(seed, parts=(60, 30, 100, 15)[seed])
    pose = any_pose(np.random.default_rng(seed), H)
    photo = photograph(board, H, pose, (H, H), seed=seed)
    found = line_up(flat(board, H), photo, AlignConfig())
    mean, most = error_px(found.placed.pose, pose, (H, H), (H, H))
    assert mean < 0.25 and most < 0.5
    assert found.peak.stands_out and found.outside == () and found.quarter == 0
    assert found.mi_after > 2 * found.mi_before and 0.8 < found.coverage <= 1


@pytest.mark.parametrize("quarter", [2, 3])
def test_a_turned_photo_is_found(quarter: int) -> None:
    board = draw(7, wide=4 / 3)
    pose = Pose(sx=1.03, sy=1.02, rotation=math.radians(90 * quarter + 2), tx=5, ty=-8)
    size = (H, H * 4 // 3) if quarter == 2 else (H * 4 // 3, H)
    render = flat(board, H)
    narrow = AlignConfig(rot_range_deg=(-2.5, 2.5, 0.1))
    found = line_up(render, photograph(board, H, pose, size, seed=1), narrow)
    assert found.quarter == quarter and found.peak.stands_out
    assert error_px(found.placed.pose, pose, render.shape[:2], size)[0] < 0.5


@pytest.mark.parametrize(("scale", "size"), [(2.5, (960, 1280)), (0.7, (269, 358)), (1.0, (H, H))])
def test_photos_of_other_sizes_and_shapes(scale: float, size: tuple[int, int]) -> None:
    board = draw(8, wide=4 / 3)
    pose = Pose(sx=1.01 * scale, sy=0.99 * scale, rotation=math.radians(-3), tx=6 * scale, ty=4 * scale)
    render = flat(board, H)
    narrow = AlignConfig(rot_range_deg=(-4, 4, 0.1))
    found = line_up(render, photograph(board, H, pose, size, seed=2), narrow)
    assert error_px(found.placed.pose, pose, render.shape[:2], size)[0] < 0.5 * max(scale, 1)
    assert found.peak.stands_out


def test_the_same_pictures_give_the_same_bits_on_any_number_of_threads() -> None:
    board = draw(9)
    render = flat(board, 256)
    photo = photograph(board, 256, any_pose(np.random.default_rng(9), 256), (256, 256), seed=9)
    threads = cv2.getNumThreads()
    try:
        cv2.setNumThreads(1)
        one = line_up(render, photo, NARROW)
        cv2.setNumThreads(2)
        assert line_up(render, photo, NARROW) == one
    finally:
        cv2.setNumThreads(threads)


def test_a_tight_configuration_is_kept_and_leaving_it_is_said() -> None:
    """A turn of 2.4 degrees where .1 are allowed: never silently."""
    board, pose = draw(10), Pose(rotation=math.radians(2.4))
    photo = photograph(board, H, pose, (H, H), seed=3)
    config = AlignConfig(rot_range_deg=(-0.1, 0.1, 0.05), quarter_turns=False)
    found = line_up(flat(board, H), photo, config)
    assert "rotation" in found.outside
    assert abs(math.degrees(found.placed.pose.rotation)) < 2.1  # a grain of the search and no more


def test_the_ranges_of_a_configuration_bound_what_is_tried() -> None:
    config = AlignConfig(sx_range=(1.1, 1.3, 0.05), sy_range=(1.1, 1.5, 0.05), rot_range_deg=(-0.1, 0.1, 0.05))
    allowed = reach(config, (540, 720), (700, 900))
    assert all(1.1 <= pose.sx <= 1.3 and 1.1 <= pose.sy <= 1.5 and abs(pose.rotation) < 0.002 for pose in allowed.poses)
    assert {round(pose.sx / pose.sy, 2) for pose in allowed.poses} != {1.0}
    every = reach(AlignConfig(rot_range_deg=(-180, 180, 1)), (540, 720), (540, 720))
    assert len(every.poses) <= 1500  # coarser, so that it ends
    for across in (AlignConfig(no_resize=False, sx_range=(0.9, 1.1, 0.02), sy_range=(0.9, 1.1, 0.02)), AlignConfig()):
        lying = reach(across, (540, 720), (540, 720), quarter=1)
        assert len(lying.poses) <= 70 and all(pose.sx == pose.sy for pose in lying.poses)
    tenth = (0.9, 1.1, 0.1)
    double = reach(AlignConfig(no_resize=False, sx_range=tenth, sy_range=tenth), (50, 50), (100, 100))
    assert double.wanted.sx == pytest.approx((1.8, 2.2))


def test_counts_by_fft_are_those_of_counting() -> None:
    """The surface of the coarse search against moving the picture and counting, at some shifts."""
    rng = np.random.default_rng(4)
    a, b = (cv2.GaussianBlur(rng.normal(size=(20, 24)).astype(np.float32), (0, 0), 1.5) for _ in range(2))
    room = 5
    around = np.pad(b, room, mode="reflect")
    size = around.shape
    counts = joint(np.conj(spectrum(one_hot(a, cuts(a)), size)), spectrum(one_hot(around, cuts(b)), size), size)
    mi = information(counts[:, :, : 2 * room + 1, : 2 * room + 1], a.size, 0.2)
    for dy, dx in ((0, 0), (3, 8), (10, 10)):
        part = around[dy : dy + 20, dx : dx + 24]
        table = np.zeros((5, 5))
        np.add.at(table, (np.digitize(a, cuts(a)).ravel(), np.digitize(part, cuts(b)).ravel()), 1)
        p = table / table.sum()
        expected = (p[p > 0] * np.log((p / (p.sum(1, keepdims=True) * p.sum(0)))[p > 0])).sum()
        assert mi[dy, dx] == pytest.approx(expected, abs=1e-4)


def test_the_coarse_search_needs_no_start() -> None:
    """A shift of a fifth of the picture, found without any hint."""
    board, pose = draw(11), Pose(tx=75, ty=-60)
    photo = photograph(board, H, pose, (H, H), seed=4)
    greys = [cv2.cvtColor(one, cv2.COLOR_RGB2GRAY) for one in (flat(board, H), photo)]
    best = Coarse(*greys, side=96, scale=1.0).search([Pose()], (96, 96))[0]
    assert abs(best.pose.tx - 75) <= 4 and abs(best.pose.ty + 60) <= 4


def test_the_sampling_formula_is_the_documented_one() -> None:
    pose = Pose(sx=1.2, sy=0.9, rotation=math.radians(7), tx=3.5, ty=-2)
    dx, dy = 10 - (99 - 1) / 2, 20 - (60 - 1) / 2
    c, s = math.cos(math.radians(7)), math.sin(math.radians(7))
    expected = [1.2 * (c * dx - s * dy) + (120 - 1) / 2 + 3.5, 0.9 * (s * dx + c * dy) + (80 - 1) / 2 - 2]
    placed = Placed(pose=pose, render=(60, 99), photo=(80, 120))
    assert placed.to_photo([10, 20]) == pytest.approx(expected)
    assert placed.to_render(placed.to_photo([[10, 20], [3, 4]])) == pytest.approx(np.array([[10, 20], [3, 4]]))
    ramp = np.tile(np.arange(120, dtype=np.float32), (80, 1))
    assert warped(ramp, pose, (60, 99))[20, 10] == pytest.approx(expected[0], abs=0.04)
    assert inside(pose, (80, 120), (60, 99))[20, 10]


def test_mutual_information_is_times_the_coverage_and_ends_where_too_little_is_left() -> None:
    rng = np.random.default_rng(5)
    a = levels(rng.uniform(0, 255, (64, 64)).astype(np.float32), 8)
    half = np.zeros((64, 64), bool)
    half[:, :32] = True
    left = np.ascontiguousarray(a[:, :32])
    whole = mutual_information(left, left, np.ones((64, 32), bool), 8)
    assert mutual_information(a, a, half, 8) == pytest.approx(0.5 * whole)
    half[:, 2:] = False
    assert mutual_information(a, a, half, 8) == -np.inf


def test_parts_are_cut_out_where_the_render_has_them() -> None:
    """Boxes of parts, at the render's size and at the photo's; one that leaves the photo is none."""
    board = draw(12)
    render = flat(board, H)
    pose = Pose(sx=2.02, sy=1.98, rotation=math.radians(4), tx=3, ty=5)
    size = (2 * H, 2 * H)
    photo = photograph(board, H, pose, size, seed=6, shot=Shot(gone=0, blobs=0, noise=2))
    placed = Placed(pose=pose, render=(H, H), photo=size)
    whole = on_render(photo, placed).astype(int)
    same, fine, none = crop_photo(photo, placed, [(100, 120, 160, 170)] * 2 + [(-90, 0, 10, 10)])
    assert none is None and same is not None and fine is not None and same.shape == (50, 60, 3)
    assert np.abs(same - whole[120:170, 100:160]).mean() < 6
    (large,) = crop_photo(photo, placed, [(100, 120, 160, 170)], scale=2)
    assert large is not None and large.shape == (100, 120, 3)
    assert np.abs(cv2.resize(large, (60, 50), interpolation=cv2.INTER_AREA) - whole[120:170, 100:160]).mean() < 6
    with pytest.raises(DataError, match="the pose was found for"):
        crop_photo(render, placed, [(0, 0, 5, 5)])


def test_tiny_pictures_are_refused_in_words() -> None:
    board = np.zeros((40, 400, 3), np.uint8)
    with pytest.raises(DataError, match="the render has 400 x 40 pixels; at least 64"):
        line_up(board, np.zeros((200, 200, 3), np.uint8), AlignConfig())


def test_a_pose_survives_its_json() -> None:
    pose = Pose(sx=1.2, sy=0.9, rotation=-2.2, tx=3.5, ty=-2)
    assert Pose.from_json(pose.to_json()) == replace(pose, rotation=pytest.approx(-2.2))
    with pytest.raises(ValueError, match="scales must be over 0"):
        Pose.from_json(pose.to_json() | {"scaleX": 0})
