"""A .kicad_pcb becomes the same Board whatever version wrote it, and what is broken is named in one clear error."""

from __future__ import annotations

import math
import random
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from kicad_boards import RIM, VERSIONS, Dialect, write
from noescape.board.cad.frames import at_origin, seen_from
from noescape.board.cad.kicad import read_kicad
from noescape.board.cad.model import Board, Drawing
from noescape.board.cad.outline import outlines
from noescape.board.cad.placing import own_pads
from noescape.board.cad.shapes import area
from noescape.records import DataError


def _read(tmp_path: Path, text: str) -> Board:
    return read_kicad(write(tmp_path, text))


@pytest.mark.parametrize("version", VERSIONS)
def test_every_version_says_the_same(version: int, tmp_path: Path) -> None:
    """Outline, cut-out, parts, pads, drills, copper and silk do not depend on the dialect."""
    board = _read(tmp_path, Dialect(version).full())
    (outline,) = board.outlines
    assert area(outline.rim) == pytest.approx(200) and len(outline.holes) == 1
    assert area(outline.holes[0]) == pytest.approx(-math.pi, rel=0.02)
    parts = {part.refdes: part for part in board.footprints}
    assert set(parts) == {"C1", "Q1", "J1", "C2"}
    assert parts["C1"].value == "100nF" and parts["C1"].name == "Capacitor_SMD:C_0603_1608Metric"
    assert [part.side for part in board.footprints] == ["top", "top", "top", "bottom"]
    assert [(pad.drill.diameter if pad.drill else 0) for pad in parts["J1"].pads] == [1.0, 1.0]
    copper = [d for d in board.drawings if d.layer == "F.Cu"]
    assert [d.filled for d in copper] == [False, True] and copper[0].width == 0.25
    (via,) = board.vias
    assert via.drill is not None and via.drill.diameter == 0.4 and via.on("F.Cu") and not via.on("F.Mask")
    assert any(d.layer == "F.SilkS" for d in board.drawings) and any(d.layer == "B.SilkS" for d in board.drawings)


def test_y_points_up_and_angles_turn_counter_clockwise(tmp_path: Path) -> None:
    """A chip at 90 degrees has pad 2 above pad 1: KiCad turns the x axis to -y of the file, which is up."""
    part = next(p for p in _read(tmp_path, Dialect().full()).footprints if p.refdes == "C1")
    one, two = part.pads
    assert (part.x, part.y) == (103, -53)
    assert (one.x, one.y) == pytest.approx((103, -53.775)) and (two.x, two.y) == pytest.approx((103, -52.225))


def test_a_pads_angle_is_that_on_the_board(tmp_path: Path) -> None:
    """In the part's own frame the pads of a turned chip lie as the library draws them."""
    for degrees in (0, 30, 90, 215):
        dialect = Dialect()
        board = _read(tmp_path, dialect.board(dialect.rim() + dialect.chip("C1", 110, 55, degrees)))
        one, two = own_pads(board.footprints[0])
        assert (one.x, one.y, two.x, two.y) == pytest.approx((-0.775, 0, 0.775, 0), abs=1e-6)
        assert one.angle % 180 == pytest.approx(0, abs=1e-6)


def test_the_bottom_is_seen_from_its_own_side(tmp_path: Path) -> None:
    """Turned over, x runs the other way, B. layers come on top, and parts there look as their library draws them."""
    top = _read(tmp_path, Dialect().full())
    bottom = seen_from(top, "bottom")
    part = next(p for p in bottom.footprints if p.refdes == "C2")
    assert (part.x, part.y, part.angle) == (-105, -57, 150)
    assert all(pad.on("F.Cu") and not pad.on("B.Cu") for pad in part.pads)
    one, two = own_pads(part)
    assert (one.x, two.x) == pytest.approx((-0.775, 0.775), abs=1e-6)
    assert area(bottom.outlines[0].rim) == pytest.approx(200)
    back = seen_from(bottom, "top")
    for a, b in zip(top.drawings, back.drawings):
        assert a.layer == b.layer and np.array_equal(a.points, b.points)


