"""Cells: which are NG, which do not count, and which boxes have none."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from noescape.changenet.cells import LEFT_OUT, NG, OK, cell_scores, cell_truth


def test_half_of_a_box_makes_a_cell_ng_and_less_leaves_it_out() -> None:
    """Exactly half counts; the other half is in the neighbour, so both are NG."""
    truth = cell_truth([(60, 10, 68, 20)], (128, 192))
    assert truth.label.tolist() == [[NG, NG, OK], [OK, OK, OK]]
    truth = cell_truth([(60, 10, 69, 20)], (128, 192))
    assert truth.label.tolist() == [[LEFT_OUT, NG, OK], [OK, OK, OK]]
    assert truth.box[0, 1] == 0 and truth.box[0, 0] == -1


def test_a_box_over_many_cells_or_without_area_is_listed() -> None:
    truth = cell_truth([(0, 0, 192, 128), (5, 5, 5, 9), (130, 70, 150, 90)], (128, 192))
    assert truth.homeless == (0, 1)
    assert truth.label[1, 2] == NG and truth.box[1, 2] == 2
    assert (truth.label[np.arange(2)[:, None], np.arange(2)] == LEFT_OUT).all()


def test_what_lies_outside_of_the_image_counts_as_area() -> None:
    """A box three quarters outside has no cell that holds half of it."""
    truth = cell_truth([(120, 10, 152, 20)], (64, 128))
    assert truth.homeless == (0,) and truth.label.tolist() == [[OK, LEFT_OUT]]


@given(
    st.lists(st.tuples(st.integers(0, 250), st.integers(0, 180), st.integers(1, 140), st.integers(1, 140)), max_size=6)
)
def test_truth_is_what_counting_pixels_gives(sizes: list[tuple[int, int, int, int]]) -> None:
    """Against the plain count of pixels, for any boxes inside an image with ragged last cells."""
    height, width = 200, 270
    boxes = [(x, y, min(width, x + w), min(height, y + h)) for x, y, w, h in sizes]
    truth = cell_truth(boxes, (height, width))
    for i in range(4):
        for j in range(5):
            shares = []
            for x0, y0, x1, y1 in boxes:
                mask = np.zeros((height, width), bool)
                mask[y0:y1, x0:x1] = True
                shares.append(mask[64 * i : 64 * i + 64, 64 * j : 64 * j + 64].sum() / mask.sum())
            most = max(shares, default=0.0)
            assert truth.label[i, j] == (NG if most >= 0.5 else LEFT_OUT if most > 0 else OK)


def test_cell_scores_are_the_mean_of_the_four_largest_at_ragged_edges_too() -> None:
    """Cells of the last column are two places wide, of the last row one high: where there are fewer, all of them."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(25, 34)).astype(np.float32)
    got = cell_scores(values, (200, 270), stride=8)
    assert got.shape == (4, 5)
    for (i, j), value in np.ndenumerate(got):
        inside = np.sort(values[8 * i : 8 * i + 8, 8 * j : 8 * j + 8].ravel())[-4:]
        assert value == np.float32(inside.mean()) or abs(value - inside.mean()) < 1e-6
    assert cell_scores(values, (200, 270), stride=8)[3, 4] < values[24:, 32:].max()
