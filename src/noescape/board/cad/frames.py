"""A board in another frame: turned over, so that its bottom is on top, or with its corner at the origin.

Each frame has x to the right, y upwards and z to the eye.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from noescape.board.cad.model import Board, Drawing, Footprint, Outline, Pad, Points2, Side


def seen_from(board: Board, side: Side) -> Board:
    """The board with `side` on top: its layers are the F. ones, x runs the other way after a turn."""
    return board if board.seen_from == side else _turned_over(board)


def at_origin(board: Board) -> Board:
    """The board with the lower left corner of its outline's box at (0, 0)."""
    x0, y0, _, _ = board.bounds()
    shift = np.array([-x0, -y0])

    def pad(item: Pad) -> Pad:
        drill = replace(item.drill, points=item.drill.points + shift) if item.drill is not None else None
        copper = tuple(replace(shape, points=shape.points + shift) for shape in item.copper)
        return replace(item, x=item.x - x0, y=item.y - y0, copper=copper, drill=drill)

    return replace(
        board,
        outlines=tuple(Outline(rim=o.rim + shift, holes=tuple(h + shift for h in o.holes)) for o in board.outlines),
        drawings=tuple(replace(drawing, points=drawing.points + shift) for drawing in board.drawings),
        footprints=tuple(
            replace(part, x=part.x - x0, y=part.y - y0, pads=tuple(pad(p) for p in part.pads))
            for part in board.footprints
        ),
        vias=tuple(pad(via) for via in board.vias),
        origins={name: (x - x0, y - y0) for name, (x, y) in board.origins.items()},
    )


def _turned_over(board: Board) -> Board:
    return replace(
        board,
        outlines=tuple(
            Outline(rim=_x(o.rim)[::-1].copy(), holes=tuple(_x(h)[::-1].copy() for h in o.holes))
            for o in board.outlines
        ),
        drawings=tuple(_drawing(drawing) for drawing in board.drawings),
        footprints=tuple(_footprint(part) for part in board.footprints),
        vias=tuple(_pad(via) for via in board.vias),
        layers=frozenset(_layer(name) for name in board.layers),
        mask_color=_names(board.mask_color),
        silk_color=_names(board.silk_color),
        seen_from="bottom" if board.seen_from == "top" else "top",
        origins={name: (-x, y) for name, (x, y) in board.origins.items()},
    )


def _x(points: Points2) -> Points2:
    mirrored: Points2 = points * (-1, 1)
    return mirrored


def _layer(name: str) -> str:
    return {"F.": "B.", "B.": "F."}.get(name[:2], name[:2]) + name[2:]


def _names(colors: Mapping[str, str]) -> dict[str, str]:
    return {_layer(name): color for name, color in colors.items()}


def _drawing(drawing: Drawing) -> Drawing:
    return replace(drawing, points=_x(drawing.points), layer=_layer(drawing.layer))


def _footprint(part: Footprint) -> Footprint:
    return replace(part, x=-part.x, pads=tuple(_pad(pad) for pad in part.pads))


def _pad(pad: Pad) -> Pad:
    return replace(
        pad,
        x=-pad.x,
        angle=-pad.angle % 360.0,
        copper=tuple(replace(shape, points=_x(shape.points)) for shape in pad.copper),
        layers=frozenset(_layer(name) for name in pad.layers),
        drill=replace(pad.drill, points=_x(pad.drill.points)) if pad.drill is not None else None,
    )
