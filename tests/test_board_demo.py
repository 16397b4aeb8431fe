"""The demo boards that ship: what the script draws, legal copper, families and density that the flows count on."""

from __future__ import annotations

import sys
from collections import Counter
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from noescape.board.cad.kicad import read_kicad
from noescape.board.parts.footprints import land
from noescape.board.parts.packages import package_for
from noescape.board.parts.solids import turn_z

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

import draw_boards  # noqa: E402
from boards.writing import kicad_text  # noqa: E402

NAMES = tuple(draw_boards.BOARDS)
CLEAR = 0.2  # mm between copper of different nets


@pytest.fixture(scope="module")
def sheets() -> dict[str, Any]:
    """Each board, drawn once."""
    return {name: draw() for name, draw in draw_boards.BOARDS.items()}


@pytest.mark.parametrize("name", NAMES)
def test_the_shipped_file_is_what_the_script_draws(name: str, sheets: dict[str, Any]) -> None:
    """Byte for byte: whoever changes the drawing ships the new board."""
    text = (draw_boards.HOME / name / "board.kicad_pcb").read_text("utf-8")
    assert text == kicad_text(sheets[name]), "run: python tools/draw_boards.py"


def test_drawing_twice_gives_the_same_text(sheets: dict[str, Any]) -> None:
    assert kicad_text(draw_boards.small_parts()) == kicad_text(sheets["0603_H100"])


def _families(sheet: Any) -> Counter[str]:
    out: Counter[str] = Counter()
    for part in sheet.parts:
        package = package_for(part.land, land(part.land), part.value, part.refdes)
        assert package is not None
        out[package.family] += 1
    return out


def test_small_parts_come_in_23_families_most_of_them_0603(sheets: dict[str, Any]) -> None:
    """The structural flow's table of yields is made for these numbers."""
    families = _families(sheets["0603_H100"])
    assert len(families) == 23
    assert sum(families.values()) >= 100
    assert families["C0603"] + families["R0603"] > 60
    assert {"C0402", "C0805", "R1206", "SOT23", "SOIC8", "QFN16", "LED0603", "CT3216"} <= set(families)


def test_small_parts_lie_all_over_the_board(sheets: dict[str, Any]) -> None:
    """A window of a third of the board's sides holds 10 parts or more wherever it is put (the rim apart), so that a
    frame of the scan is never without work."""
    sheet = sheets["0603_H100"]
    at = np.array([(p.x, p.y) for p in sheet.parts])
    w, h = sheet.width / 3, sheet.height / 3
    for x in np.linspace(1, sheet.width - w - 1, 8):
        for y in np.linspace(2, sheet.height - h - 2, 8):
            inside = ((at > (x, y)) & (at < (x + w, y + h))).all(1)
            assert inside.sum() >= 8, f"{inside.sum()} parts in the window at {x:.0f}, {y:.0f}"


def test_the_other_board_has_one_large_ic_in_its_middle(sheets: dict[str, Any]) -> None:
    sheet = sheets["1152819000"]
    families = _families(sheet)
    assert families["QFP100"] == 1
    ic = next(p for p in sheet.parts if "LQFP" in p.land)
    assert abs(ic.x - sheet.width / 2) < 1 and abs(ic.y - sheet.height / 2) < 1
    assert sum(families.values()) > 100


@pytest.mark.parametrize("name", NAMES)
def test_nothing_lies_over_its_neighbour_or_over_the_rim(name: str, sheets: dict[str, Any]) -> None:
    """Pads with 0.2 mm round them, and bodies, each part against each."""
    sheet = sheets[name]
    boxes = []
    for part in sheet.parts:
        pads = part.pads()
        boxes.append([min(p.x - p.w / 2 for p in pads), min(p.y - p.h / 2 for p in pads),
                      max(p.x + p.w / 2 for p in pads), max(p.y + p.h / 2 for p in pads)])  # fmt: skip
        package = package_for(part.land, land(part.land))
        assert package is not None
        turn = turn_z(part.angle)[:2, :2]
        flat = np.concatenate([p.points[:, :2] for p in package.pieces]) @ turn.T + (part.x, part.y)
        boxes[-1] = [*np.minimum(boxes[-1][:2], flat.min(0)), *np.maximum(boxes[-1][2:], flat.max(0))]
    assert min(b[0] for b in boxes) > 0.5 and max(b[2] for b in boxes) < sheet.width - 0.5
    assert min(b[1] for b in boxes) > 0.5 and max(b[3] for b in boxes) < sheet.height - 0.5
    for (i, a), (j, b) in combinations(enumerate(boxes), 2):
        apart = max(a[0] - b[2], b[0] - a[2], a[1] - b[3], b[1] - a[3])
        assert apart > 0.2, f"{sheet.parts[i].refdes} and {sheet.parts[j].refdes}"
    assert len({p.refdes for p in sheet.parts}) == len(sheet.parts)


@pytest.mark.parametrize("name", NAMES)
def test_copper_of_different_nets_keeps_its_distance(name: str, sheets: dict[str, Any]) -> None:
    """Tracks and vias against pads, tracks and vias of other nets, sampled every 0.15 mm."""
    sheet = sheets[name]
    spots, nets, halves = [], [], []
    for net, corners in sheet.copper.tracks:
        for a, b in pairwise(np.array(corners)):
            count = int(np.linalg.norm(b - a) / 0.15) + 2
            spots.append(a + np.linspace(0, 1, count)[:, None] * (b - a))
            nets.append(np.full(count, net))
            halves.append(np.full(count, 0.1))
    for net, x, y in sheet.copper.vias:
        spots.append(np.array([[x, y]]))
        nets.append(np.array([net]))
        halves.append(np.array([0.3]))
    at, of, half = np.concatenate(spots), np.concatenate(nets), np.concatenate(halves)
    for i, part in enumerate(sheet.parts):
        for j, pad in enumerate(part.pads()):
            gap = np.hypot(
                np.maximum(np.abs(at[:, 0] - pad.x) - pad.w / 2, 0), np.maximum(np.abs(at[:, 1] - pad.y) - pad.h / 2, 0)
            )
            foreign = of != sheet.copper.nets[i, j]
            assert (gap - half)[foreign].min() > CLEAR - 0.01, f"{part.refdes} pad {pad.name}"
    for net in np.unique(of):
        own, others = at[of == net], at[of != net]
        for k in range(0, len(own), 200):
            apart = np.linalg.norm(own[k : k + 200, None] - others[None], axis=-1) - half[of != net][None]
            assert (apart.min(1) - half[of == net][k : k + 200]).min() > CLEAR - 0.02, f"net {net}"
    assert len(sheet.copper.tracks) > 150 and len(sheet.copper.vias) > 40


@pytest.mark.parametrize("name", NAMES)
def test_our_own_reader_finds_every_part_again(name: str, sheets: dict[str, Any]) -> None:
    """Places, turns and pads survive the way into the file and out of it."""
    board = read_kicad(draw_boards.HOME / name / "board.kicad_pcb")
    assert {p.refdes for p in sheets[name].parts} <= {f.refdes for f in board.footprints}
    assert not board.notices
