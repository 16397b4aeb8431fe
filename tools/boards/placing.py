"""Parts in blocks, blocks on shelves: rows of like chips side by side, as a layout engineer sets them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from noescape.board.parts.footprints import land
from noescape.board.parts.model import Pad
from noescape.board.parts.packages import package_for

TEXT = 0.85  # mm left free above a part for its reference
MARGIN = 0.22  # mm round the pads


@dataclass(frozen=True, kw_only=True)
class Kind:
    """Parts of one land pattern: the letter of their references and the values they take in turn."""

    land: str
    letter: str
    values: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part on the board: its footprint's centre (mm, y up from the lower left corner) and turn (quarter turns)."""

    refdes: str
    value: str
    land: str
    x: float
    y: float
    angle: int

    def pads(self) -> tuple[Pad, ...]:
        """Its pads on the board, upright boxes (quarter turns only)."""
        c, s = round(math.cos(math.radians(self.angle))), round(math.sin(math.radians(self.angle)))
        out = []
        for p in land(self.land):
            w, h = (p.w, p.h) if self.angle % 180 == 0 else (p.h, p.w)
            x, y = self.x + c * p.x - s * p.y, self.y + s * p.x + c * p.y
            out.append(Pad(name=p.name, x=round(x, 4), y=round(y, 4), w=w, h=h, hole=p.hole, corner=p.corner))
        return tuple(out)


@dataclass(frozen=True, kw_only=True)
class Block:
    """`count` parts of a kind in a line: along x (`across` False: each beside the last) or stacked along y."""

    kind: Kind
    count: int
    angle: int = 0
    stacked: bool = False

    def cell(self) -> tuple[float, float]:
        """Room of one part in mm, with its reference above."""
        pads = Part(refdes="", value="", land=self.kind.land, x=0, y=0, angle=self.angle).pads()
        body_w, body_h = _body(self.kind.land)
        if self.angle % 180:
            body_w, body_h = body_h, body_w
        w = 2 * max(body_w / 2, max(abs(p.x) + p.w / 2 for p in pads)) + 2 * MARGIN
        h = 2 * max(body_h / 2, max(abs(p.y) + p.h / 2 for p in pads)) + 2 * MARGIN
        return max(w, 1.85), h + TEXT

    def size(self) -> tuple[float, float]:
        """Room of the whole block."""
        w, h = self.cell()
        return (w, h * self.count) if self.stacked else (w * self.count, h)


@cache
def _body(name: str) -> tuple[float, float]:
    """Width and height in mm of the box, about the footprint's centre, that holds a part's body."""
    part = package_for(name, land(name))
    if part is None:
        return 0.0, 0.0
    x, y = (max(float(abs(p.points[:, k]).max()) for p in part.pieces) for k in (0, 1))
    return 2 * x, 2 * y


class Names:
    """References in order of need: C1, C2, R1 … and each kind's values in turn."""

    def __init__(self) -> None:
        self._next: dict[str, int] = {}
        self._seen: dict[str, int] = {}

    def take(self, kind: Kind) -> tuple[str, str]:
        """The next reference and value of a kind."""
        number = self._next[kind.letter] = self._next.get(kind.letter, 0) + 1
        seen = self._seen[kind.land] = self._seen.get(kind.land, 0) + 1
        return f"{kind.letter}{number}", kind.values[(seen - 1) % len(kind.values)]


def shelves(blocks: Sequence[Block], low: tuple[float, float], high: tuple[float, float], names: Names) -> list[Part]:
    """Blocks on shelves from the top of a rectangle, each on the first that has room, what is left shared out evenly.

    ValueError when they do not fit: then the drawing is to be changed.
    """
    width, room = high[0] - low[0], high[1] - low[1]
    rows: list[list[Block]] = []
    for block in blocks:
        w, h = block.size()
        fits = [row for row in rows if sum(b.size()[0] for b in row) + w <= width]
        high_enough = [row for row in fits if max(b.size()[1] for b in row) >= h]
        if high_enough or (fits and fits[-1] is rows[-1]):
            (high_enough or fits[-1:])[0].append(block)
        else:
            rows.append([block])
    heights = [max(b.size()[1] for b in row) for row in rows]
    if sum(heights) > room or any(sum(b.size()[0] for b in row) > width for row in rows):
        raise ValueError(f"{sum(heights):.1f} mm of shelves in {room:.1f} mm")
    gap_y = (room - sum(heights)) / len(rows)
    parts, top = [], high[1] - gap_y / 2
    for row, height in zip(rows, heights, strict=True):
        gap_x = (width - sum(b.size()[0] for b in row)) / len(row)
        left = low[0] + gap_x / 2
        for block in row:
            drop = (height - block.size()[1]) / 2
            parts += _line(block, left, top - drop, names)
            left += block.size()[0] + gap_x
        top -= height + gap_y
    return parts


def _line(block: Block, left: float, top: float, names: Names) -> list[Part]:
    w, h = block.cell()
    out = []
    for k in range(block.count):
        x = left + w / 2 + (0 if block.stacked else k * w)
        y = top - TEXT - (h - TEXT) / 2 - (k * h if block.stacked else 0)
        refdes, value = names.take(block.kind)
        out.append(Part(refdes=refdes, value=value, land=block.kind.land, x=_grid(x), y=_grid(y), angle=block.angle))
    return out


def _grid(value: float) -> float:
    """Footprints stand on a grid of 0.25 mm, the router's."""
    return round(value * 4) / 4
