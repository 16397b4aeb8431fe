"""A footprint of a KiCad file: its pads, what it draws, the box of its body, its models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from noescape.board.cad import graphics, pads, texts
from noescape.board.cad.fields import Source, says
from noescape.board.cad.model import Drawing, Footprint, ModelRef
from noescape.board.cad.sexpr import Node

INCH = 25.4
Box = tuple[float, float, float, float]


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """A footprint and what it draws on the board (silk, mask, copper, rim), in the frame of the board."""

    footprint: Footprint
    drawings: tuple[Drawing, ...]


def footprint(source: Source, node: Node, above: float, variables: Mapping[str, str], wanted: frozenset[str]) -> Drawn:
    """Read one; drawings on layers that are not `wanted` are passed over."""
    x, y = source.named_point(node, "at")
    angle = source.angle(node)
    bottom = source.layer(node) == "B.Cu"
    own = _own_texts(node)
    names = {**variables, "REFERENCE": own.get("reference", ""), "VALUE": own.get("value", "")}
    margin = pads.mask_margin(source, node, above)
    found = [pads.pad(source, child, x, y, angle, margin) for child in node.children("pad")]
    drawings = []
    boxes: dict[str, list[Drawing]] = {"Fab": [], "CrtYd": []}
    for child in node.children(*graphics.KINDS):
        shape = graphics.drawing(source, child)
        side, _, kind = shape.layer.partition(".")
        if kind in boxes and side == ("B" if bottom else "F"):
            boxes[kind].append(shape)
        elif shape.layer in wanted:
            drawings.append(graphics.moved(shape, x, y, angle))
    for child in node.children(*texts.KINDS):
        if source.layer(child) in wanted and not texts.is_hidden(child):
            drawings += texts.drawn(source, child, names, (x, y, angle))
    part = Footprint(
        name=node.words()[0] if node.words() else "",
        refdes=names["REFERENCE"],
        value=names["VALUE"],
        x=x,
        y=y,
        angle=(180.0 - angle) if bottom else angle,
        side="bottom" if bottom else "top",
        pads=tuple(found),
        models=tuple(_models(source, node)),
        body=_box(boxes["Fab"], bottom),
        courtyard=_box(boxes["CrtYd"], bottom),
        kinds=_kinds(node),
    )
    return Drawn(footprint=part, drawings=tuple(drawings))


def _own_texts(node: Node) -> dict[str, str]:
    """Reference and value, as `fp_text` (up to 7) or `property` (from 8) states them."""
    own: dict[str, str] = {}
    for child in node.children("fp_text", "property"):
        words = child.words()
        if len(words) > 1 and words[0].lower() in ("reference", "value"):
            own.setdefault(words[0].lower(), words[1])
    return own


def _kinds(node: Node) -> frozenset[str]:
    child = node.child("attr")
    kinds = set(child.words()) if child is not None else set()
    return frozenset(kinds | ({"dnp"} if child is not None and says(child, "dnp") else set()))


def _box(drawings: list[Drawing], bottom: bool) -> Box | None:
    """The box round drawings in the part's own frame; at the bottom the file holds them upside down."""
    if not drawings:
        return None
    points = np.concatenate([drawing.points for drawing in drawings]) * ((1, -1) if bottom else (1, 1))
    low, high = points.min(axis=0), points.max(axis=0)
    if min(high - low) < 0.05:
        return None
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])


def _models(source: Source, node: Node) -> Iterable[ModelRef]:
    for child in node.children("model"):
        words = child.words()
        if not words or says(child, "hide"):
            continue
        old = child.child("at")  # before version 6: inches
        offset = _xyz(source, child, "offset", 0.0)
        if old is not None and child.child("offset") is None:
            inches = _xyz(source, child, "at", 0.0)
            offset = (inches[0] * INCH, inches[1] * INCH, inches[2] * INCH)
        yield ModelRef(
            path=words[0],
            offset=offset,
            scale=_xyz(source, child, "scale", 1.0),
            rotation=_xyz(source, child, "rotate", 0.0),
        )


def _xyz(source: Source, node: Node, name: str, default: float) -> tuple[float, float, float]:
    child = node.child(name)
    xyz = child.child("xyz") if child is not None else None
    if xyz is None:
        return (default, default, default)
    return source.number(xyz), source.number(xyz, 1), source.number(xyz, 2)
