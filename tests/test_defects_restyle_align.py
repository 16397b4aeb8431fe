"""Answers come back onto the frame of their input, by mutual information."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from noescape.defects.restyle.align import align
from noescape.defects.restyle.config import AlignmentConfig
from noescape.imaging.mutual import levels, mutual_information
from noescape.imaging.warp import Pose
from restyle_pictures import Rgb, other_camera, scene


def error_px(found: Pose, true: Pose, frame: tuple[int, int], other: tuple[int, int]) -> float:
    """Mean distance over the frame between where two poses read from, in pixels of the frame."""
    a, b = found.matrix(frame, other), true.matrix(frame, other)
    y, x = np.mgrid[0 : frame[0] : 5j, 0 : frame[1] : 5j]
    points = np.stack([x.ravel(), y.ravel(), np.ones(25)])
    return float(np.hypot(*((a - b) @ points)).mean() * frame[1] / other[1])


def moved(rgb: Rgb, pose: Pose, size: tuple[int, int]) -> Rgb:
    """What a service might answer: `rgb` such that reading it with `pose` gives `rgb` again."""
    matrix = pose.matrix((rgb.shape[0], rgb.shape[1]), size)
    out = cv2.warpAffine(rgb, matrix, size[::-1], flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(out, dtype=np.uint8)


def test_mutual_information_is_the_textbook_sum_where_bins_are_exact() -> None:
    """Against entropies: I = H(a) + H(b) - H(a, b), times coverage."""
    rng = np.random.default_rng(3)
    a = rng.integers(0, 8, (40, 50))
    b = np.where(rng.random(a.shape) < 0.7, (a * 5) % 8, rng.integers(0, 8, a.shape))

    def entropy(codes: np.ndarray) -> float:  # type: ignore[type-arg]
        p = np.unique(codes, return_counts=True)[1] / codes.size
        return float(-(p * np.log(p)).sum())

    expected = entropy(a) + entropy(b) - entropy(a * 8 + b)
    everywhere = np.ones(a.shape, bool)
    as_levels = [x.astype(np.float32) for x in (a, b)]
    assert mutual_information(*as_levels, everywhere, 8) == pytest.approx(expected)
    half = everywhere.copy()
    half[:, 25:] = False
    at = [x[:, :25] for x in (a, b)]
    part = entropy(at[0]) + entropy(at[1]) - entropy(at[0] * 8 + at[1])
    assert mutual_information(*as_levels, half, 8) == pytest.approx(part / 2)
    half[:, 1:] = False
    assert mutual_information(*as_levels, half, 8) == -np.inf  # 2% are no overlap
    assert levels(np.array([[0, 255, 300]], np.float32), 64).tolist() == [[0, 63, 63]]


@pytest.mark.parametrize("seed", range(4))
def test_a_moved_answer_with_another_look_comes_back_to_half_a_pixel(seed: int) -> None:
    """Scale, rotation and shift at once, under curves that are not monotone; every second answer is larger."""
    rng = np.random.default_rng(seed)
    frame = scene(rng, 120, 160)
    scale = rng.uniform(0.96, 1.04)
    size = (120, 160) if seed % 2 else (240, 320)
    grow = size[1] / 160
    true = Pose(
        sx=scale * grow, sy=scale * rng.uniform(0.99, 1.01) * grow, rotation=math.radians(rng.uniform(-0.9, 0.9)),
        tx=rng.uniform(-8, 8) * grow, ty=rng.uniform(-8, 8) * grow,
    )  # fmt: skip
    answer = moved(other_camera(frame, rng), true, size)
    out, found = align(answer, frame, AlignmentConfig())
    assert error_px(Pose(sx=grow, sy=grow), true, (120, 160), size) > 3
    assert error_px(found.pose, true, (120, 160), size) < 0.5
    assert out.shape == frame.shape and found.mi_after > found.mi_before and 0.8 < found.coverage <= 1
    told = found.to_json()
    assert set(told) == {"scaleX", "scaleY", "rotation_deg", "tx", "ty", "mi_before", "mi_after", "coverage"}


def test_an_answer_that_did_not_move_stays_where_it_is() -> None:
    for seed in range(3):
        rng = np.random.default_rng(seed)
        frame = scene(rng, 120, 160)
        found = align(other_camera(frame, rng), frame, AlignmentConfig())[1]
        assert error_px(found.pose, Pose(), (120, 160), (120, 160)) < 0.1


def test_plain_pictures_and_tiny_ones_do_no_harm() -> None:
    """Where there is nothing to align by, the answer is only resized."""
    plain = np.full((64, 80, 3), 77, np.uint8)
    out, found = align(np.full((32, 40, 3), 9, np.uint8), plain, AlignmentConfig())
    assert (out == 9).all() and out.shape == plain.shape and found.to_json()["tx"] == 0
    rng = np.random.default_rng(0)
    for size in ((1, 1), (3, 200), (17, 5)):
        frame = rng.integers(0, 256, (*size, 3)).astype(np.uint8)
        assert align(frame, frame, AlignmentConfig())[0].shape == frame.shape


def test_nothing_is_searched_beyond_the_ranges() -> None:
    rng = np.random.default_rng(5)
    frame = scene(rng, 96, 128)
    answer = moved(frame, Pose(tx=9.0), (96, 128))
    kept = align(answer, frame, AlignmentConfig(shift_range=3.0, rot_range_deg=(0, 0, 1), sx_range=(1, 1, 1)))[1].pose
    assert abs(kept.tx) <= 3 and kept.rotation == 0 and kept.sx == 1
    off = align(answer, frame, AlignmentConfig(enabled=False))
    assert (off[0] == answer).all() and off[1].pose == Pose()
