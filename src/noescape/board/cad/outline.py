"""Lines on Edge.Cuts joined into rims and cut-outs; what is open or has no area is named with its place."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from noescape.board.cad.model import Drawing, Outline, Points2
from noescape.board.cad.shapes import area, inside
from noescape.records import DataError

JOIN = 0.02  # mm between two ends that still are one corner (KiCad itself: 0.01 to 0.02)
LEAST_AREA = 0.01  # mm²


def outlines(lines: Sequence[Drawing], source: str) -> tuple[Outline, ...]:
    """The pieces of a board, the largest first. Coordinates in errors are the file's own: y downwards."""
    if not lines:
        raise DataError(f"{source}: no outline: nothing is drawn on Edge.Cuts; draw the board's rim there")
    rings = _rings([line.points for line in lines], source)
    rings = [ring for ring in rings if abs(area(ring)) >= LEAST_AREA]
    if not rings:
        raise DataError(f"{source}: the outline on Edge.Cuts encloses no area")
    rings.sort(key=lambda ring: -abs(area(ring)))
    depth = [sum(inside(_corner(ring), other) for other in rings[:k]) for k, ring in enumerate(rings)]
    pieces = []
    for k, rim in enumerate(rings):
        if depth[k] % 2:
            continue
        holes = [
            _turning(rings[j], clockwise=True)
            for j in range(k + 1, len(rings))
            if depth[j] == depth[k] + 1 and inside(_corner(rings[j]), rim)
        ]
        pieces.append(Outline(rim=_turning(rim, clockwise=False), holes=tuple(holes)))
    return tuple(pieces)


def _corner(ring: Points2) -> tuple[float, float]:
    return float(ring[0, 0]), float(ring[0, 1])


def _turning(ring: Points2, *, clockwise: bool) -> Points2:
    return ring[::-1].copy() if (area(ring) < 0) != clockwise else ring


def _rings(lines: list[Points2], source: str) -> list[Points2]:
    """Closed lines as they are, the others end to end."""
    rings, loose = [], []
    seen: set[tuple[tuple[float, ...], ...]] = set()
    for points in lines:
        key = _key(points)
        if key in seen:
            continue  # drawn twice
        seen.add(key)
        if len(points) > 3 and math.dist(points[0], points[-1]) < 1e-6:
            rings.append(points[:-1])
        elif math.dist(points[0], points[-1]) > 1e-6 or len(points) > 2:
            loose.append(points)
    return rings + _joined(_Ends(loose), source)


def _key(points: Points2) -> tuple[tuple[float, ...], ...]:
    rounded = [tuple(point) for point in np.round(points, 4).tolist()]
    return min(tuple(rounded), tuple(reversed(rounded)))


class _Ends:
    """Lines not joined yet, found by the place of their ends."""

    def __init__(self, lines: list[Points2]) -> None:
        self.lines = dict(enumerate(lines))
        self._at: dict[tuple[int, int], list[tuple[int, bool]]] = {}
        for number, line in self.lines.items():
            for last in (False, True):
                self._at.setdefault(_cell(line[-1 if last else 0]), []).append((number, last))

    def take_from(self, point: Points2) -> tuple[float, Points2] | None:
        """The nearest line that begins within JOIN of `point` (turned round if it ends there), and how far off."""
        x, y = _cell(point)
        best: tuple[float, int, bool] | None = None
        for cell in ((x + i, y + j) for i in (-1, 0, 1) for j in (-1, 0, 1)):
            for number, last in self._at.get(cell, ()):
                if number in self.lines:
                    far = math.dist(self.lines[number][-1 if last else 0], point)
                    if far <= JOIN and (best is None or far < best[0]):
                        best = far, number, last
        if best is None:
            return None
        line = self.lines.pop(best[1])
        return best[0], line[::-1] if best[2] else line

    def put_back(self, line: Points2) -> None:
        """Make a line that was taken a loose one again."""
        number = max(self.lines, default=-1) + 1
        while number in self.lines:
            number += 1
        self.lines[number] = line
        for last in (False, True):
            self._at.setdefault(_cell(line[-1 if last else 0]), []).append((number, last))


def _cell(point: Points2) -> tuple[int, int]:
    return math.floor(point[0] / JOIN), math.floor(point[1] / JOIN)


def _joined(ends: _Ends, source: str) -> list[Points2]:
    """Rings of all lines; each chain grows by the line that is nearest to its end until it is back at its start."""
    rings = []
    while ends.lines:
        chain = [ends.lines.pop(next(iter(ends.lines)))]
        while True:
            home = math.dist(chain[-1][-1], chain[0][0]) if len(chain) > 1 or len(chain[0]) > 2 else math.inf
            if home <= 1e-6:
                break
            found = ends.take_from(chain[-1][-1])
            if found is not None and found[0] < home:
                chain.append(found[1])
                continue
            if found is not None:
                ends.put_back(found[1])
            if home <= JOIN:
                break
            # The gap may be at the other end: grow there before saying where it is.
            while (before := ends.take_from(chain[0][0])) is not None:
                chain.insert(0, before[1][::-1])
            raise _open(chain, list(ends.lines.values()), source)
        rings.append(np.concatenate([piece[:-1] for piece in chain]))
    return rings


def _open(chain: list[Points2], loose: list[Points2], source: str) -> DataError:
    """Between which two ends the outline is open: the chain's own, or its end and the nearest other line."""
    end = chain[-1][-1]
    others = [chain[0][0]] + [point for piece in loose for point in (piece[0], piece[-1])]
    nearest = min(others, key=lambda point: math.dist(point, end))
    gap = math.dist(nearest, end)
    (x0, y0), (x1, y1) = end, nearest
    return DataError(
        f"{source}: the outline on Edge.Cuts is open between ({x0:.3f}, {-y0:.3f}) and ({x1:.3f}, {-y1:.3f}) mm: "
        f"a gap of {gap:.3f} mm; join the ends there (KiCad's design rule check shows the place, too)"
    )
