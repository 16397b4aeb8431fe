"""The face of a bare board as three pictures: colour, roughness, metal. What a camera sees before anything is placed.

From below: laminate, copper, solder mask with its openings (what is bare shines in the board's finish), silk, holes.
Four coverages of sixteen steps each make an index into one table of materials, so that 20 million pixels take 2 s and
80 bytes of memory each at most.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from noescape.board.cad.laminate import cut_drills
from noescape.board.cad.model import Board, Pad
from noescape.board.cad.raster import Canvas, Coverage, canvas_for
from noescape.records import UsageError

MOST_PIXELS = 120_000_000
USUAL_PIXELS = 20_000_000
FINEST, COARSEST = 60.0, 8.0  # px/mm that are chosen by themselves
_STEPS = 16

# sRGB of the solder mask over laminate and over copper.
MASKS = {
    "green": ((20, 92, 50), (34, 130, 72)), "red": ((110, 18, 20), (158, 36, 34)),
    "blue": ((16, 42, 104), (30, 70, 150)), "black": ((18, 18, 20), (34, 34, 36)),
    "white": ((214, 216, 212), (228, 226, 216)),
    "yellow": ((170, 138, 20), (200, 168, 44)), "purple": ((56, 24, 82), (86, 44, 116)),
}  # fmt: skip
SILKS = {"white": (234, 234, 228), "black": (26, 26, 28), "yellow": (226, 200, 60)}
FINISHES = {"gold": (232, 194, 116), "tin": (206, 206, 202), "copper": (206, 132, 92)}
_LAMINATE, _HOLE = (168, 152, 104), (14, 12, 11)
# Mask is glossy: at .38 the red ring, which stands steep, spreads over all of it and a green board comes out brown.
_ROUGH = {"laminate": 0.75, "mask": 0.16, "copper_mask": 0.15, "finish": 0.28, "silk": 0.65, "hole": 1.0}

Picture = npt.NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True, eq=False)
class Plane:
    """`albedo` [H, W, 3] sRGB; `roughness`, `metallic` [H, W], 255 = 1; they lie on the board as `canvas` says."""

    albedo: Picture
    roughness: Picture
    metallic: Picture
    canvas: Canvas


def pixels_per_mm(board: Board, wanted: float | None = None) -> float:
    """How fine the pictures are: as asked for, else as fine as 20 million pixels allow, within 8 to 60 px/mm."""
    x0, y0, x1, y1 = board.bounds()
    area = max((x1 - x0) * (y1 - y0), 1e-6)
    fine = (
        wanted if wanted is not None else float(math.floor(min(FINEST, max(COARSEST, math.sqrt(USUAL_PIXELS / area)))))
    )
    if not fine > 0 or area * fine * fine > MOST_PIXELS:
        most = math.floor(math.sqrt(MOST_PIXELS / area))
        raise UsageError(
            f"--px-per-mm {fine:g}: a board of {x1 - x0:.0f} x {y1 - y0:.0f} mm takes more than 0, up to {most}"
        )
    return fine


def finish_of(board: Board) -> str:
    """`gold`, `tin` or `copper`, by the board's own words; gold where it says nothing."""
    words = board.finish.lower()
    if any(word in words for word in ("hal", "hasl", "tin", "silver", "lead")):
        return "tin"
    return "copper" if "osp" in words or "bare" in words else "gold"


def bake(board: Board, *, px_per_mm: float, mask: str | None = None, finish: str | None = None) -> Plane:
    """The board's upper face (mirror it first for the other); holes that the mesh cuts out are not painted."""
    canvas = canvas_for(board.bounds(), px_per_mm)
    copper = _copper(board, canvas)
    opening = _openings(board, canvas)
    silk = _silk(board, canvas)
    hole = _holes(board, canvas)
    mask_name = mask or _named(board.mask_color.get("F.Mask", ""), MASKS, "green")
    silk_name = _named(board.silk_color.get("F.SilkS", ""), SILKS, "black" if mask_name == "white" else "white")
    table = _table(MASKS[mask_name], SILKS[silk_name], FINISHES[finish or finish_of(board)])
    index = copper >> 4
    index = index.astype(np.uint16)
    for place, plane in enumerate((opening, silk, hole), 1):
        index |= (plane >> 4).astype(np.uint16) << np.uint16(4 * place)
    look = table[index]
    return Plane(albedo=look[..., :3], roughness=look[..., 3], metallic=look[..., 4], canvas=canvas)


def _copper(board: Board, canvas: Canvas) -> Coverage:
    plane = canvas.empty()
    canvas.draw_all(plane, (d for d in board.drawings if d.layer == "F.Cu"))
    for pad in _all_pads(board):
        if pad.on("F.Cu"):
            canvas.draw_all(plane, pad.copper)
    return plane


def _openings(board: Board, canvas: Canvas) -> Coverage:
    plane = canvas.empty()
    canvas.draw_all(plane, (d for d in board.drawings if d.layer == "F.Mask"))
    for pad in _all_pads(board):
        if pad.on("F.Mask"):
            canvas.draw_all(plane, pad.copper, grow=pad.mask_margin)
    return plane


def _silk(board: Board, canvas: Canvas) -> Coverage:
    plane = canvas.empty()
    canvas.draw_all(plane, (d for d in board.drawings if d.layer == "F.SilkS"))
    return plane


def _holes(board: Board, canvas: Canvas) -> Coverage:
    plane = canvas.empty()
    cut = set(cut_drills(board))
    for pad in _all_pads(board):
        if pad.drill is not None and pad.drill not in cut:
            canvas.draw_drill(plane, pad.drill)
    return plane


def _all_pads(board: Board) -> Iterable[Pad]:
    for part in board.footprints:
        yield from part.pads
    yield from board.vias


def _named(words: str, known: Iterable[str], default: str) -> str:
    return next((name for name in known if name in words), default)


def _table(
    mask: tuple[tuple[int, int, int], tuple[int, int, int]], silk: tuple[int, int, int], finish: tuple[int, int, int]
) -> Picture:
    """[65536, 5]: red, green, blue, roughness, metal for each mix of copper, opening, silk, hole (16 steps each)."""
    step = np.linspace(0, 1, _STEPS)
    hole, ink, opening, copper = (v[..., None] for v in np.meshgrid(step, step, step, step, indexing="ij"))

    def look(color: tuple[int, int, int], rough: float, metal: float) -> npt.NDArray[np.float64]:
        return np.array([*color, 255 * rough, 255 * metal])

    covered = look(mask[0], _ROUGH["mask"], 0) * (1 - copper) + look(mask[1], _ROUGH["copper_mask"], 0) * copper
    bare = look(_LAMINATE, _ROUGH["laminate"], 0) * (1 - copper) + look(finish, _ROUGH["finish"], 1) * copper
    ink = ink * (1 - opening)  # a factory clips what would be printed on bare metal
    covered = covered * (1 - ink) + look(silk, _ROUGH["silk"], 0) * ink
    # A hole under the mask is a dimple that it spans, an open one is black.
    dimple = covered * np.array([0.7, 0.7, 0.7, 1, 1])
    covered = covered * (1 - hole) + dimple * hole
    bare = bare * (1 - hole) + look(_HOLE, _ROUGH["hole"], 0) * hole
    mixed = covered * (1 - opening) + bare * opening
    table: Picture = np.rint(mixed).clip(0, 255).astype(np.uint8).reshape(-1, 5)
    return table
