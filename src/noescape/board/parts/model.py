"""What the parts library speaks in: pads, terminals, pieces, packages.

A part's frame has its origin at the footprint's centre on the board's top copper (z = 0), x right, y up, z away from
the board; lengths are mm, angles degrees counter-clockwise seen from above. KiCad's y points down: whoever reads
KiCad turns it over before coming here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from noescape.board.model import Faces, Material, Points

Matrix = npt.NDArray[np.float64]  # [4, 4] on column vectors: world = matrix @ (x, y, z, 1)

PAD_TOP = 0.035  # thickness of the outer copper: pads end, and solder begins, this high above the board
SEAT = 0.05  # where a soldered terminal's underside rests: on a film of solder over the pad


class Solid(NamedTuple):
    """Triangles: `points` [N, 3] mm, `faces` [M, 3] counter-clockwise from outside, `normals` [N, 3] or None (flat)."""

    points: Points
    faces: Faces
    normals: Points | None


@dataclass(frozen=True, kw_only=True)
class PadRect:
    """A pad's copper as a rectangle: centre, size before turning, angle. `corner` is the corner's radius over the
    shorter side: 0 sharp, 0.5 round ends or a disc."""

    x: float
    y: float
    w: float
    h: float
    angle: float = 0.0
    corner: float = 0.25


@dataclass(frozen=True, kw_only=True)
class Pad(PadRect):
    """A pad of a footprint, in the footprint's frame. `hole` is the drill's diameter, 0 for surface mount."""

    name: str
    hole: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Terminal:
    """The box of metal that solder wets, in the part's frame."""

    x0: float
    y0: float
    z0: float
    x1: float
    y1: float
    z1: float

    def corners(self) -> npt.NDArray[np.float64]:
        """The eight corners, [8, 3]; bit 0 of the row picks x1, bit 1 y1, bit 2 z1."""
        low, high = np.array([self.x0, self.y0, self.z0]), np.array([self.x1, self.y1, self.z1])
        bits = (np.arange(8)[:, None] >> np.arange(3)) & 1
        return np.where(bits, high, low)


@dataclass(frozen=True, kw_only=True, eq=False)
class Piece:
    """One mesh of a part. `terminal` is the name of the pad it stands on, None for bodies and marks."""

    name: str
    points: Points
    faces: Faces
    normals: Points | None
    material: Material
    terminal: str | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Package:
    """A part as it stands on its footprint.

    `family` is fit for a prim's name and for substring rules (C0603, SOT23, QFP48); `name` is the package as people
    write it (0603, SOT-23, LQFP-48); `klass` one of the board's classes. `terminals` are keyed like `pad_keys`.
    """

    family: str
    name: str
    klass: str
    height: float
    pieces: tuple[Piece, ...]
    terminals: Mapping[str, Terminal]
    polarised: bool = False


def pad_keys(names: list[str]) -> list[str]:
    """Names of pads made unique, in order: `1, 2, 2, ""` becomes `1, 2, 2_2, pad`."""
    out: list[str] = []
    taken: set[str] = set()
    for name in names:
        base = name or "pad"
        key, n = base, 1
        while key in taken:
            n += 1
            key = f"{base}_{n}"
        taken.add(key)
        out.append(key)
    return out
