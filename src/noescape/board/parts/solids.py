"""Solids as triangles: outlines raised and rounded, bars, bent strips. Closed, wound outwards, same input same bytes.

Vertices are repeated where an edge is sharp and shared where it is smooth, so normals can be smooth on one side of an
edge and flat on the other; welded by position every solid here is closed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from noescape.board.parts.model import Solid

Flat = npt.NDArray[np.float64]
CREASE = 0.75  # cosine under which two slopes in a row meet in a sharp edge (41 degrees)


def solid(points: Flat, faces: npt.NDArray[np.int64], normals: Flat | None) -> Solid:
    """The same arrays in the types that meshes travel in."""
    plain = None if normals is None else np.ascontiguousarray(normals, np.float32)
    return Solid(np.ascontiguousarray(points, np.float32), np.ascontiguousarray(faces, np.int32), plain)


def merged(solids: Iterable[Solid]) -> Solid:
    """Several solids as one mesh; it keeps smooth normals only where all have them."""
    items = list(solids)
    starts = np.cumsum([0, *(len(s.points) for s in items)])
    faces = np.concatenate([s.faces + start for s, start in zip(items, starts, strict=False)]).astype(np.int32)
    points = np.concatenate([s.points for s in items])
    normals = [s.normals for s in items if s.normals is not None]
    return Solid(points, faces, np.concatenate(normals) if len(normals) == len(items) else None)


def moved(item: Solid, *, x: float = 0.0, y: float = 0.0, z: float = 0.0, angle: float = 0.0) -> Solid:
    """Turned about z by `angle` degrees, then shifted."""
    turn = turn_z(angle)
    points = item.points.astype(np.float64) @ turn.T + np.array([x, y, z])
    normals = None if item.normals is None else item.normals.astype(np.float64) @ turn.T
    return solid(points, item.faces.astype(np.int64), normals)


def turn_z(angle: float) -> Flat:
    """[3, 3] turn about z; exact at quarter turns, so that boxes stay boxes."""
    quarters = {0.0: (1.0, 0.0), 90.0: (0.0, 1.0), 180.0: (-1.0, 0.0), 270.0: (0.0, -1.0)}
    c, s = quarters.get(angle % 360) or (float(np.cos(np.radians(angle))), float(np.sin(np.radians(angle))))
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def rounded_outline(x0: float, y0: float, x1: float, y1: float, radius: float, steps: int = 3) -> tuple[Flat, Flat]:
    """A rectangle with round corners, counter-clockwise: points [N, 2] and their outward normals [N, 2]."""
    r = float(np.clip(radius, 1e-4, 0.499 * min(x1 - x0, y1 - y0)))
    turn = np.linspace(0.0, np.pi / 2, steps + 1)
    angles = np.concatenate([turn + k * np.pi / 2 for k in range(4)])
    normals = np.stack([np.cos(angles), np.sin(angles)], 1)
    centres = np.array([[x1 - r, y1 - r], [x0 + r, y1 - r], [x0 + r, y0 + r], [x1 - r, y0 + r]])
    return np.repeat(centres, steps + 1, 0) + r * normals, normals


def circle_outline(x: float, y: float, radius: float, steps: int = 24) -> tuple[Flat, Flat]:
    """A circle, counter-clockwise: points [N, 2] and their outward normals."""
    angles = np.linspace(0.0, 2 * np.pi, steps, endpoint=False)
    normals = np.stack([np.cos(angles), np.sin(angles)], 1)
    return np.array([x, y]) + radius * normals, normals


def loft(outline: tuple[Flat, Flat], levels: Sequence[tuple[float, float]]) -> Solid:
    """A convex outline carried upwards: at each level (inset, z), z never falling, it is drawn in by `inset`.

    Slopes that meet at less than about 40 degrees are shaded as one round surface, others as an edge. Flat lids close
    both ends. Balls, cans, domes, moulded bodies and rounded boxes are all this.
    """
    flat, outward = outline
    n = len(flat)
    rise = np.diff(np.array(levels), axis=0)
    length = np.maximum(np.hypot(rise[:, 0], rise[:, 1]), 1e-12)
    slopes = np.stack([rise[:, 1] / length, rise[:, 0] / length], 1)  # outward and upward part of each face's normal
    points, normals, faces, start = [], [], [], 0
    for run in _runs(slopes):
        for k in range(run[0], run[1] + 2):
            near = slopes[max(k - 1, run[0]) : min(k, run[1]) + 1].sum(0)
            near /= np.linalg.norm(near)
            inset, z = levels[k]
            points.append(np.c_[flat - inset * outward, np.full(n, z)])
            normals.append(np.c_[outward * near[0], np.full(n, near[1])])
        for k in range(run[1] - run[0] + 1):
            faces.append(_band(start + k * n, start + (k + 1) * n, n))
        start += (run[1] - run[0] + 2) * n
    for (inset, z), up in ((levels[0], -1.0), (levels[-1], 1.0)):
        points.append(np.c_[flat - inset * outward, np.full(n, z)])
        normals.append(np.tile([0.0, 0.0, up], (n, 1)))
        fan = np.stack([np.full(n - 2, start), start + np.arange(1, n - 1), start + np.arange(2, n)], 1)
        faces.append(fan if up > 0 else fan[:, ::-1])
        start += n
    return solid(np.concatenate(points), np.concatenate(faces), np.concatenate(normals))


def _runs(slopes: Flat) -> list[tuple[int, int]]:
    """First and last place of each row of slopes that is one smooth surface."""
    meets = (slopes[1:] * slopes[:-1]).sum(1) < CREASE
    cuts = [0, *(np.flatnonzero(meets) + 1).tolist(), len(slopes)]
    return [(a, b - 1) for a, b in pairwise(cuts)]


def _band(low: int, high: int, n: int) -> npt.NDArray[np.int64]:
    """Triangles between two rings of `n` vertices."""
    i = np.arange(n)
    j = (i + 1) % n
    return np.concatenate([np.stack([low + i, low + j, high + j], 1), np.stack([low + i, high + j, high + i], 1)])


def quarter(radius: float, z: float, *, up: bool, steps: int = 3) -> list[tuple[float, float]]:
    """Levels of a quarter round: from the wall at `z` inwards and up, or (`up` False) from inside up to the wall."""
    a = np.linspace(0.0, np.pi / 2, steps + 1)
    inset, rise = radius * (1 - np.cos(a)), radius * np.sin(a)
    if up:
        return [(float(i), float(z + r)) for i, r in zip(inset, rise, strict=True)]
    return [(float(i), float(z - r)) for i, r in zip(inset[::-1], rise[::-1], strict=True)]


def rounded_box(low: Sequence[float], high: Sequence[float], radius: float, steps: int = 3) -> Solid:
    """A box between two corners (x, y, z), all edges and corners round."""
    (x0, y0, z0), (x1, y1, z1) = low, high
    r = float(np.clip(radius, 1e-4, 0.499 * min(x1 - x0, y1 - y0, z1 - z0)))
    levels = [*quarter(r, z0 + r, up=False, steps=steps), *quarter(r, z1 - r, up=True, steps=steps)]
    return loft(rounded_outline(x0, y0, x1, y1, r, steps), levels)


def box(low: Sequence[float], high: Sequence[float]) -> Solid:
    """A sharp box, flat-shaded, eight vertices: for pins and printed marks."""
    bits = (np.arange(8)[:, None] >> np.arange(3)) & 1
    points = np.where(bits, np.array(high, float), np.array(low, float))
    quads = [(0, 2, 3, 1), (4, 5, 7, 6), (0, 1, 5, 4), (2, 6, 7, 3), (0, 4, 6, 2), (1, 3, 7, 5)]
    faces = np.array([t for a, b, c, d in quads for t in ((a, b, c), (a, c, d))])
    return solid(points, faces, None)


def cylinder(x: float, y: float, radius: float, z0: float, z1: float, *, bevel: float = 0.0, steps: int = 24) -> Solid:
    """An upright cylinder; `bevel` rounds its upper edge."""
    top = quarter(bevel, z1 - bevel, up=True) if bevel > 0 else [(0.0, z1)]
    return loft(circle_outline(x, y, radius, steps), [(0.0, z0), *top])


def dome(x: float, y: float, radius: float, z0: float, height: float, *, steps: int = 24) -> Solid:
    """A cap like a lens standing at `z0`: half an ellipsoid."""
    a = np.linspace(0.0, 0.97 * np.pi / 2, 7)
    levels = [(float(radius * (1 - np.cos(t))), float(z0 + height * np.sin(t))) for t in a]
    return loft(circle_outline(x, y, radius, steps), levels)


def ball(x: float, y: float, radius: float, z0: float, *, steps: int = 16) -> Solid:
    """A sphere that rests on `z0`."""
    a = np.linspace(-0.94 * np.pi / 2, 0.94 * np.pi / 2, 9)
    levels = [(float(radius * (1 - np.cos(t))), float(z0 + radius * (1 + np.sin(t)))) for t in a]
    return loft(circle_outline(x, y, radius, steps), levels)


def prism(outline: Sequence[Sequence[float]] | Flat, z0: float, z1: float) -> Solid:
    """Any simple polygon (either way round, not closed by a repeated point) raised from z0 to z1, flat-shaded."""
    import mapbox_earcut

    flat = np.ascontiguousarray(outline, np.float64)
    after = np.roll(flat, -1, 0)
    if float((flat[:, 0] * after[:, 1] - after[:, 0] * flat[:, 1]).sum()) < 0:
        flat = np.ascontiguousarray(flat[::-1])
    n = len(flat)
    lid = mapbox_earcut.triangulate_float64(flat, np.array([n], np.uint32)).reshape(-1, 3).astype(np.int64)
    a, b, c = (flat[lid[:, k]] for k in range(3))
    turns = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    lid = np.where((turns > 0)[:, None], lid, lid[:, ::-1])
    points = np.concatenate([np.c_[flat, np.full(n, z0)], np.c_[flat, np.full(n, z1)]])
    return solid(points, np.concatenate([lid[:, ::-1], lid + n, _band(0, n, n)]), None)
