"""Promises of drawn masks: boxes, polygons and run lengths mark the pixels that they name, and junk is refused."""

from __future__ import annotations

import contextlib
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noescape.datasets.masks import draw_boxes, draw_polygons, draw_run_lengths

masks = st.integers(1, 9).flatmap(
    lambda h: st.integers(1, 9).flatmap(
        lambda w: st.lists(st.booleans(), min_size=h * w, max_size=h * w).map(lambda v: np.array(v).reshape(h, w))
    )
)


def _runs(mask: np.ndarray) -> list[int]:
    flat = mask.T.ravel()
    runs = [] if not flat[0] else [0]
    return runs + [len(list(g)) for _, g in itertools.groupby(flat)]


def _packed(runs: list[int]) -> str:
    """COCO's text form, written from its description."""
    out = ""
    for i, run in enumerate(runs):
        value = run - runs[i - 2] if i > 2 else run
        more = True
        while more:
            bits, value = value & 31, value >> 5
            more = not ((value == 0 and not bits & 16) or (value == -1 and bits & 16))
            out += chr(bits + 32 * more + 48)
    return out


@given(masks)
def test_run_lengths_give_back_the_mask_in_both_forms(mask: np.ndarray) -> None:
    h, w = mask.shape
    assert np.array_equal(draw_run_lengths(_runs(mask), h, w) > 0, mask)
    assert np.array_equal(draw_run_lengths(_packed(_runs(mask)), h, w) > 0, mask)


@given(st.one_of(st.text(max_size=20), st.lists(st.integers(-5, 2**70), max_size=6)))
def test_junk_run_lengths_are_a_value_error_or_a_whole_mask(counts: str | list[int]) -> None:
    with contextlib.suppress(ValueError):
        assert draw_run_lengths(counts, 4, 5).shape == (4, 5)


def test_a_known_compressed_string_decodes() -> None:
    """The widespread text of an empty mask of 1920 x 1080 pixels."""
    mask = draw_run_lengths("PPYo1", 1080, 1920)
    assert mask.shape == (1080, 1920)
    assert not mask.any()


def test_boxes_are_half_open_cut_at_the_edge_and_in_any_order() -> None:
    mask = draw_boxes([(1, 2, 3, 4), (9, 9, 7, 7), (-5, -5, 0.5, 0.5)], 8, 8)
    marked = {(int(y), int(x)) for y, x in zip(*np.nonzero(mask), strict=True)}
    assert marked == {(2, 1), (2, 2), (3, 1), (3, 2), (7, 7), (0, 0)}


def test_a_polygon_fills_its_inside() -> None:
    mask = draw_polygons([[2, 2, 8, 2, 8, 6, 2, 6]], 10, 12)
    assert mask[3, 4] == 255 and mask[5, 7] == 255
    assert mask[0].max() == 0 and mask[8].max() == 0 and mask[:, 10].max() == 0


@pytest.mark.parametrize("flat", [[1, 2, 3, 4], [1, 2, 3, 4, 5, 6, 7], [float("nan")] * 6, ["a"] * 6])
def test_shapes_that_are_no_polygon_are_refused(flat: list[float]) -> None:
    with pytest.raises(ValueError):
        draw_polygons([flat], 5, 5)


def test_far_away_corners_do_not_overflow() -> None:
    mask = draw_polygons([[-1e300, -1e300, 1e300, -1e300, 1e300, 1e300, -1e300, 1e300]], 6, 6)
    assert mask.min() == 255
