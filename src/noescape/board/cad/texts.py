"""Texts of a KiCad file as drawings: where, how large, which way round, and what stands for ${REFERENCE}."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import numpy as np

from noescape.board.cad.fields import Source, says
from noescape.board.cad.model import Drawing
from noescape.board.cad.sexpr import Node
from noescape.board.cad.shapes import turned
from noescape.board.cad.strokes import text_lines

KINDS = ("gr_text", "gr_text_box", "fp_text", "fp_text_box", "property")
MOST_SIGNS = 2000  # a longer text on a board is no text
_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_OVERBAR = re.compile(r"~\{([^}]*)\}")


def is_hidden(node: Node) -> bool:
    """`hide`, in the text itself or among its effects, in any version's spelling."""
    effects = node.child("effects")
    return says(node, "hide") or (effects is not None and ("hide" in effects.items or says(effects, "hide")))


def content(node: Node) -> str:
    """What is written: the first word of a text, the second where the first says what it is of."""
    words = node.words()
    place = 1 if node.name in ("fp_text", "property") else 0
    return words[place] if len(words) > place else ""


def filled_in(text: str, variables: Mapping[str, str]) -> str:
    """Variables in their values, unknown ones as they stand; marks of an overline gone."""
    text = _VARIABLE.sub(lambda match: variables.get(match[1].upper(), match[0]), text)
    text = text.replace("%R", variables.get("REFERENCE", "%R")).replace("%V", variables.get("VALUE", "%V"))
    return _OVERBAR.sub(r"\1", text)[:MOST_SIGNS]


def drawn(
    source: Source, node: Node, variables: Mapping[str, str], place: tuple[float, float, float] | None = None
) -> Iterator[Drawing]:
    """The lines of one text in the frame of the board; `place`: x, y and angle of the footprint that it is in."""
    layer = source.layer(node)
    x, y, degrees = place or (0.0, 0.0, 0.0)
    outline = node.child("render_cache")
    if outline is not None:  # a font of the system: KiCad keeps its outlines, in the frame of the board
        for polygon in outline.children("polygon"):
            yield Drawing(layer=layer, points=source.points(polygon), filled=True)
        return
    text = filled_in(content(node), variables)
    height, width, pen, align, valign, mirrored = _style(source, node)
    if not text.strip() or height <= 0:
        return
    at = node.child("at") or node.child("start")
    if at is None:
        raise source.wrong(node, "has no place")
    anchor = turned(np.array([source.point(at)]), degrees)[0] + (x, y)
    angle = source.angle(node)  # that on the board, also in footprints
    if place is not None and not _unlocked(node):
        angle = -((-angle + 90) % 180 - 90)  # read from below or from the right: more than -90, at most 90
    for line in text_lines(text, height, width, align, valign):
        if mirrored:
            line = line * (-1, 1)
        yield Drawing(layer=layer, points=turned(line, angle) + anchor, width=pen)


def _unlocked(node: Node) -> bool:
    at = node.child("at")
    return says(node, "unlocked") or (at is not None and "unlocked" in at.items)


def _style(source: Source, node: Node) -> tuple[float, float, float, str, str, bool]:
    """Height, width and pen in mm, alignment in both directions, mirrored."""
    effects = node.child("effects")
    font = effects.child("font") if effects is not None else None
    size = font.child("size") if font is not None else None
    height, width = (source.number(size), source.number(size, 1)) if size is not None else (1.0, 1.0)
    pen = source.value(font, "thickness", 0.0) if font is not None else 0.0
    justify = effects.child("justify") if effects is not None else None
    words = justify.words() if justify is not None else []
    align = next((word for word in words if word in ("left", "right")), "center")
    valign = next((word for word in words if word in ("top", "bottom")), "center")
    bold = font is not None and (says(font, "bold") or "bold" in font.items)
    return height, width, pen or height / (5 if bold else 8), align, valign, "mirror" in words
