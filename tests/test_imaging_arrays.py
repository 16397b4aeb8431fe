"""Tiles, sizes, blur, fingerprints, overlays, encoders: what each function owes its caller."""

from __future__ import annotations

import io
import itertools

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage

import hostile
from noescape.imaging import (
    appearance,
    blur_map,
    fit_within,
    hamming,
    heat_overlay,
    jpeg_bytes,
    perceptual_hash,
    png_bytes,
    resize_map,
    resize_mask,
    resize_rgb,
    stitch_max,
    tile_boxes,
)

SIDES = st.integers(1, 60)


@given(SIDES, SIDES, st.integers(1, 25), st.data())
def test_tiles_cover_every_pixel_and_overlap_as_asked(height: int, width: int, tile: int, data: st.DataObject) -> None:
    overlap = data.draw(st.integers(0, tile - 1))
    boxes = tile_boxes(height, width, tile, overlap)
    seen = np.zeros((height, width), int)
    for x0, y0, x1, y1 in boxes:
        assert 0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height
        assert (x1 - x0, y1 - y0) == (min(tile, width), min(tile, height)), "every tile has full size"
        seen[y0:y1, x0:x1] += 1
    assert seen.min() >= 1 and len({*boxes}) == len(boxes)
    for starts in (sorted({b[0] for b in boxes}), sorted({b[1] for b in boxes})):
        assert all(a + tile - b >= overlap for a, b in itertools.pairwise(starts))
    assert boxes == sorted(boxes, key=lambda b: (b[1], b[0])), "row by row"


@pytest.mark.parametrize(("tile", "overlap"), [(4, 4), (4, -1), (0, 0), (4, 9)])
def test_impossible_tiles_are_refused(tile: int, overlap: int) -> None:
    with pytest.raises(ValueError, match="overlap"):
        tile_boxes(10, 10, tile, overlap)


@given(st.integers(1, 20), st.integers(1, 20), st.integers(1, 9), st.data())
def test_stitching_takes_the_largest_value_of_all_tiles(
    height: int, width: int, tile: int, data: st.DataObject
) -> None:
    boxes = tile_boxes(height, width, tile, data.draw(st.integers(0, tile - 1)))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    maps = [rng.normal(size=(y1 - y0, x1 - x0)).astype(np.float32) for x0, y0, x1, y1 in boxes]
    got = stitch_max(maps, boxes, height, width)
    for y in range(height):
        for x in range(width):
            over = [m[y - b[1], x - b[0]] for m, b in zip(maps, boxes) if b[0] <= x < b[2] and b[1] <= y < b[3]]
            assert got[y, x] == max(over)


@given(st.integers(1, 200), st.integers(1, 200), SIDES, SIDES, st.data())
def test_a_mask_that_is_not_empty_never_becomes_empty(
    height: int, width: int, new_height: int, new_width: int, data: st.DataObject
) -> None:
    """One marked pixel anywhere survives any resize, near where it was."""
    y, x = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    mask = np.zeros((height, width), np.uint8)
    assert not resize_mask(mask, new_height, new_width).any()
    mask[y, x] = 1
    out = resize_mask(mask, new_height, new_width)
    assert out.shape == (new_height, new_width) and out.dtype == np.uint8 and {*out.ravel()} <= {0, 255}
    ys, xs = np.nonzero(out)
    assert len(ys) > 0
    assert np.abs((ys + 0.5) / new_height - (y + 0.5) / height).min() <= 1 / new_height + 1 / height
    assert np.abs((xs + 0.5) / new_width - (x + 0.5) / width).min() <= 1 / new_width + 1 / width


@given(SIDES, SIDES, st.integers(1, 80))
def test_fitting_keeps_the_shape_and_never_enlarges(height: int, width: int, longest: int) -> None:
    out = fit_within(np.zeros((height, width, 3), np.uint8), longest)
    h, w = out.shape[:2]
    assert max(h, w) == min(longest, max(height, width)) and 1 <= h <= height and 1 <= w <= width
    assert abs(h - height * max(h, w) / max(height, width)) <= 1


def test_resizing_to_the_same_size_changes_nothing() -> None:
    rgb = hostile.picture(1)
    values = rgb[:, :, 0].astype(np.float32)
    assert np.array_equal(resize_rgb(rgb, 40, 56), rgb) and np.array_equal(resize_map(values, 40, 56), values)


def test_shrinking_averages_and_does_not_alias() -> None:
    """A one-pixel chequerboard shrinks to grey, not to a pattern."""
    board = ((np.indices((64, 64)).sum(axis=0) % 2) * 255).astype(np.uint8)
    assert np.abs(resize_rgb(np.repeat(board[:, :, None], 3, axis=2), 16, 16).astype(int) - 127).max() <= 1


@pytest.mark.parametrize("sigma", [0.6, 1.0, 2.5, 4.0])
@pytest.mark.parametrize("shape", [(40, 56), (9, 70), (64, 64)])
def test_blur_is_scipys_gaussian_with_edges_repeated(sigma: float, shape: tuple[int, int]) -> None:
    """`reflect` in scipy's words: the edge pixel is mirrored with itself; kernel radius 4 sigma."""
    values = np.random.default_rng(5).random(shape, dtype=np.float32)
    expected = ndimage.gaussian_filter(values.astype(np.float64), sigma, mode="reflect", truncate=4.0)
    assert np.abs(blur_map(values, sigma) - expected).max() < 1e-5


