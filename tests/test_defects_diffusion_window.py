"""The window that the diffusion model sees, and the way back into the picture: nothing of the model is needed here."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noescape.defects.generators.diffusion.window import (
    LEAST_SIDE,
    Window,
    box_of,
    cut,
    cut_pair,
    paste,
    random_window,
    widening,
    window_around,
    window_of_case,
)
from noescape.defects.placement.testcase import TestCase

SIZES = st.tuples(st.integers(20, 150), st.integers(20, 150))


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def blob(height: int, width: int, seed: int, share: float = 0.4) -> np.ndarray:
    rng = np.random.default_rng(seed)
    mask = np.zeros((height, width), np.uint8)
    y, x = int(rng.integers(height)), int(rng.integers(width))
    h, w = (1 + int(rng.integers(max(1, int(share * full)))) for full in (height, width))
    mask[y : y + h, x : x + w] = 255
    return mask


def row(**values: object) -> TestCase:
    base = {"image_filename": "a.png", "mask_filename": "b.png", "anomaly_type": "t+x"}
    return TestCase.model_validate({**base, **values})


def inside(window: Window, box: tuple[int, int, int, int]) -> bool:
    x0, y0, x1, y1 = box
    return window.x <= x0 and window.y <= y0 and x1 <= window.x + window.side and y1 <= window.y + window.side


@given(SIZES, st.integers(0, 10**6), st.floats(1, 8))
def test_a_window_holds_its_mask_and_stays_in_the_picture_where_it_fits(
    size: tuple[int, int], seed: int, ratio: float
) -> None:
    mask = blob(*size, seed)
    box = box_of(mask)
    for window in (
        window_of_case(mask, row(crop_ratio=ratio)),
        random_window(mask, (1.0, ratio), np.random.default_rng(seed)),
    ):
        assert inside(window, box)
        for start, full in ((window.x, size[1]), (window.y, size[0])):
            assert (start >= 0 and start + window.side <= full) or window.side >= full
            assert (start <= 0 and start + window.side >= full) or window.side <= full


def test_the_side_is_the_ratio_times_the_larger_side_of_the_box() -> None:
    mask = np.zeros((400, 500), np.uint8)
    mask[200:220, 240:300] = 255
    window = window_of_case(mask, row(crop_ratio=2.5))
    assert (window.side, window.x, window.y) == (150, 195, 135)
    assert window_of_case(mask, row(crop_ratio=1.0)).side == 60
    mask[:] = 0
    mask[3:5, 490:494] = 255
    assert window_of_case(mask, row(crop_ratio=2.0)) == Window(x=468, y=0, side=LEAST_SIDE)


def test_without_a_ratio_the_grid_counts_and_without_a_crop_the_whole_picture() -> None:
    mask = np.zeros((200, 300), np.uint8)
    mask[90:110, 140:160] = 255
    assert window_of_case(mask, row(crop_ratio=None, crop_grid_X=3, crop_grid_Y=4)).side == 100
    whole = Window(x=0, y=-50, side=300)
    assert window_of_case(mask, row(crop_and_paste=False)) == whole
    assert window_of_case(mask, row(crop_ratio=None)) == whole
    assert window_of_case(mask, row(crop_ratio=500.0)) == whole


def test_random_windows_have_all_ratios_and_all_places() -> None:
    mask = np.zeros((600, 600), np.uint8)
    mask[280:320, 280:320] = 255
    windows = [random_window(mask, (1.5, 8.0), np.random.default_rng(n)) for n in range(400)]
    sides = np.array([w.side for w in windows]) / 40
    assert sides.min() < 1.7 and sides.max() > 7.5 and sides.min() >= 1.48 and sides.max() <= 8
    assert abs(np.median(sides) - np.sqrt(1.5 * 8)) < 0.4  # even in the logarithm
    offset = np.array([(w.x + w.side / 2 - 300) / w.side for w in windows])
    assert offset.min() < -0.3 and offset.max() > 0.3 and abs(offset.mean()) < 0.05


@given(SIZES, st.integers(0, 10**6), st.integers(1, 200))
def test_what_is_cut_is_the_picture_and_beyond_it_its_mirror_image(size: tuple[int, int], seed: int, side: int) -> None:
    image = picture(*size, seed)
    rng = np.random.default_rng(seed)
    window = Window(x=int(rng.integers(-side + 1, size[1])), y=int(rng.integers(-side + 1, size[0])), side=side)
    got = cut(image, window)
    assert got.shape == (side, side, 3)
    rows, columns = (np.arange(side) + start for start in (window.y, window.x))
    ok = np.ix_((rows >= 0) & (rows < size[0]), (columns >= 0) & (columns < size[1]))
    want = image[np.clip(rows, 0, size[0] - 1)][:, np.clip(columns, 0, size[1] - 1)]
    assert (got[ok] == want[ok]).all()


def test_a_hair_crack_survives_being_made_smaller() -> None:
    mask = np.zeros((900, 900), np.uint8)
    mask[450, 100:800] = 255
    _, small = cut_pair(picture(900, 900), mask, Window(x=0, y=0, side=900), 64)
    assert small.any() and set(np.unique(small)) == {0, 255}


@given(SIZES, st.integers(0, 10**6), st.floats(1, 6), st.booleans())
def test_nothing_beyond_the_widened_mask_changes_by_a_single_bit(
    size: tuple[int, int], seed: int, ratio: float, poisson: bool
) -> None:
    image, mask = picture(*size, seed), blob(*size, seed)
    window = window_of_case(mask, row(crop_ratio=ratio))
    before = image.copy()
    out = paste(image, picture(64, 64, seed + 1), mask, window, poisson=poisson)
    wide = widening(window)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * wide + 1, 2 * wide + 1))
    assert (out == before)[cv2.dilate(mask, disc) == 0].all()
    assert (image == before).all()


def test_in_the_mask_there_is_what_was_drawn() -> None:
    image, drawn = picture(100, 120), picture(40, 40, 7)
    mask = np.zeros((100, 120), np.uint8)
    mask[30:50, 60:90] = 255
    window = Window(x=55, y=20, side=40)
    out = paste(image, drawn, mask, window)
    assert (out[30:50, 60:90] == drawn[10:30, 5:35]).all()
    ring = cv2.dilate(mask, np.ones((3, 3), np.uint8)) & ~mask
    assert (out != image)[ring > 0].any()  # the seam is soft


def test_a_grey_part_stays_grey() -> None:
    image = np.repeat(picture(64, 64)[:, :, :1], 3, axis=2)
    mask = blob(64, 64, 3)
    out = paste(image, picture(32, 32, 9), mask, window_around(mask, 32))
    assert (out == out[:, :, :1]).all() and (out != image).any()


def test_a_window_that_reaches_beyond_the_picture_is_pasted_where_it_belongs() -> None:
    image = np.zeros((40, 100, 3), np.uint8)
    mask = np.zeros((40, 100), np.uint8)
    mask[:, 30:70] = 255
    window = window_of_case(mask, row(crop_and_paste=False))
    drawn = np.repeat(np.arange(100, dtype=np.uint8)[:, None, None], 100, axis=1).repeat(3, axis=2)
    assert (paste(image, drawn, mask, window)[:, 50, 0] == np.arange(30, 70)).all()


def test_an_empty_mask_is_refused() -> None:
    with pytest.raises(ValueError, match="marks nothing"):
        window_around(np.zeros((40, 40), np.uint8), 10)
