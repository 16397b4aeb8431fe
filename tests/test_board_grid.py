"""The scan over a board: every point is seen, centres stand by the cookbooks' formula, numbers fill themselves in."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from noescape.board.scene.grid import Grid, cells_of, complete, quarter_turns, scan_grid
from noescape.records import UsageError

LENGTHS = st.floats(0.5, 500, allow_nan=False)
NUMBERS = st.integers(1, 12)
YAWS = st.sampled_from([-270, -180, -90, 0, 90, 180, 270, 360])


def box(x: float, y: float, z: float = 2.0, at: tuple[float, float] = (0.0, 0.0)) -> np.ndarray:
    return np.array([[at[0] - x / 2, at[1] - y / 2, -1.6], [at[0] + x / 2, at[1] + y / 2, z]])


def seen(grid: Grid, points: np.ndarray) -> np.ndarray:
    """The slow road: for each point, whether any footprint holds it."""
    out = np.zeros(len(points), bool)
    for x in grid.x:
        for y in grid.y:
            near = np.abs(points - (x, y)) <= np.array(grid.footprint) / 2 + 1e-6
            out |= near.all(axis=1)
    return out


@settings(max_examples=150, deadline=None)
@given(
    x=LENGTHS, y=LENGTHS, nx=NUMBERS, ny=NUMBERS, yaw=YAWS, width=LENGTHS, shape=st.floats(0.3, 3), flat=st.booleans()
)
def test_every_point_of_the_board_is_in_some_picture(
    x: float, y: float, nx: int, ny: int, yaw: int, width: float, shape: float, flat: bool
) -> None:
    """At the height of the highest point, with both projections, whatever the numbers."""
    bounds = box(x, y, at=(13.0, -7.0))
    grid = scan_grid(
        bounds,
        aperture=(width, width * shape),
        projection="orthographic" if flat else "perspective",
        focal_length=50.0,
        x_num=nx,
        y_num=ny,
        yaw=yaw,
        grow=True,
    )
    rng = np.random.default_rng(0)
    inside = bounds[0, :2] + rng.random((40, 2)) * (bounds[1, :2] - bounds[0, :2])
    corners = np.array([(a, b) for a in bounds[:, 0] for b in bounds[:, 1]])
    assert seen(grid, np.concatenate([inside, corners])).all()
    assert len(grid.x) == nx
    assert len(grid.y) == ny
    assert grid.z > bounds[1, 2]


@settings(max_examples=150, deadline=None)
@given(x=LENGTHS, nx=st.integers(2, 12), reach=st.floats(0.05, 0.99))
def test_centres_descend_by_the_formula_of_the_cookbooks(x: float, nx: int, reach: float) -> None:
    """step = (board - footprint) / (n - 1), written out by hand, from the highest x down."""
    footprint = x * reach
    assume(nx * footprint >= x)
    grid = scan_grid(box(x, x), aperture=(footprint, footprint), x_num=nx, y_num=nx)
    step = (x - footprint) / (nx - 1)
    by_hand = [x / 2 - footprint / 2 - i * step for i in range(nx)]
    np.testing.assert_allclose(grid.x, by_hand, atol=1e-9 * x + 1e-9)
    np.testing.assert_allclose(grid.y, by_hand, atol=1e-9 * x + 1e-9)
    assert all(a > b for a, b in zip(grid.x, grid.x[1:], strict=False))
    assert grid.x[0] + footprint / 2 == pytest.approx(x / 2)  # the first picture ends where the board ends
    assert grid.x[-1] - footprint / 2 == pytest.approx(-x / 2)


def test_one_footprint_over_all_puts_every_centre_in_the_middle() -> None:
    grid = scan_grid(box(10, 8, at=(3, 4)), aperture=(50, 50), x_num=3, y_num=2)
    assert grid.x == (3.0, 3.0, 3.0)
    assert grid.y == (4.0, 4.0)


def test_a_perspective_camera_stands_as_low_as_its_footprint_allows() -> None:
    """z = top + max(x f / (width nx), y f / (height ny)): one of the two fits exactly."""
    bounds = box(100, 60, z=5.0)
    grid = scan_grid(bounds, aperture=(20, 15), projection="perspective", focal_length=50, x_num=5, y_num=2)
    assert grid.z == pytest.approx(5 + max(100 * 50 / (20 * 5), 60 * 50 / (15 * 2)))
    assert grid.footprint[1] * 2 == pytest.approx(60)
    assert grid.footprint[0] * 5 >= 100
    lifted = scan_grid(
        bounds, aperture=(20, 15), projection="perspective", focal_length=50, x_num=5, y_num=2, z_min=1000.0
    )
    assert lifted.z == 1000.0
    assert lifted.footprint[0] == pytest.approx(995 * 20 / 50)


def test_an_odd_quarter_turn_swaps_the_apertures() -> None:
    flat = scan_grid(box(30, 40), aperture=(20, 10), x_num=4, y_num=5, yaw=90)
    assert flat.footprint == (10, 20)
    cells = cells_of(flat, 0.0, (640, 320), -90)
    assert cells[0].camera.yaw == 270
    assert cells[0].camera.field == (20, 10)  # of the picture, which is 640 wide
    assert cells_of(flat, 0.0, (640, 320), 450)[0].camera.yaw == 90


def test_cells_go_from_the_top_right_y_outer_and_their_names_sort() -> None:
    grid = scan_grid(box(100, 100), aperture=(20, 20), x_num=11, y_num=6)
    cells = cells_of(grid, 0.0, (64, 64), 0)
    assert [c.name for c in cells[:2]] == ["x00_y0", "x01_y0"]
    assert cells[0].camera.x == max(grid.x)
    assert cells[0].camera.y == max(grid.y)
    assert cells[11].name == "x00_y1"
    assert [c.name for c in sorted(cells, key=lambda c: (c.i, c.j))] == sorted(c.name for c in cells)


@settings(max_examples=150, deadline=None)
@given(x=LENGTHS, y=LENGTHS, n=NUMBERS, width=LENGTHS, shape=st.floats(0.3, 3), yaw=YAWS)
def test_a_missing_number_is_the_least_that_keeps_cells_within_the_pictures_shape(
    x: float, y: float, n: int, width: float, shape: float, yaw: int
) -> None:
    """Found by counting up, the slow way."""
    aperture = (width, width * shape)
    along = aperture if round(yaw / 90) % 2 == 0 else aperture[::-1]
    expected = next(k for k in range(1, 10**7) if (x / n) * k * along[1] >= y * along[0] * (1 - 1e-9))
    assume(expected < 10**5)
    assert complete((x, y), aperture, n, None, yaw) == (n, expected)
    expected = next(k for k in range(1, 10**7) if (y / n) * k * along[0] >= x * along[1] * (1 - 1e-9))
    assert complete((x, y), aperture, None, n, yaw) == (expected, n)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"x_num": 2}, "do not cover"),
        ({"yaw": 45.0}, "multiple of 90"),
        ({"yaw": math.nan}, "multiple of 90"),
        ({"x_num": None, "y_num": None}, "x_num, y_num or both"),
        ({"x_num": 0}, "at least 1"),
        ({"aperture": (0.0, 10.0)}, "above 0"),
        ({"projection": "perspective", "focal_length": 0.0}, "focal length"),
        ({"x_num": 1000, "y_num": 1000}, "at most"),
    ],
)
def test_a_scan_that_cannot_be_is_refused_with_the_reason(change: dict[str, object], word: str) -> None:
    values: dict[str, object] = {"aperture": (10.0, 10.0), "x_num": 3, "y_num": 3, **change}
    with pytest.raises(UsageError, match=word):
        scan_grid(box(30, 30), **values)  # type: ignore[arg-type]


def test_a_board_without_area_is_refused() -> None:
    with pytest.raises(UsageError, match="nothing to scan"):
        scan_grid(box(0, 30), aperture=(10, 10), x_num=1, y_num=1)


def test_quarter_turns_count_from_zero_to_three() -> None:
    assert [quarter_turns(y) for y in (0, 90, 180, 270, 360, -90, -450)] == [0, 1, 2, 3, 0, 3, 3]
