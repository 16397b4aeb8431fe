"""The pictures of a bare board show what the layers say, and the body has the holes that they do not."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from kicad_boards import Dialect, write
from noescape.board.cad import laminate
from noescape.board.cad.frames import at_origin, seen_from
from noescape.board.cad.kicad import read_kicad
from noescape.board.cad.model import Board
from noescape.board.cad.plane import FINISHES, MASKS, Plane, bake, finish_of, pixels_per_mm
from noescape.records import UsageError


def _board(tmp_path: Path, body: str = "", **more: str) -> Board:
    d = Dialect()
    text = d.board(d.rim() + body, **more) if body else d.full()
    return at_origin(read_kicad(write(tmp_path, text)))


def _at(plane: Plane, x: float, y: float) -> tuple[list[int], int, int]:
    """Colour, roughness and metal at a place of the file (y downwards from the rim's corner)."""
    k = plane.canvas.px_per_mm
    row, column = int(y * k), int(x * k)
    return plane.albedo[row, column].tolist(), int(plane.roughness[row, column]), int(plane.metallic[row, column])


def test_each_layer_is_seen_where_it_lies(tmp_path: Path) -> None:
    """Laminate and copper under the mask, bare pads that shine, silk, a hole under the mask as a dimple."""
    plane = bake(_board(tmp_path), px_per_mm=40)
    green, over_copper = (list(color) for color in MASKS["green"])
    assert plane.albedo.shape == (400, 800, 3)
    assert _at(plane, 1, 9) == (green, 41, 0)
    assert _at(plane, 5.5, 5)[0] == over_copper and _at(plane, 16, 2)[0] == over_copper
    color, _, metal = _at(plane, 3, 3.775)
    assert color == list(FINISHES["gold"]) and metal == 255
    assert _at(plane, 3, 3)[2] == 0
    dimple = _at(plane, 10, 2)
    assert dimple[2] == 0 and sum(dimple[0]) < 0.8 * sum(over_copper)


def test_the_mask_opens_a_little_wider_than_the_pad(tmp_path: Path) -> None:
    """Round a pad of 0.9 x 0.95 mm the board's margin of 0.05 mm shows laminate."""
    d = Dialect()
    plane = bake(_board(tmp_path, d.chip("C1", 105, 55)), px_per_mm=80)
    bare = (np.abs(plane.albedo.astype(int) - MASKS["green"][0]).sum(axis=2) > 60) & (plane.metallic < 10)
    rim = bare[350:450].sum() / 80**2  # the rows of the pads; the silk is elsewhere
    assert rim == pytest.approx(2 * (1.0 * 1.05 - 0.9 * 0.95), rel=0.5) and rim > 0


def test_silk_is_not_printed_on_bare_metal(tmp_path: Path) -> None:
    d = Dialect()
    line = d.line((103, 55), (107, 55), "F.SilkS", 0.3)
    plane = bake(_board(tmp_path, d.chip("C1", 105, 55) + line), px_per_mm=40)
    assert min(_at(plane, 5, 5)[0]) > 200 and _at(plane, 5.775, 5)[0] == list(FINISHES["gold"])


def test_the_other_side_is_mirrored(tmp_path: Path) -> None:
    """What is left of the middle seen from above is right of it seen from below."""
    plane = bake(at_origin(seen_from(_board(tmp_path), "bottom")), px_per_mm=40)
    metal = np.argwhere(plane.metallic > 200)
    left, right = metal[metal[:, 1] < 600], metal[metal[:, 1] >= 560]
    assert (
        len(left)
        and np.isclose(right[:, 1].mean() / 40, 15, atol=0.2)
        and np.isclose(right[:, 0].mean() / 40, 7, atol=0.2)
    )


def test_colours_come_from_the_board_or_the_caller(tmp_path: Path) -> None:
    d = Dialect()
    stack = '(stackup (layer "F.Mask" (color "Blue")) (layer "B.Mask" (color "Red")) (copper_finish "HAL lead-free"))'
    board = _board(tmp_path, d.chip("C1", 105, 55), setup=stack)
    assert finish_of(board) == "tin"
    assert _at(bake(board, px_per_mm=20), 15, 5)[0] == list(MASKS["blue"][0])
    back = at_origin(seen_from(board, "bottom"))
    assert _at(bake(back, px_per_mm=20), 15, 5)[0] == list(MASKS["red"][0])
    assert _at(bake(board, px_per_mm=20, mask="black", finish="copper"), 5.775, 5)[0] == list(FINISHES["copper"])


def test_pixels_are_chosen_by_size_and_bounded(tmp_path: Path) -> None:
    board = _board(tmp_path)
    assert pixels_per_mm(board) == 60 and pixels_per_mm(board, 12.5) == 12.5
    for wrong in (0, -1, math.nan, 1e5):
        with pytest.raises(UsageError, match="--px-per-mm"):
            pixels_per_mm(board, wrong)


def test_wide_holes_are_cut_and_small_ones_painted(tmp_path: Path) -> None:
    """Two pins of 1 mm go through the body; a covered via of 0.4 mm does not. The face's area is what remains."""
    board = _board(tmp_path)
    drills = laminate.cut_drills(board)
    assert [drill.diameter for drill in drills] == [1.0, 1.0]
    points, faces = laminate.face(board.outlines[0], drills, 0.0, up=True)
    a, b, c = (points[faces[:, k]][:, :2] for k in range(3))
    areas = ((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]) / 2
    assert areas.min() >= 0 and areas.sum() == pytest.approx(200 - math.pi - 2 * math.pi / 4, rel=0.01)


@pytest.mark.parametrize("place", [(100, 55), (117, 56), (116, 57.2)])
def test_holes_across_an_edge_are_painted_not_cut(place: tuple[float, float], tmp_path: Path) -> None:
    """At the rim and at a cut-out (a castellation): the mesh stays whole."""
    d = Dialect()
    hole = f'(gr_circle (center 117 57) (end 118 57) (layer "Edge.Cuts") {d.pen(0.1)})'
    pin = '(pad "1" thru_hole circle (at 0 0) (size 1.7 1.7) (drill 1) (layers "*.Cu" "*.Mask"))'
    board = _board(tmp_path, hole + d.part("X:Y", "J1", *place, 0, pin))
    assert laminate.cut_drills(board) == []
    assert len(laminate.face(board.outlines[0], [], 0.0, up=False).faces)
    assert bake(board, px_per_mm=20).albedo.shape == (200, 400, 3)


def test_drills_on_each_other_are_cut_once(tmp_path: Path) -> None:
    d = Dialect()
    pins = '(pad "1" thru_hole circle (at 0 0) (size 1.7 1.7) (drill 1) (layers "*.Cu" "*.Mask"))' * 3
    assert len(laminate.cut_drills(_board(tmp_path, d.part("X:Y", "J1", 105, 55, 0, pins)))) == 1


def test_pads_are_bodies_with_holes(tmp_path: Path) -> None:
    """Closed sides, 35 µm high; a pad whose hole leaves nothing, or breaks its rim, has no body."""
    d = Dialect()
    form = '(pad "1" thru_hole circle (at 0 0) (size {} {}) (drill 1) (layers "*.Cu" "*.Mask"))'
    for size, whole in ((1.7, True), (0.9, False)):
        board = _board(tmp_path, d.part("X:Y", "J1", 105, 55, 0, form.format(size, size)))
        body = laminate.pad_copper(board.footprints[0].pads[0])
        assert (body is not None) == whole
        if body is not None:
            assert body.points[:, 2].min() == 0 and body.points[:, 2].max() == pytest.approx(0.035)
            top = body.points[body.faces][(body.points[body.faces][:, :, 2] > 0.03).all(axis=1)]
            flat = np.cross(top[:, 1] - top[:, 0], top[:, 2] - top[:, 0])[:, 2] / 2
            assert flat.min() > 0 and flat.sum() == pytest.approx(math.pi * (1.7**2 - 1) / 4, rel=0.05)
