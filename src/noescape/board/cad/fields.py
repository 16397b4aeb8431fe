"""What all lists of a KiCad file share, whatever its version: numbers in mm, points, layers, pens, yes and no.

Dialects met: `(width .1)` and `(stroke (width .1))`; `hide`, `(hide yes)`; `(fill solid)`, `(fill yes)`; copper layers
by the user's own names before version 6. Points come out with y upwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from noescape.board.cad.model import Points2
from noescape.board.cad.sexpr import Node, line_of
from noescape.board.cad.shapes import arc_through
from noescape.records import DataError

FARTHEST = 10_000.0  # mm; KiCad itself ends at 4.3 m
SIDES = ("F.Cu", "B.Cu")


@dataclass(frozen=True, kw_only=True)
class Source:
    """The file being read: where errors point to, its version as a date, and its names of layers in ours."""

    path: str
    text: str
    version: int
    layers: Mapping[str, str]

    def wrong(self, node: Node, what: str) -> DataError:
        """An error that names file and line."""
        return DataError(f"{self.path}, line {line_of(self.text, node.at)}: ({node.name} …): {what}")

    def number(self, node: Node, place: int = 0) -> float:
        """The atom at `place` as mm (or whatever the list holds)."""
        word = node.items[place] if place < len(node.items) else None
        try:
            value = float(word)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            found = "nothing" if word is None else "a list" if isinstance(word, Node) else repr(word[:30])
            raise self.wrong(node, f"expected a number (mm, without a unit), found {found}") from None
        if not -FARTHEST <= value <= FARTHEST:
            raise self.wrong(node, f"{value} is out of range (±{FARTHEST:.0f} mm)")
        return value

    def point(self, node: Node) -> tuple[float, float]:
        """The first two numbers as x and y, y upwards."""
        return self.number(node), -self.number(node, 1) + 0.0

    def named_point(self, node: Node, name: str) -> tuple[float, float]:
        """The point in the child called `name`, which must be there."""
        child = node.child(name)
        if child is None:
            raise self.wrong(node, f"has no ({name} …)")
        return self.point(child)

    def angle(self, node: Node) -> float:
        """The third number of `(at x y angle)`, 0 where there is none; counter-clockwise."""
        place = node.child("at")
        if place is None or len(place.items) < 3 or place.items[2] == "unlocked":
            return 0.0
        return self.number(place, 2)

    def value(self, node: Node, name: str, default: float) -> float:
        """The number in the child called `name`."""
        child = node.child(name)
        return default if child is None else self.number(child)

    def pen(self, node: Node, default: float = 0.0) -> float:
        """The width of a line, old form or new, never negative."""
        stroke = node.child("stroke")
        return max(0.0, self.value(node if stroke is None else stroke, "width", default))

    def layer(self, node: Node) -> str:
        """The layer in our names, empty where there is none."""
        child = node.child("layer")
        words = child.words() if child is not None else []
        return self.layers.get(words[0], words[0]) if words else ""

    def layer_set(self, node: Node) -> frozenset[str]:
        """All of `(layers …)`."""
        child = node.child("layers")
        return frozenset(self.layers.get(word, word) for word in child.words()) if child is not None else frozenset()

    def points(self, node: Node) -> Points2:
        """`(pts (xy …) (arc …) …)` as [N, 2]."""
        child = node.child("pts")
        found: list[tuple[float, float]] = []
        for item in child.children() if child is not None else ():
            if item.name == "xy":
                found.append(self.point(item))
            elif item.name == "arc":
                ends = [self.named_point(item, name) for name in ("start", "mid", "end")]
                found += [(float(x), float(y)) for x, y in arc_through(*ends)]
        if not found:
            raise self.wrong(node, "has no points")
        return np.array(found)


def says(node: Node, name: str, default: bool = False) -> bool:
    """Whether `name` stands in the list as a bare word after the first two, or as `(name yes)`; `(name no)` is no."""
    child = node.child(name)
    if child is not None:
        words = child.words()
        return not words or words[0] not in ("no", "false", "none", "0")
    return default or name in node.items[2:]


def text_of(node: Node, name: str, default: str = "") -> str:
    """The first word of the child called `name`."""
    child = node.child(name)
    words = child.words() if child is not None else []
    return words[0] if words else default
