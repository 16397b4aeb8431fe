"""Where a part stands in each column of the contact sheet: fixed, telling poses, one per kind of defect."""

from __future__ import annotations

import numpy as np

from noescape.board.parts.model import SEAT, Matrix, Package

MODES = ("ok", "shift", "tombstone", "sideflip", "reverse_polarity", "missing", "excess", "less", "bridge")
LOW = 3.5  # mm: higher parts neither stand up nor roll over in an oven


def pose(package: Package, mode: str) -> Matrix | None:
    """The part's frame in the world for a mode; None where such a part cannot fail in that way.

    Only parts on two terminals stand up or fall on their side; only polarised ones can be the wrong way round.
    """
    if mode == "shift":
        boxes = package.terminals.values()  # by as much as leaves a terminal half off its pad, and a small skew
        step = min(0.6 * min(min(b.x1 - b.x0, b.y1 - b.y0) for b in boxes), 0.4) + 0.06
        return _at(0.6 * step, step) @ _turn((0, 0, 1), 10.0 if len(boxes) < 4 else 3.0)
    if mode in ("tombstone", "sideflip"):
        return _fallen(package, mode) if len(package.terminals) == 2 and package.height < LOW else None
    if mode == "reverse_polarity":
        return _turn((0, 0, 1), 180.0) if package.polarised else None
    if mode == "bridge" and len(package.terminals) < 3:
        return None
    return np.eye(4)


def _fallen(package: Package, mode: str) -> Matrix:
    """Stood on its right end, or rolled onto its lower side: about that edge, so that it rests on its pads."""
    x1, y0 = max(t.x1 for t in package.terminals.values()), min(t.y0 for t in package.terminals.values())
    if mode == "tombstone":
        edge = _at(x1, 0.0, SEAT)
        return edge @ _turn((0, 1, 0), 78.0) @ np.linalg.inv(edge)
    edge = _at(0.0, y0, SEAT)
    back = 0.75 * (0.5 * (package.height - SEAT) - y0)  # molten solder pulls a rolled part most of the way back
    return _at(0.0, back) @ edge @ _turn((1, 0, 0), 90.0) @ np.linalg.inv(edge)


def _at(x: float, y: float, z: float = 0.0) -> Matrix:
    out = np.eye(4)
    out[:3, 3] = x, y, z
    return out


def _turn(axis: tuple[int, int, int], angle: float) -> Matrix:
    """Right-handed turn about one of the axes."""
    c, s = float(np.cos(np.radians(angle))), float(np.sin(np.radians(angle)))
    k = axis.index(1)
    i, j = (k + 1) % 3, (k + 2) % 3
    out = np.eye(4)
    out[i, i] = out[j, j] = c
    out[i, j], out[j, i] = -s, s
    return out