def test_the_origin_moves_with_the_board(tmp_path: Path) -> None:
    board = at_origin(_read(tmp_path, Dialect().board(Dialect().rim() + Dialect().chip("C1", 101, 59))))
    assert board.bounds() == (0, 0, 20, 10) and board.origins["page"] == (-100, 60)
    assert (board.footprints[0].x, board.footprints[0].y) == (1, 1)
    assert board.footprints[0].pads[0].copper[0].points.mean(axis=0)[0] == pytest.approx(0.2, abs=0.2)


def test_an_outline_of_lines_arcs_and_curves_in_any_order_closes(tmp_path: Path) -> None:
    d = Dialect()
    body = (
        d.line((100, 50), (110, 50))
        + f'(gr_arc (start 110 60) (mid 115 55) (end 110 50) (layer "Edge.Cuts") {d.pen(0.1)})'
        + f'(gr_curve (pts (xy 100 60) (xy 98 58) (xy 98 52) (xy 100 50)) (layer "Edge.Cuts") {d.pen(0.1)})'
        + d.line((110, 60), (100, 60))
    )
    board = _read(tmp_path, d.board(body))
    assert area(board.outlines[0].rim) == pytest.approx(100 + math.pi * 25 / 2 + 12, rel=0.02)


def test_an_outline_may_lie_in_a_footprint_and_be_drawn_twice(tmp_path: Path) -> None:
    d = Dialect()
    inner = "".join(
        f'(fp_line (start {a[0] - 110} {a[1] - 55}) (end {b[0] - 110} {b[1] - 55}) (layer "Edge.Cuts") {d.pen(0.1)})'
        for a, b in zip(RIM, (*RIM[1:], RIM[0]))
    )
    board = _read(tmp_path, d.board(d.part("Rim", "X1", 110, 55, 0, "", more=inner * 2)))
    assert area(board.outlines[0].rim) == pytest.approx(200)


def test_an_open_outline_is_named_with_both_ends_of_its_gap(tmp_path: Path) -> None:
    d = Dialect()
    corners = ((100, 60), (100, 50), (120, 50), (120, 60), (100.4, 60))
    text = d.board("".join(d.line(a, b) for a, b in pairwise(corners)))
    with pytest.raises(
        DataError, match=r"open between \(100\.4?0*, 60\.000\) and \(100\.4?0*, 60\.000\) mm.*0\.400 mm"
    ):
        _read(tmp_path, text)


