"""Printed marks as geometry: a stroke font of our own, each stroke a bar a hundredth of a millimetre high."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from noescape.board.parts.model import Solid
from noescape.board.parts.solids import merged, solid

RAISE = 0.012  # mm: visible to a ray that comes from metres away, and to nobody else
WIDE, HIGH = 2, 4  # the grid that glyphs are drawn on; strokes are "xy xy xy", separated by commas
GLYPHS = {
    "0": "00 20 24 04 00", "1": "03 14 10,00 20", "2": "04 24 22 02 00 20", "3": "04 24 20 00,02 22",
    "4": "04 02 22,24 20", "5": "24 04 02 22 20 00", "6": "24 04 00 20 22 02", "7": "04 24 10",
    "8": "00 20 24 04 00,02 22", "9": "22 02 04 24 20 00", "A": "00 03 14 23 20,02 22",
    "B": "00 04 14 23 12 02,12 21 10 00",
    "C": "24 04 00 20", "D": "00 04 14 23 21 10 00", "E": "24 04 00 20,02 12", "F": "00 04 24,02 12",
    "G": "24 04 00 20 22 12", "H": "00 04,20 24,02 22", "I": "04 24,14 10,00 20", "J": "24 20 00 01",
    "K": "00 04,24 02 20", "L": "04 00 20", "M": "00 04 12 24 20", "N": "00 04 20 24", "O": "00 20 24 04 00",
    "P": "00 04 24 22 02", "Q": "00 20 24 04 00,11 20", "R": "00 04 24 22 02 20", "S": "24 04 02 22 20 00",
    "T": "04 24,14 10", "U": "04 00 20 24", "V": "04 10 24", "W": "04 00 12 20 24", "X": "00 24,04 20",
    "Y": "04 12 24,12 10", "Z": "04 24 00 20", "-": "02 22", ".": "00 10", "+": "02 22,13 11", "/": "00 24",
}  # fmt: skip


def stroke(p: tuple[float, float], q: tuple[float, float], width: float, z: float) -> Solid:
    """A bar from p to q, `width` wide, standing on `z` and a little into it."""
    a, b = np.array(p, float), np.array(q, float)
    length = float(np.linalg.norm(b - a))
    along = (b - a) / length if length > 1e-9 else np.array([1.0, 0.0])
    side = np.array([-along[1], along[0]]) * width / 2
    a, b = a - along * width / 2, b + along * width / 2
    ring = np.array([a - side, b - side, b + side, a + side])
    points = np.concatenate([np.c_[ring, np.full(4, z - 0.004)], np.c_[ring, np.full(4, z + RAISE)]])
    quads = [(3, 2, 1, 0), (4, 5, 6, 7), (0, 1, 5, 4), (1, 2, 6, 5), (2, 3, 7, 6), (3, 0, 4, 7)]
    faces = np.array([t for i, j, k, m in quads for t in ((i, j, k), (i, k, m))])
    return solid(points, faces, None)


def text(words: str, *, x: float, y: float, z: float, height: float, room: float) -> Solid | None:
    """`words` centred on (x, y) on a surface at `z`: letters `height` mm high, smaller where `room` mm are too few.

    Signs that the font does not have are left out; None when nothing is left.
    """
    letters = [c for c in words.upper() if c in GLYPHS]
    if not letters:
        return None
    step = WIDE + 1.1
    unit = min(height / HIGH, room / (len(letters) * step - 1.1))
    left, low = x - unit * (len(letters) * step - 1.1) / 2, y - unit * HIGH / 2
    bars = []
    for k, letter in enumerate(letters):
        for line in GLYPHS[letter].split(","):
            spots = [(left + unit * (k * step + int(s[0])), low + unit * int(s[1])) for s in line.split()]
            bars += [stroke(p, q, 0.55 * unit, z) for p, q in pairwise(spots)]
    return merged(bars)