def test_blur_of_nothing_is_nothing() -> None:
    values = np.random.default_rng(5).random((5, 5), dtype=np.float32)
    assert np.array_equal(blur_map(values, 0), values)
    assert np.allclose(blur_map(np.full((7, 9), 3.5, np.float32), 4.0), 3.5)


@pytest.mark.parametrize("seed", range(6))
def test_fingerprints_survive_reencoding_and_tell_pictures_apart(seed: int) -> None:
    """JPEG at quality 60, half the size, a little brighter: few of 64 bits change; another picture: many."""
    rgb = _patches(seed)
    mark = perceptual_hash(rgb)
    again = np.asarray(Image.open(io.BytesIO(jpeg_bytes(rgb, quality=60))))
    brighter = np.clip(rgb.astype(int) + 8, 0, 255).astype(np.uint8)
    assert 0 <= mark < 2**64 and hamming(mark, mark) == 0
    for copy in (again, resize_rgb(rgb, 128, 160), brighter):
        assert hamming(mark, perceptual_hash(copy)) <= 8
    assert hamming(mark, perceptual_hash(_patches(seed + 100))) > 12
    assert hamming(mark, perceptual_hash(np.ascontiguousarray(rgb[:, ::-1]))) > 12


def _patches(seed: int) -> npt.NDArray[np.uint8]:
    coarse = np.random.default_rng(seed).integers(30, 220, (12, 12, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (320, 256), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)


def test_calm_parts_of_an_overlay_are_untouched() -> None:
    """Where the map is not over the lower end of the scale, the photograph is shown as it is; above, it is not."""
    rgb = hostile.picture(2)
    values = np.zeros(rgb.shape[:2], np.float32)
    values[:5] = 1.0
    values[5:9] = 0.2
    out = heat_overlay(rgb, values, (0.2, 1.0))
    assert np.array_equal(out[5:], rgb[5:]) and out.dtype == np.uint8
    assert np.abs(out[:5].astype(int) - rgb[:5]).max(axis=2).min() > 10
    assert np.array_equal(heat_overlay(rgb, values, (2.0, 3.0)), rgb)


def test_an_overlay_does_not_stretch_to_its_own_image() -> None:
    """A weak map on a wide scale shows fainter heat than a strong one: the scale belongs to the run."""
    grey = np.full((8, 8, 3), 128, np.uint8)
    weak = heat_overlay(grey, np.full((8, 8), 0.1, np.float32), (0.0, 1.0)).astype(int)
    strong = heat_overlay(grey, np.full((8, 8), 0.9, np.float32), (0.0, 1.0)).astype(int)
    assert 0 < np.abs(weak - 128).sum() < np.abs(strong - 128).sum()


def test_outlines_follow_the_mask_only() -> None:
    rgb = hostile.picture(2)
    mask = np.zeros(rgb.shape[:2], np.uint8)
    mask[10:20, 10:20] = 255
    out = heat_overlay(rgb, np.zeros(rgb.shape[:2], np.float32), (0.5, 1.0), mask)
    changed = (out != rgb).any(axis=2)
    near = cv2.dilate(mask, np.ones((3, 3), np.uint8)) > 0
    assert changed.any() and not changed[~near].any() and not changed[13:17, 13:17].any()


@pytest.mark.parametrize("encode", [png_bytes, jpeg_bytes])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_same_array_gives_the_same_bytes(encode: object, channels: int) -> None:
    rgb = hostile.picture(3)
    array = rgb if channels == 3 else np.ascontiguousarray(rgb[:, :, 0])
    assert callable(encode) and encode(array) == encode(array.copy())


def test_png_loses_nothing_and_jpeg_little() -> None:
    rgb = hostile.picture(4)
    for array in (rgb, rgb[:, :, 0], rgb[::2, ::-1]):
        assert np.array_equal(_decoded(png_bytes(array)), array)
    assert np.abs(_decoded(jpeg_bytes(rgb, quality=95)).astype(int) - rgb).mean() < 3


def _decoded(data: bytes) -> npt.NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(data)))


def test_appearance_tells_dark_flat_and_blurred_pictures() -> None:
    rgb = np.random.default_rng(1).integers(0, 256, (300, 300, 3), dtype=np.uint8)
    base, dark = appearance(rgb), appearance((rgb // 4).astype(np.uint8))
    soft = appearance(cv2.GaussianBlur(rgb, (0, 0), 3))
    assert dark.brightness < base.brightness / 3 and dark.contrast < base.contrast / 3
    assert soft.sharpness < base.sharpness and abs(soft.brightness - base.brightness) < 3
    flat = appearance(np.full((2, 3, 3), 77, np.uint8))
    assert (flat.brightness, flat.contrast, flat.sharpness) == (77.0, 0.0, 0.0)