BROKEN = {
    "no outline": (lambda d: d.board(d.chip("C1", 105, 55)), "no outline"),
    "no area": (lambda d: d.board(d.line((100, 50), (120, 50)) + d.line((120, 50), (100, 50), width=0.2)), "Edge.Cuts"),
    "a point": (lambda d: d.board(d.line((100, 50), (100, 50))), "no area"),
    "a unit": (lambda d: d.full().replace("(width 0.25)", "(width 10mil)"), r"line \d+: \(width.*'10mil'"),
    "not a number": (lambda d: d.full().replace("(width 0.25)", "(width nan)"), "out of range"),
    "too far": (lambda d: d.full().replace("(width 0.25)", "(width 1e9)"), "out of range"),
    "no copper layer": (lambda d: d.board(d.rim(), layers='(0 "F.Cu" signal) (44 "Edge.Cuts" user)'), "lacks B.Cu"),
    "no table": (lambda d: "(kicad_pcb (version 20211014))", "table of layers"),
    "no version": (lambda d: "(kicad_pcb (layers))", "version"),
    "a footprint": (lambda d: '(footprint "R" (layer "F.Cu"))', "single footprint"),
    "a schematic": (lambda d: "(kicad_sch (version 20211123))", "kicad_pcb"),
    "a shape": (lambda d: d.full().replace("smd rect", "smd star", 1), "'star'"),
    "no size": (lambda d: d.full().replace("(size 0.9 0.95)", "", 1), r"no \(size"),
    "cut off": (lambda d: d.full()[:900], "cut off"),
    "empty": (lambda d: "", "empty"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_broken_is_one_clear_error(name: str, tmp_path: Path) -> None:
    """Each names the file and what is wrong there."""
    make, words = BROKEN[name]
    with pytest.raises(DataError, match=words) as caught:
        _read(tmp_path, make(Dialect()))
    assert "small.kicad_pcb" in str(caught.value) and "\n" not in str(caught.value)


def test_zones_without_copper_and_foreign_versions_are_noted(tmp_path: Path) -> None:
    d = Dialect()
    empty = '(zone (net 0) (layer "F.Cu") (fill) (polygon (pts (xy 101 51) (xy 102 51) (xy 102 52))))'
    assert "fill all zones" in " ".join(_read(tmp_path, d.board(d.rim() + empty)).notices)
    assert "older than KiCad 6" in " ".join(_read(tmp_path, Dialect(5).full()).notices)
    newer = d.board(d.rim()).replace("20211014", "20990101")
    assert "newer than KiCad 9" in " ".join(_read(tmp_path, newer).notices)


def test_vias_are_covered_unless_the_board_says_otherwise(tmp_path: Path) -> None:
    """`viasonmask` (6), the setup's `tenting` and a via's own (9)."""

    def bare(version: int, setup: str = "", own: str = "") -> tuple[bool, bool]:
        d = Dialect(version)
        via = f'(via (at 110 55) (size 0.8) (drill 0.4) (layers "F.Cu" "B.Cu") {own} (net 0))'
        (found,) = _read(tmp_path, d.board(d.rim() + via, setup=setup)).vias
        return found.on("F.Mask"), found.on("B.Mask")

    assert bare(6) == (False, False)
    assert bare(6, "(pcbplotparams (viasonmask true))") == (True, True)
    assert bare(9, "(tenting front)") == (False, True)
    assert bare(9, "(tenting front back)", "(tenting none)") == (True, True)
    assert bare(9, "", "(tenting (front no) (back yes))") == (True, False)


def test_names_in_any_script_stay_what_they_are(tmp_path: Path) -> None:
    """A name with quotes, a line break and other letters stays what it is."""
    d = Dialect()
    text = d.board(d.rim() + d.chip("C1", 105, 55)).replace('"C1"', r'"C\"1\n电容"')
    assert _read(tmp_path, text).footprints[0].refdes == 'C"1\n电容'


def test_an_outline_of_thousands_of_lines_in_any_order_is_quick(tmp_path: Path) -> None:
    """Imported drawings: 4,000 short lines, shuffled and turned round at random, are one ring in a moment."""
    rng, n = random.Random(0), 4000
    ring = [(110 + 40 * math.cos(2 * math.pi * k / n), 55 + 40 * math.sin(2 * math.pi * k / n)) for k in range(n)]
    lines = [Drawing(layer="", points=np.array(rng.sample([a, b], 2))) for a, b in pairwise([*ring, ring[0]])]
    rng.shuffle(lines)
    start = time.process_time()
    (outline,) = outlines(lines, "x")
    assert len(outline.rim) == n and area(outline.rim) == pytest.approx(math.pi * 1600, rel=1e-3)
    assert time.process_time() - start < 3


def test_pieces_and_cut_outs_nest(tmp_path: Path) -> None:
    """A ring in a cut-out is a piece of its own; each cut-out belongs to the piece round it."""

    def square(x: float, half: float) -> Drawing:
        corners = [(x - half, -half), (x + half, -half), (x + half, half), (x - half, half), (x - half, -half)]
        return Drawing(layer="", points=np.array(corners))

    found = outlines([square(0, 1), square(0, 5), square(0, 3), square(20, 2), square(20, 1)], "x")
    assert [(area(o.rim), [-area(h) for h in o.holes]) for o in found] == [(100, [36]), (16, [4]), (4, [])]
