"""Pads, arcs and letters have the shapes that the format means."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from kicad_boards import Dialect, write
from noescape.board.cad.kicad import read_kicad
from noescape.board.cad.model import Drawing, Pad
from noescape.board.cad.raster import Canvas
from noescape.board.cad.shapes import arc_through, area, bezier, capsule, inside, turned
from noescape.board.cad.strokes import text_lines

CANVAS = Canvas(x=95, y=-65, px_per_mm=40, width=1200, height=800)


def _pad(tmp_path: Path, shape: str, more: str = "", angle: float = 0, drill: str = "", version: int = 6) -> Pad:
    d = Dialect(version)
    pad = f'(pad "1" smd {shape} (at 0 0 {angle}) (size 4 2) {drill} (layers "F.Cu" "F.Paste" "F.Mask") {more})'
    path = write(tmp_path, d.board(d.rim() + d.part("X:Y", "U1", 110, 55, 0, pad)))
    return read_kicad(path).footprints[0].pads[0]


def _area(pad: Pad) -> float:
    """mm² of copper, by counting pixels."""
    plane = CANVAS.empty()
    CANVAS.draw_all(plane, pad.copper)
    return float(plane.sum()) / 255 / CANVAS.px_per_mm**2


AREAS = {
    "rect": ("", 8.0), "oval": ("", 4 + math.pi), "circle": ("", math.pi * 4),
    "roundrect": ("(roundrect_rratio 0.5)", 4 + math.pi),
    "trapezoid": ("(rect_delta 0 1)", 8.0),
    "custom": ("(options (clearance outline) (anchor rect)) (primitives (gr_poly (pts (xy 2 -1) (xy 4 -1) (xy 4 1) "
               "(xy 2 1)) (width 0) (fill yes)) (gr_line (start -2 0) (end -3 0) (width 1)))", 8 + 4 + 1 + math.pi / 8),
}  # fmt: skip


@pytest.mark.parametrize("shape", AREAS)
@pytest.mark.parametrize("angle", [0, 33])
def test_pads_cover_their_area(shape: str, angle: float, tmp_path: Path) -> None:
    """Whatever the angle; a circle's diameter is its width. Edges of pixels count for a little."""
    more, expected = AREAS[shape]
    assert _area(_pad(tmp_path, shape, more, angle)) == pytest.approx(expected, rel=0.04)


def test_chamfered_corners_are_cut_where_they_are_named(tmp_path: Path) -> None:
    """`top` is up on the screen: +y in our frame."""
    pad = _pad(tmp_path, "roundrect", "(roundrect_rratio 0) (chamfer_ratio 0.25) (chamfer top_left)")
    ring = pad.copper[0].points[:-1] - (110, -55)
    assert not inside((-1.95, 0.95), ring) and all(
        inside(p, ring) for p in ((1.95, 0.95), (1.95, -0.95), (-1.95, -0.95))
    )
    assert area(ring) == pytest.approx(8 - 0.125)


def test_a_trapezoid_is_wide_where_the_format_means(tmp_path: Path) -> None:
    """Its second delta makes it wider below than above, its first taller on the left than on the right."""
    ring = _pad(tmp_path, "trapezoid", "(rect_delta 0 1)").copper[0].points - (110, -55)
    upper, lower = ring[ring[:, 1] > 0], ring[ring[:, 1] < 0]
    assert np.ptp(upper[:, 0]) == pytest.approx(3) and np.ptp(lower[:, 0]) == pytest.approx(5)
    ring = _pad(tmp_path, "trapezoid", "(rect_delta 1 0)").copper[0].points - (110, -55)
    assert np.ptp(ring[ring[:, 0] < 0][:, 1]) == pytest.approx(3) and np.ptp(
        ring[ring[:, 0] > 0][:, 1]
    ) == pytest.approx(1)


def test_slots_and_offsets(tmp_path: Path) -> None:
    """An oval drill runs along its longer side and turns with the pad; an offset moves the copper, not the hole."""
    pad = _pad(tmp_path, "oval", angle=90, drill="(drill oval 2 0.5 (offset 1 0))")
    assert pad.drill is not None and pad.drill.diameter == 0.5
    assert np.allclose(pad.drill.points, [(110, -55.75), (110, -54.25)])
    assert (pad.x, pad.y) == pytest.approx((110, -54))


def test_the_mask_follows_the_nearest_margin(tmp_path: Path) -> None:
    """The board's margin, unless the pad has its own."""
    assert _pad(tmp_path, "rect").mask_margin == 0.05
    assert _pad(tmp_path, "rect", "(solder_mask_margin 0.2)").mask_margin == 0.2


@pytest.mark.parametrize("turn", [0, 77, 200])
@pytest.mark.parametrize("sweep", [30, -30, 200, -340])
def test_an_arc_runs_over_its_middle(turn: float, sweep: float) -> None:
    """Either way round, less or more than half, its length is that of the circle's part."""
    spots = [
        (3 * math.cos(math.radians(turn + sweep * k / 2)), 3 * math.sin(math.radians(turn + sweep * k / 2)))
        for k in range(3)
    ]
    points = arc_through(*spots)
    assert np.allclose(np.hypot(*points.T), 3) and np.allclose(points[[0, -1]], [spots[0], spots[2]])
    assert np.hypot(*np.diff(points, axis=0).T).sum() == pytest.approx(math.radians(abs(sweep)) * 3, rel=0.01)


