"""Pads and vias of a KiCad file: their copper in the frame of the board, their hole, their openings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from noescape.board.cad import graphics
from noescape.board.cad.fields import Source, says, text_of
from noescape.board.cad.model import Drawing, Drill, Pad, Points2
from noescape.board.cad.sexpr import Node
from noescape.board.cad.shapes import box, chamfered_box, rounded_box, turned

_CORNERS = {"bottom_left": 0, "bottom_right": 1, "top_right": 2, "top_left": 3}
_UNKNOWN_VIA_DRILL = 0.5  # of its diameter, where neither it nor its net class says


def mask_margin(source: Source, node: Node, above: float, *, name: str = "solder_mask_margin") -> float:
    """How much wider the mask opens than the copper, mm: as a pad, a footprint or (`pad_to_mask_clearance`) the board's
    setup says, else as what is above it."""
    return source.value(node, name, above)


def pad(source: Source, node: Node, x: float, y: float, degrees: float, above: float) -> Pad:
    """A pad of the footprint that stands at (x, y), turned by `degrees`. The pad's own angle is that on the board."""
    words = node.words()
    if len(words) < 3:
        raise source.wrong(node, "expected its name, its kind and its shape")
    name, kind, shape = words[:3]
    size = node.child("size")
    if size is None:
        raise source.wrong(node, "has no (size …)")
    width, height = source.number(size), source.number(size, 1)
    if width < 0 or height < 0:
        raise source.wrong(node, f"a size below zero: {width} x {height}")
    center = turned(np.array([source.named_point(node, "at")]), degrees)[0] + (x, y)
    angle = source.angle(node)
    drill, offset = _drill(source, node, center, angle, plated=kind != "np_thru_hole")
    middle = turned(np.array([offset]), angle)[0] + center
    shapes = _copper(source, node, shape, width, height)
    return Pad(
        name=name,
        shape=shape,
        x=float(middle[0]),
        y=float(middle[1]),
        width=width,
        height=height,
        angle=angle,
        copper=tuple(graphics.moved(s, float(middle[0]), float(middle[1]), angle) for s in shapes),
        layers=source.layer_set(node),
        drill=drill,
        corner=_corner(source, node, shape),
        mask_margin=mask_margin(source, node, above),
    )


def via(source: Source, node: Node, drill: float, tented: tuple[bool, bool]) -> Pad:
    """A via as a round pad; `drill`: the diameter where it states none; `tented`: (front, back) of the board."""
    x, y = source.named_point(node, "at")
    size = node.child("size")
    diameter = source.number(size) if size is not None else 0.6
    hole = source.value(node, "drill", drill or _UNKNOWN_VIA_DRILL * diameter)
    own = node.child("tenting")
    front, back = tented if own is None else tenting(own)
    spot = Drawing(layer="", points=np.array([(x, y), (x, y)]), width=diameter)
    layers = source.layer_set(node) or frozenset({"*.Cu"})
    through = {"F.Cu", "B.Cu"} <= layers or "*.Cu" in layers
    openings = {name for name, closed in (("F.Mask", front), ("B.Mask", back)) if not closed}
    return Pad(
        name="",
        shape="circle",
        x=x,
        y=y,
        width=diameter,
        height=diameter,
        angle=0.0,
        corner=0.5,
        copper=(spot,),
        layers=frozenset(layers | openings),
        drill=Drill(points=spot.points, diameter=hole, plated=True) if through and hole > 0 else None,
    )


def tenting(node: Node) -> tuple[bool, bool]:
    """Whether the mask covers vias at the front and at the back: `(tenting front back)`, `(tenting (front yes) …)`."""
    words = node.words()
    front, back = (name in words or (node.child(name) is not None and says(node, name)) for name in ("front", "back"))
    return front, back


def _corner(source: Source, node: Node, shape: str) -> float:
    if shape in ("circle", "oval"):
        return 0.5
    return min(0.5, max(0.0, source.value(node, "roundrect_rratio", 0.25))) if shape == "roundrect" else 0.0


def _drill(
    source: Source, node: Node, center: Points2, angle: float, *, plated: bool
) -> tuple[Drill | None, tuple[float, float]]:
    child = node.child("drill")
    if child is None:
        return None, (0.0, 0.0)
    shift = child.child("offset")
    offset = source.point(shift) if shift is not None else (0.0, 0.0)
    first = 1 if "oval" in child.items[:1] else 0
    count = len(child.words()) - first
    if count < 1:
        return None, offset
    width = source.number(child, first)
    height = source.number(child, first + 1) if first and count > 1 else width
    diameter, length = min(width, height), abs(width - height)
    if diameter <= 0:
        return None, offset
    half = (length / 2, 0.0) if width > height else (0.0, length / 2)
    ends = turned(np.array([(-half[0], -half[1]), half]), angle) + center
    return Drill(points=ends, diameter=diameter, plated=plated), offset


def _copper(source: Source, node: Node, shape: str, width: float, height: float) -> list[Drawing]:
    """The pad's shape round (0, 0), not turned."""
    if shape == "custom":
        options = node.child("options")
        anchor = text_of(options, "anchor", "circle") if options is not None else "circle"
        found = [_filled(box(width, height))] if anchor == "rect" else [_long_spot(min(width, height), 0.0, 0.0)]
        for child in (node.child("primitives") or node).children(*graphics.KINDS):
            primitive = graphics.drawing(source, child)
            found.append(replace(primitive, layer=""))
        return found
    if shape == "circle":
        return [_long_spot(width, 0.0, 0.0)]
    if shape == "oval":
        return [_long_spot(min(width, height), max(0.0, width - height), max(0.0, height - width))]
    if shape == "trapezoid":
        delta = node.child("rect_delta")
        dx, dy = (source.number(delta) / 2, source.number(delta, 1) / 2) if delta is not None else (0.0, 0.0)
        # Wider by dy below than above, taller by dx on the left than on the right.
        side = np.sign(box(width, height))
        ring = side * (np.array([width, height]) / 2 - side[:, ::-1] * (dy, dx))
        return [_filled(ring)]
    if shape == "roundrect":
        radius = source.value(node, "roundrect_rratio", 0.25) * min(width, height)
        chamfer = node.child("chamfer")
        if chamfer is not None:
            cut = source.value(node, "chamfer_ratio", 0.0) * min(width, height)
            corners = [_CORNERS[word] for word in chamfer.words() if word in _CORNERS]
            return [_filled(chamfered_box(width, height, radius, cut, corners))]
        return [_filled(rounded_box(width, height, [radius] * 4))]
    if shape == "rect":
        return [_filled(box(width, height))]
    raise source.wrong(node, f"unknown shape {shape!r}; known: circle, custom, oval, rect, roundrect, trapezoid")


def _filled(ring: Points2) -> Drawing:
    return Drawing(layer="", points=np.concatenate([ring, ring[:1]]), filled=True)


def _long_spot(diameter: float, along_x: float, along_y: float) -> Drawing:
    half = np.array([along_x, along_y]) / 2
    return Drawing(layer="", points=np.stack([-half, half]), width=diameter)
