"""How a package is put together: pieces and terminals gathered in a frame of its own, then turned onto its pads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from noescape.board.model import Material
from noescape.board.parts.materials import TIN
from noescape.board.parts.model import Package, Pad, Piece, Solid, Terminal, pad_keys
from noescape.board.parts.solids import merged, moved, turn_z


@dataclass(frozen=True, kw_only=True)
class Spot:
    """A pad as a package builder sees it: upright box about (x, y), under its unique key."""

    key: str
    x: float
    y: float
    w: float
    h: float
    hole: float = 0.0

    @property
    def area(self) -> float:
        """Copper in mm², the corners not taken off."""
        return self.w * self.h


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What the footprint's name and pads say: what to build, for whom the numbers are in `names.py`."""

    kind: str
    code: str = ""
    body: tuple[float, float] | None = None  # mm along x and y of the footprint, as its name says
    height: float | None = None
    value: str = ""
    spots: tuple[Spot, ...] = ()


class Kit:
    """Gathers pieces; several solids of one name and terminal become one mesh."""

    def __init__(self) -> None:
        self._solids: dict[tuple[str, str | None], list[Solid]] = {}
        self._materials: dict[tuple[str, str | None], Material] = {}
        self.terminals: dict[str, Terminal] = {}

    def add(self, name: str, item: Solid | None, material: Material, terminal: str | None = None) -> None:
        """One more solid under `name`; None adds nothing."""
        if item is not None:
            self._solids.setdefault((name, terminal), []).append(item)
            self._materials.setdefault((name, terminal), material)

    def metal(
        self, key: str, item: Solid, low: Sequence[float], high: Sequence[float], material: Material = TIN
    ) -> None:
        """A terminal: its metal, and the box of it (two corners) that solder wets."""
        self.add(f"Terminal_{len(self.terminals) + 1}", item, material, key)
        (x0, y0, z0), (x1, y1, z1) = low, high
        self.terminals[key] = Terminal(
            x0=min(x0, x1), y0=min(y0, y1), z0=min(z0, z1), x1=max(x0, x1), y1=max(y0, y1), z1=max(z0, z1)
        )

    def package(
        self, *, family: str, name: str, klass: str, polarised: bool = False,
        angle: float = 0.0, x: float = 0.0, y: float = 0.0,
    ) -> Package:  # fmt: skip
        """All of it, turned by `angle` (a quarter turn) about z and shifted to (x, y)."""
        pieces, height = [], 0.0
        for (label, terminal), solids in self._solids.items():
            whole = moved(merged(solids), x=x, y=y, angle=angle)
            height = max(height, float(whole.points[:, 2].max()))
            pieces.append(
                Piece(name=label, points=whole.points, faces=whole.faces, normals=whole.normals,
                      material=self._materials[label, terminal], terminal=terminal)
            )  # fmt: skip
        boxes = {key: _turned(t, angle, x, y) for key, t in self.terminals.items()}
        return Package(family=family, name=name, klass=klass, height=height, pieces=tuple(pieces), terminals=boxes,
                       polarised=polarised)  # fmt: skip


def _turned(box: Terminal, angle: float, x: float, y: float) -> Terminal:
    corners = box.corners() @ turn_z(angle).T + np.array([x, y, 0.0])
    (x0, y0, z0), (x1, y1, z1) = corners.min(0).tolist(), corners.max(0).tolist()
    return Terminal(x0=x0, y0=y0, z0=z0, x1=x1, y1=y1, z1=z1)


def spots(pads: Sequence[Pad]) -> tuple[Spot, ...]:
    """Pads as upright boxes: what a pad at a slant covers, its size exact at quarter turns."""
    out = []
    for key, pad in zip(pad_keys([p.name for p in pads]), pads, strict=True):
        quarter = round(pad.angle / 90)
        if abs(pad.angle - 90 * quarter) < 20:
            w, h = (pad.w, pad.h) if quarter % 2 == 0 else (pad.h, pad.w)
        else:
            w = h = (pad.w + pad.h) / 2
        out.append(Spot(key=key, x=pad.x, y=pad.y, w=w, h=h, hole=pad.hole))
    return tuple(out)


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two pads with the first to the left: where the middle is, how the whole is turned, and lengths along and across.

    `span` is from outer edge to outer edge, `gap` between inner edges, `breadth` the pads' size across.
    """

    first: str
    second: str
    x: float
    y: float
    angle: float
    span: float
    gap: float
    breadth: float


def pair(items: Sequence[Spot]) -> Pair:
    """The two pads of a two-terminal part, in the order of their names (1 before 2, A before K as K is pin 1)."""
    a, b = _ordered(items)
    dx, dy = b.x - a.x, b.y - a.y
    flat = abs(dx) >= abs(dy)
    angle = (0.0 if dx >= 0 else 180.0) if flat else (90.0 if dy > 0 else 270.0)
    far = abs(dx) if flat else abs(dy)
    ends = (a.w + b.w) / 2 if flat else (a.h + b.h) / 2
    breadth = min(a.h, b.h) if flat else min(a.w, b.w)
    return Pair(first=a.key, second=b.key, x=(a.x + b.x) / 2, y=(a.y + b.y) / 2, angle=angle, span=far + ends,
                gap=max(far - ends, 0.05 * far), breadth=breadth)  # fmt: skip


def _ordered(items: Sequence[Spot]) -> tuple[Spot, Spot]:
    two = items[:2] if len(items) == 2 else sorted(items, key=lambda s: -s.area)[:2]
    rank = {"1": 0, "K": 0, "C": 0, "+": 0, "2": 1, "A": 1, "-": 1}
    a, b = sorted(two, key=lambda s: rank.get(s.key.upper(), 0 if s is two[0] else 1))
    return a, b