def test_old_arcs_turn_clockwise_from_their_end(tmp_path: Path) -> None:
    """Version 5: `start` is the centre, `end` the first point, the angle clockwise on the screen."""
    d = Dialect(5)
    arc = "(gr_arc (start 110 55) (end 112 55) (angle 90) (layer F.SilkS) (width 0.1))"
    (drawing,) = read_kicad(write(tmp_path, d.board(d.rim() + arc))).drawings
    assert np.allclose(drawing.points[[0, -1]], [(112, -55), (110, -57)])


def test_straight_and_closed_arcs_do_no_harm() -> None:
    assert len(arc_through((0, 0), (1, 0), (2, 0))) == 2
    assert area(arc_through((1, 0), (-1, 0), (1, 0))[:-1]) == pytest.approx(math.pi, rel=0.03)
    assert np.allclose(bezier(np.array([(0, 0), (1, 0), (2, 0), (3, 0)], dtype=float))[[0, 16, 32], 0], [0, 1.5, 3])


def test_quarter_turns_are_exact_and_capsules_are_round() -> None:
    assert np.array_equal(turned(np.array([(1.0, 2.0)]), 90), [(-2, 1)]) and np.array_equal(
        turned(np.array([(1.0, 2.0)]), -180), [(-1, -2)]
    )
    assert area(capsule(np.array([(0.0, 0), (2, 0)]), 1)) == pytest.approx(2 + math.pi / 4, rel=0.02)


def test_letters_are_as_high_and_as_far_apart_as_asked() -> None:
    """Capitals fill the height; each letter has some line; rows stand under each other; alignment moves all of it."""
    for sign in map(chr, range(33, 127)):
        assert text_lines(sign, 1, 1), sign
    points = np.concatenate(text_lines("HEH", 2, 1, "left", "bottom"))
    assert points.min(axis=0) == pytest.approx((0, 0)) and points[:, 1].max() == pytest.approx(2)
    right = np.concatenate(text_lines("HEH", 2, 1, "right", "top"))
    assert right.max(axis=0) == pytest.approx((0, 0))
    rows = np.concatenate(text_lines("H\nH", 1, 1))
    assert rows[:, 1].max() == pytest.approx(-rows[:, 1].min()) and np.ptp(rows[:, 1]) > 2
    assert (
        len(text_lines("é", 1, 1)) == len(text_lines("e", 1, 1))
        and text_lines("電", 1, 1)
        and not text_lines("  ", 1, 1)
    )


def _silk(tmp_path: Path, text: str) -> list[Drawing]:
    d = Dialect()
    return [x for x in read_kicad(write(tmp_path, d.board(d.rim() + text))).drawings if x.layer.endswith("SilkS")]


def test_texts_stand_where_and_how_they_are_written(tmp_path: Path) -> None:
    """Turned counter-clockwise, mirrored about their anchor, hidden ones not at all, variables filled in."""
    font = "(effects (font (size 1 1) (thickness 0.15)) (justify left bottom{}))"
    up = _silk(tmp_path, f'(gr_text "L" (at 105 55 90) (layer "F.SilkS") {font.format("")})')
    points = np.concatenate([x.points for x in up]) - (105, -55)
    assert points[:, 0].min() == pytest.approx(-1) and points[:, 1].max() == pytest.approx(4 / 6)
    back = _silk(tmp_path, f'(gr_text "L" (at 105 55 0) (layer "B.SilkS") {font.format(" mirror")})')
    assert (np.concatenate([x.points for x in back])[:, 0] - 105).max() == pytest.approx(0)
    assert not _silk(tmp_path, f'(gr_text "L" (at 105 55) (layer "F.SilkS") hide {font.format("")})')
    assert not _silk(tmp_path, f'(gr_text "L" (at 105 55) (layer "F.SilkS") (hide yes) {font.format("")})')
    d = Dialect()
    user = f'(fp_text user "${{REFERENCE}}" (at 0 0 0) (layer "F.SilkS") {font.format("")})'
    one = _silk(tmp_path, d.part("X:Y", "I", 105, 55, 0, "", more=user))
    assert len(one) == 2 * len(text_lines("I", 1, 1))


def test_texts_of_parts_stay_upright(tmp_path: Path) -> None:
    """A reference at 180 degrees is drawn at 0, as KiCad draws it, unless it is unlocked."""
    d = Dialect()
    locked = _silk(tmp_path, d.part("X:Y", "L", 105, 55, 180, "").replace("(at 0 -2 180)", "(at 0 0 180)"))
    free = _silk(tmp_path, d.part("X:Y", "L", 105, 55, 180, "").replace("(at 0 -2 180)", "(at 0 0 180 unlocked)"))
    foot = [min(x.points[:, 1].min() for x in lines) for lines in (locked, free)]
    corner = [lines[0].points[1] - (105, -55) for lines in (locked, free)]
    assert foot[0] == pytest.approx(foot[1]) and np.allclose(corner[0], -corner[1])


def test_a_text_in_a_font_of_the_system_keeps_its_outlines(tmp_path: Path) -> None:
    cache = '(render_cache "A" 0 (polygon (pts (xy 104 54) (xy 106 54) (xy 105 56))))'
    (shape,) = _silk(
        tmp_path, f'(gr_text "A" (at 105 55) (layer "F.SilkS") (effects (font (face "Arial") (size 1 1))) {cache})'
    )
    assert shape.filled and shape.points.tolist() == [[104, -54], [106, -54], [105, -56]]
