"""Lines, arcs, circles, boxes, polygons and curves of a KiCad file, on the board or in a footprint, as drawings."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from noescape.board.cad.fields import Source, says
from noescape.board.cad.model import Drawing, Points2
from noescape.board.cad.sexpr import Node
from noescape.board.cad.shapes import arc, arc_through, bezier, circle, turned

KINDS = frozenset(
    f"{head}_{kind}" for head in ("gr", "fp") for kind in ("line", "arc", "circle", "rect", "poly", "curve")
)


def drawing(source: Source, node: Node) -> Drawing:
    """One drawing, in the frame that the file states it in (the footprint's own for fp_…), y upwards."""
    kind = node.name.partition("_")[2]
    points = _READERS[kind](source, node)
    fill = node.child("fill")
    filled = kind in ("poly", "rect", "circle") and (
        says(node, "fill") if fill is not None else kind == "poly"  # before version 6 polygons were always full
    )
    return Drawing(layer=source.layer(node), points=points, width=source.pen(node), filled=filled)


def moved(shape: Drawing, x: float, y: float, degrees: float) -> Drawing:
    """Turned about (0, 0), then shifted."""
    return replace(shape, points=turned(shape.points, degrees) + np.array([x, y]))


def _line(source: Source, node: Node) -> Points2:
    return np.array([source.named_point(node, "start"), source.named_point(node, "end")])


def _arc(source: Source, node: Node) -> Points2:
    start, end = source.named_point(node, "start"), source.named_point(node, "end")
    if node.child("mid") is not None:
        return arc_through(start, source.named_point(node, "mid"), end)
    # Before version 6: `start` is the centre, `end` where it begins, `angle` clockwise.
    begin = math.atan2(end[1] - start[1], end[0] - start[0])
    sweep = -math.radians(source.value(node, "angle", 360.0))
    return arc(start, math.dist(start, end), begin, sweep)


def _circle(source: Source, node: Node) -> Points2:
    center = source.named_point(node, "center")
    return circle(center, math.dist(center, source.named_point(node, "end")))


def _rect(source: Source, node: Node) -> Points2:
    (x0, y0), (x1, y1) = source.named_point(node, "start"), source.named_point(node, "end")
    return np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0)])


def _poly(source: Source, node: Node) -> Points2:
    ring = source.points(node)
    return ring if np.array_equal(ring[0], ring[-1]) else np.concatenate([ring, ring[:1]])


def _curve(source: Source, node: Node) -> Points2:
    controls = source.points(node)
    if len(controls) != 4:
        raise source.wrong(node, f"a curve has 4 points, this one {len(controls)}")
    return bezier(controls)


_READERS: dict[str, Callable[[Source, Node], Points2]] = {
    "line": _line, "arc": _arc, "circle": _circle, "rect": _rect, "poly": _poly, "curve": _curve,
}  # fmt: skip
