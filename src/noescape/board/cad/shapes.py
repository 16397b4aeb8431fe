"""Flat geometry: arcs, circles and curves as lines, boxes with round corners, turning and growing."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from noescape.board.cad.model import Points2

CHORD = 0.01  # mm by which a chord may miss its arc: a quarter of a pixel at 25 px/mm
Point = tuple[float, float]


def steps(radius: float, sweep: float) -> int:
    """How many chords stand for an arc of `sweep` radians so that none misses it by more than CHORD."""
    if radius <= CHORD:
        return 4
    most = 2 * math.acos(1 - CHORD / radius)
    return max(2, min(720, math.ceil(abs(sweep) / most)))


def arc(center: Point, radius: float, start: float, sweep: float) -> Points2:
    """Points from angle `start` over `sweep` radians, both ends included."""
    angles = start + sweep * np.linspace(0, 1, steps(radius, sweep) + 1)
    return np.stack([center[0] + radius * np.cos(angles), center[1] + radius * np.sin(angles)], axis=1)


def circle(center: Point, radius: float) -> Points2:
    """A closed ring: the last point is the first."""
    ring = arc(center, radius, 0.0, 2 * math.pi)
    ring[-1] = ring[0]
    return ring


def arc_through(start: Point, middle: Point, end: Point) -> Points2:
    """The arc from `start` over `middle` to `end`; a straight line when the three lie on one."""
    (ax, ay), (bx, by), (cx, cy) = start, middle, end
    if math.hypot(cx - ax, cy - ay) < 1e-9:  # the whole round
        center = ((ax + bx) / 2, (ay + by) / 2)
        return arc(center, math.hypot(bx - ax, by - ay) / 2, math.atan2(ay - center[1], ax - center[0]), 2 * math.pi)
    d = 2 * (ax * (by - cy) + bx * (cy - ay) + cx * (ay - by))
    if abs(d) < 1e-9:
        return np.array([start, end], dtype=float)
    a, b, c = ax * ax + ay * ay, bx * bx + by * by, cx * cx + cy * cy
    center = ((a * (by - cy) + b * (cy - ay) + c * (ay - by)) / d, (a * (cx - bx) + b * (ax - cx) + c * (bx - ax)) / d)
    first, mid, last = (math.atan2(y - center[1], x - center[0]) for x, y in (start, middle, end))
    turn = 2 * math.pi
    sweep = (last - first) % turn
    if (mid - first) % turn > sweep:
        sweep -= turn
    points = arc(center, math.hypot(ax - center[0], ay - center[1]), first, sweep)
    points[0], points[-1] = start, end  # exactly, so that lines meet
    return points


def bezier(controls: Points2) -> Points2:
    """A cubic curve by its four controls [4, 2]."""
    t = np.linspace(0, 1, 33)[:, None]
    p0, p1, p2, p3 = controls
    curve: Points2 = (1 - t) ** 3 * p0 + 3 * (1 - t) ** 2 * t * p1 + 3 * (1 - t) * t**2 * p2 + t**3 * p3
    return curve


def box(width: float, height: float) -> Points2:
    """Corners, counter-clockwise, round (0, 0)."""
    w, h = width / 2, height / 2
    return np.array([(-w, -h), (w, -h), (w, h), (-w, h)])


def rounded_box(width: float, height: float, radii: Iterable[float]) -> Points2:
    """A box round (0, 0) with a radius for each corner, from the lower left one counter-clockwise; 0 keeps it sharp."""
    most = min(width, height) / 2
    pieces = []
    for k, (corner, radius) in enumerate(zip(box(width, height), radii, strict=True)):
        r = min(max(radius, 0.0), most)
        if r < 1e-6:
            pieces.append(corner[None])
            continue
        inward = -np.sign(corner) * r
        center = (float(corner[0] + inward[0]), float(corner[1] + inward[1]))
        pieces.append(arc(center, r, math.pi * (1 + k / 2), math.pi / 2))
    return np.concatenate(pieces)


def chamfered_box(width: float, height: float, radius: float, cut: float, corners: Iterable[int]) -> Points2:
    """A rounded box with some corners (0 lower left, counter-clockwise) cut off straight over `cut` mm."""
    chosen = set(corners)
    ring = []
    for k, corner in enumerate(box(width, height)):
        if k not in chosen:
            piece = rounded_box(width, height, [radius] * 4)
            ring.append(piece[np.all(np.sign(piece) == np.sign(corner), axis=1)])
            continue
        before = np.array([(0, 1), (-1, 0), (0, -1), (1, 0)][k]) * cut
        after = np.array([(1, 0), (0, 1), (-1, 0), (0, -1)][k]) * cut
        ring.append(np.stack([corner + before, corner + after]))
    return np.concatenate(ring)


def turned(points: Points2, degrees: float) -> Points2:
    """Turned counter-clockwise about (0, 0); quarter turns are exact."""
    quarters, rest = divmod(degrees, 90.0)
    c, s = (
        [(1.0, 0.0), (0.0, 1.0), (-1.0, 0.0), (0.0, -1.0)][int(quarters) % 4]
        if rest == 0
        else (math.cos(math.radians(degrees)), math.sin(math.radians(degrees)))
    )
    result: Points2 = np.asarray(points) @ np.array([(c, s), (-s, c)])
    return result


def area(ring: Points2) -> float:
    """Signed area of a ring, positive counter-clockwise."""
    x, y = ring[:, 0] - ring[0, 0], ring[:, 1] - ring[0, 1]
    return float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y) / 2)


def inside(point: Point, ring: Points2) -> bool:
    """Whether `point` lies in the ring (even and odd crossings)."""
    x, y = ring[:, 0], ring[:, 1]
    nx, ny = np.roll(x, -1), np.roll(y, -1)
    crosses = (y > point[1]) != (ny > point[1])
    with np.errstate(divide="ignore", invalid="ignore"):
        at = x + (point[1] - y) * (nx - x) / (ny - y)
    return bool(np.count_nonzero(crosses & (point[0] < at)) % 2)


def distance_to(point: Point, ring: Points2) -> float:
    """The least distance from a point to the closed ring's line."""
    p = np.asarray(point)
    a, b = ring, np.roll(ring, -1, axis=0)
    d = b - a
    length = np.maximum((d * d).sum(axis=1), 1e-18)
    t = np.clip(((p - a) * d).sum(axis=1) / length, 0, 1)[:, None]
    gap = a + t * d - p
    return float(np.sqrt((gap * gap).sum(axis=1).min()))


def capsule(points: Points2, width: float) -> Points2:
    """The ring round a straight line [2, 2] drawn by a round pen: a circle when its ends are one."""
    (ax, ay), (bx, by) = ((float(x), float(y)) for x, y in points)
    r = width / 2
    if math.hypot(bx - ax, by - ay) < 1e-6:
        return circle((ax, ay), r)[:-1]
    along = math.atan2(by - ay, bx - ax)
    return np.concatenate(
        [arc((bx, by), r, along - math.pi / 2, math.pi), arc((ax, ay), r, along + math.pi / 2, math.pi)]
    )
