"""The board itself as a body: faces with their holes, walls, and the copper of its pads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from noescape.board.cad.model import Board, Drill, Outline, Pad, Points2
from noescape.board.cad.shapes import area, capsule, distance_to, inside
from noescape.board.model import Faces, Points
from noescape.records import UsageError

LEAST_CUT = 0.45  # mm: smaller holes are painted, a camera of an inspection machine hardly looks into them
APART = 0.02  # mm that a hole must stay away from any other edge to be cut
PAD_HEIGHT = 0.035  # mm of outer copper


class Shape(NamedTuple):
    """Triangles: points [N, 3] mm, faces [M, 3] counter-clockwise from outside."""

    points: Points
    faces: Faces


def _may_cut(pad: Pad) -> bool:
    """Wide enough, and not spanned by the solder mask as a covered via is."""
    return pad.drill is not None and pad.drill.diameter >= LEAST_CUT and (pad.on("F.Mask") or not pad.drill.plated)


def cut_drills(board: Board) -> list[Drill]:
    """Holes to cut: wide enough, inside the board, clear of its edges and of each other."""
    found = [pad.drill for pad in _pads(board) if pad.drill is not None and _may_cut(pad)]
    chosen: list[Drill] = []
    spots: list[tuple[float, float, float]] = []
    for drill in sorted(found, key=lambda d: -d.diameter):
        middle = drill.points.mean(axis=0)
        x, y = float(middle[0]), float(middle[1])
        reach = float(np.hypot(*(drill.points[1] - drill.points[0]))) / 2 + drill.diameter / 2 + APART
        near = np.array(spots).reshape(-1, 3)
        if (np.hypot(near[:, 0] - x, near[:, 1] - y) < near[:, 2] + reach).any():
            continue
        if any(_clear((x, y), reach, outline) for outline in board.outlines):
            chosen.append(drill)
            spots.append((x, y, reach))
    return chosen


def face(outline: Outline, drills: Sequence[Drill], z: float, *, up: bool) -> Shape:
    """One face of the board at height `z`, seen from above (`up`) or from below."""
    holes = [*outline.holes, *(_ring(drill) for drill in drills_in(outline, drills))]
    points, faces = _cut(outline.rim, holes)
    flat = np.concatenate([points, np.full((len(points), 1), z)], axis=1).astype(np.float32)
    return Shape(flat, faces if up else faces[:, ::-1].copy())


def drills_in(outline: Outline, drills: Iterable[Drill]) -> list[Drill]:
    """Those holes that lie in one piece of board."""
    found = []
    for drill in drills:
        middle = drill.points.mean(axis=0)
        if inside((float(middle[0]), float(middle[1])), outline.rim):
            found.append(drill)
    return found


def wall(ring: Points2, low: float, high: float, *, outwards: bool) -> Shape:
    """The wall over a counter-clockwise ring; it faces outwards, or into the hole that the ring encloses."""
    if area(ring) < 0:
        ring = ring[::-1]
    n = len(ring)
    points = np.concatenate([np.c_[ring, np.full(n, low)], np.c_[ring, np.full(n, high)]]).astype(np.float32)
    a = np.arange(n)
    b = (a + 1) % n
    faces = np.concatenate([np.stack([a, b, b + n], 1), np.stack([a, b + n, a + n], 1)]).astype(np.int32)
    return Shape(points, faces if outwards else faces[:, ::-1].copy())


def barrels(drills: Sequence[Drill], low: float, high: float, *, plated: bool) -> Shape | None:
    """The walls of holes, lined with metal or not."""
    walls = [wall(_ring(drill), low, high, outwards=False) for drill in drills if drill.plated == plated]
    return joined(walls) if walls else None


def pad_copper(pad: Pad, z: float = 0.0) -> Shape | None:
    """A pad as a body 35 µm high with its hole; None where the hole leaves nothing or runs over the rim of the pad."""
    bodies = []
    for shape in pad.copper:
        if shape.filled:
            rings = [shape.points[:-1]]
        else:
            rings = [capsule(shape.points[k : k + 2], shape.width) for k in range(len(shape.points) - 1)]
        bodies += [_prism(ring, pad.drill, z) for ring in rings if len(ring) > 2 and abs(area(ring)) > 1e-6]
    whole = [body for body in bodies if body is not None]
    return joined(whole) if whole and len(whole) == len(bodies) else None


def joined(shapes: Sequence[Shape]) -> Shape:
    """Several as one."""
    first = np.cumsum([0] + [len(shape.points) for shape in shapes[:-1]])
    faces = [shape.faces + start for shape, start in zip(shapes, first, strict=True)]
    return Shape(np.concatenate([s.points for s in shapes]), np.concatenate(faces).astype(np.int32))


def _prism(ring: Points2, drill: Drill | None, z: float) -> Shape | None:
    if area(ring) < 0:
        ring = ring[::-1]
    holes = []
    if drill is not None:
        hole = _ring(drill)
        middle = drill.points.mean(axis=0)
        center = (float(middle[0]), float(middle[1]))
        reach = float(np.hypot(*(drill.points[1] - drill.points[0]))) / 2 + drill.diameter / 2
        if inside(center, ring):
            if any(not inside((float(x), float(y)), ring) for x, y in hole[:: max(1, len(hole) // 8)]):
                return None
            holes = [hole]
        elif distance_to(center, ring) < reach:
            return None
    points, faces = _cut(ring, holes)
    top = np.c_[points, np.full(len(points), z + PAD_HEIGHT)].astype(np.float32)
    walls = [wall(ring, z, z + PAD_HEIGHT, outwards=True)]
    walls += [wall(hole, z, z + PAD_HEIGHT, outwards=False) for hole in holes]
    return joined([Shape(top, faces), *walls])


def _clear(center: tuple[float, float], reach: float, outline: Outline) -> bool:
    if not inside(center, outline.rim) or distance_to(center, outline.rim) < reach:
        return False
    return all(not inside(center, hole) and distance_to(center, hole) >= reach for hole in outline.holes)


def _ring(drill: Drill) -> Points2:
    return capsule(drill.points, drill.diameter)


def _cut(rim: Points2, holes: Sequence[Points2]) -> tuple[Points2, Faces]:
    """Triangles of a ring less its holes, counter-clockwise."""
    try:
        import mapbox_earcut
    except ImportError:
        raise UsageError("a board's mesh needs mapbox-earcut; pip install 'noescape[board]'") from None
    points = np.concatenate([rim, *holes])
    ends = np.cumsum([len(rim), *(len(hole) for hole in holes)]).astype(np.uint32)
    faces = np.asarray(mapbox_earcut.triangulate_float64(points, ends), dtype=np.int32).reshape(-1, 3)
    a, b, c = points[faces[:, 0]], points[faces[:, 1]], points[faces[:, 2]]
    turn = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    faces[turn < 0] = faces[turn < 0][:, ::-1]
    return points, faces


def _pads(board: Board) -> Iterable[Pad]:
    for part in board.footprints:
        yield from part.pads
    yield from board.vias
