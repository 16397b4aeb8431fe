"""Solder: a joint from its pad up its terminal wherever the terminal now is, and a bridge between two pads.

A joint is a height over its pad. With f the distance to the pad's rim and d that to the terminal's wall,
u = f / (f + d) runs from 0 on the rim to 1 on the wall; height is u to a power that is above one for the hollow slope
of a good joint and below one for the bulge of too much solder. Nothing is solved, so a joint costs a fraction of a
millisecond. The terminal may have been turned, shifted or tilted; where it no longer comes near the pad, the
cushion that solder makes on a bare pad is left.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from noescape.board.parts.model import PAD_TOP, Matrix, PadRect, Solid, Terminal
from noescape.board.parts.solids import Flat, solid

REACH = 0.12  # mm above the pad up to which molten solder still finds metal
WETTING = 0.8  # share of a tall terminal that a good joint climbs
CLIMB = 0.7  # mm that it climbs at most
HOLLOW = 1.7  # power of a good joint's slope
COAT = 0.01  # mm of solder that stays on a wetted pad however little there is
_EDGES = tuple((a, a | bit) for a in range(8) for bit in (1, 2, 4) if not a & bit)


def fillet(pad: PadRect, matrix: Matrix | None = None, terminal: Terminal | None = None, volume: float = 1.0) -> Solid:
    """The joint between `pad` (in the world, on the board's top) and a terminal.

    `matrix` [4, 4] carries the part's frame into the world (column vectors); `terminal` is its box in the part's frame.
    Without them, or when the terminal is lifted or away, a low cushion lies on the pad. `volume` 1 is a good joint,
    0.3 starved, 2 and more a bulge that buries the terminal. The mesh is closed, stands on z = 0 (inside the copper),
    and has smooth normals. Cost: about 0.3 ms.
    """
    volume = float(np.clip(volume, 0.05, 4.0))
    swell = 1.0 + 0.07 * max(volume - 1.0, 0.0)
    a, b = 0.5 * pad.w * swell, 0.5 * pad.h * swell
    s, t, x, y, rim = _pad_surface(round(a, 6), round(b, 6), pad.corner)
    wall = None if terminal is None or matrix is None else _contact(pad, matrix, terminal)
    height = None if wall is None else _climb(x, y, rim, wall, volume)
    if height is None:
        height = _cushion(pad, s, t, volume)
    z = PAD_TOP + height + COAT * np.clip(rim / 0.03, 0, 1) * min(volume, 1.0)
    return _raised(x, y, z, pad)


def bridge(
    pad_a: PadRect,
    pad_b: PadRect,
    *,
    width: float = 0.5,
    height: float | None = None,
    slide: float = 0.0,
    away: tuple[float, float] | None = None,
) -> Solid:
    """Solder that runs from one pad to the next, over their joints.

    `width` is a share of the narrower pad's extent across the way between them, `slide` shifts the bridge along that
    extent (-0.5..0.5 of it), `height` is that of its middle in mm (None: as the gap would hold). With `away`, the
    middle of the part, a slide above 0 goes out from under it, to where a camera sees it. Closed, from z = 0 up.
    """
    start, end = np.array([pad_a.x, pad_a.y]), np.array([pad_b.x, pad_b.y])
    gap = float(np.linalg.norm(end - start))
    along = (end - start) / gap if gap > 1e-6 else np.array([1.0, 0.0])
    across = np.array([-along[1], along[0]])
    if away is not None and float(across @ (0.5 * (start + end) - np.array(away))) < 0:
        across = -across
    room = min(extent(pad_a, across), extent(pad_b, across))
    inside = 0.3 * min(extent(pad_a, along), extent(pad_b, along))
    half_long, half_wide = 0.5 * gap + inside, 0.5 * room * float(np.clip(width, 0.05, 1.2))
    top = height if height is not None else float(np.clip(0.45 * half_wide + 0.1 * gap, 0.06, 0.45))
    s, t = np.linspace(-1, 1, 33)[:, None], np.linspace(-1, 1, 17)[None, :]
    waist = 1.0 - 0.35 * np.exp(-((s * half_long / max(0.3 * gap, 1e-3)) ** 2))
    ends, fall = np.sqrt(1 - (0.97 * s) ** 8), np.clip(1 - s**8, 0, 1) ** 0.35
    middle = 0.5 * (start + end) + across * float(np.clip(slide, -0.5, 0.5)) * max(room - 2 * half_wide, 0.0)
    u, v = half_long * s + 0 * t, half_wide * waist * ends * t
    z = PAD_TOP * 0.5 + top * (1 - 0.25 * (1 - s**2)) * fall * np.sqrt(np.clip(1 - t**2, 0, 1))
    frame = PadRect(
        x=float(middle[0]), y=float(middle[1]), w=1, h=1, angle=float(np.degrees(np.arctan2(along[1], along[0])))
    )
    return _raised(u, v, z, frame)


def extent(pad: PadRect, direction: Flat) -> float:
    """Length in mm of a pad along a unit vector of the board's plane."""
    turn = np.radians(pad.angle)
    c, s = float(np.cos(turn)), float(np.sin(turn))
    along = abs(pad.w * (c * float(direction[0]) + s * float(direction[1])))
    return along + abs(pad.h * (c * float(direction[1]) - s * float(direction[0])))


def _grid(half: float) -> Flat:
    """Places from -1 to 1, closer together at the rim, more of them on longer pads."""
    n = int(np.clip(round(5 + 2 * half / 0.05), 11, 29))
    return np.asarray(np.sin(np.linspace(-1, 1, n) * np.pi / 2 * 0.8) / np.sin(np.pi / 2 * 0.8))


@lru_cache(maxsize=512)  # boards repeat their pads
def _pad_surface(a: float, b: float, corner: float) -> tuple[Flat, Flat, Flat, Flat, Flat]:
    """For half sizes a, b: places s [S], t [T] from -1 to 1; x, y [S, T] over the pad in its own frame; and the
    distance to its rim, smooth inside and 0 on the rim."""
    s, t = _grid(a), _grid(b)
    x, y = np.meshgrid(s * a, t * b, indexing="ij")
    r = min(a, b) * float(np.clip(2 * corner, 0.12, 0.98))
    cx, cy = np.clip(x, r - a, a - r), np.clip(y, r - b, b - r)
    dx, dy = x - cx, y - cy
    longer, length = np.maximum(abs(dx), abs(dy)), np.hypot(dx, dy)
    shrink = np.divide(longer, length, out=np.ones_like(length), where=length > 1e-9)  # the corner's square to its disc
    fx, fy = a * (1 - s**2)[:, None] / 2, b * (1 - t**2)[None, :] / 2
    return s, t, cx + dx * shrink, cy + dy * shrink, fx + fy - np.hypot(fx, fy)


class _Wall:
    """Where the terminal touches, in the pad's frame: a convex outline, its foot and top, the way into the body."""

    def __init__(self, outline: Flat, low: float, high: float, inwards: Flat) -> None:
        self.outline, self.low, self.high, self.inwards = outline, low, high, inwards

    def distance(self, x: Flat, y: Flat) -> Flat:
        """Distance to the outline, negative inside."""
        outside = np.full(x.shape, np.inf)  # squared distance to the nearest edge
        inside = np.ones(x.shape, bool)
        for (ax, ay), (bx, by) in zip(self.outline, np.roll(self.outline, -1, 0), strict=True):
            ex, ey, px, py = bx - ax, by - ay, x - ax, y - ay
            t = np.clip((px * ex + py * ey) / max(ex * ex + ey * ey, 1e-12), 0, 1)
            np.minimum(outside, (px - t * ex) ** 2 + (py - t * ey) ** 2, out=outside)
            inside &= ex * py - ey * px >= 0
        near = np.sqrt(outside)
        return np.asarray(np.where(inside, -near, near))


def _contact(pad: PadRect, matrix: Matrix, terminal: Terminal) -> _Wall | None:
    """The part of the terminal that comes within reach of the pad's height; None when none does."""
    c, s = np.cos(np.radians(pad.angle)), np.sin(np.radians(pad.angle))
    world = terminal.corners() @ matrix[:3, :3].T + matrix[:3, 3]
    local = np.array([[c, s], [-s, c]]) @ np.array([world[:, 0] - pad.x, world[:, 1] - pad.y])
    points = np.c_[local.T, world[:, 2]]
    limit = max(PAD_TOP + REACH, 0.0)
    touching = [points[k, :2] for k in range(8) if points[k, 2] <= limit]
    for a, b in _EDGES:
        za, zb = points[a, 2], points[b, 2]
        if (za <= limit) != (zb <= limit):
            touching.append(points[a, :2] + (limit - za) / (zb - za) * (points[b, :2] - points[a, :2]))
    outline = _hull(np.array(touching)) if len(touching) >= 3 else np.zeros((0, 2))
    if len(outline) < 3:
        return None
    origin = np.array([[c, s], [-s, c]]) @ np.array([matrix[0, 3] - pad.x, matrix[1, 3] - pad.y])
    towards = origin - outline.mean(0)
    length = float(np.linalg.norm(towards))
    return _Wall(
        outline,
        float(points[:, 2].min()),
        float(points[:, 2].max()),
        towards / length if length > 1e-6 else np.zeros(2),
    )


def _hull(points: Flat) -> Flat:
    """Convex outline, counter-clockwise, of a handful of points."""
    rows = sorted({(round(float(px), 6), round(float(py), 6)) for px, py in points})
    halves: list[list[tuple[float, float]]] = []
    for order in (rows, rows[::-1]):
        chain: list[tuple[float, float]] = []
        for p in order:
            while len(chain) > 1 and _turn(chain[-2], chain[-1], p) <= 1e-12:
                chain.pop()
            chain.append(p)
        halves.append(chain[:-1])
    return np.array([*halves[0], *halves[1]]).reshape(-1, 2)


def _turn(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> float:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def _climb(x: Flat, y: Flat, rim: Flat, wall: _Wall, volume: float) -> Flat | None:
    """Height above the pad of a joint that wets the terminal; None where the terminal misses the pad."""
    d = wall.distance(x, y)
    if not ((d <= 0) & (rim > 0)).any():
        return None
    rest, tall = max(wall.low - PAD_TOP, 0.0), wall.high - max(wall.low, PAD_TOP)
    good = rest + min(CLIMB, WETTING * tall if tall > 0.3 else 0.95 * tall)
    u = np.clip(rim / np.maximum(rim + d, 1e-4), 0, 1.05)
    u = np.where((d < 0) & (rim > 0), np.maximum(u, 1.0), u)
    if volume <= 1:
        height = (rest + (good - rest) * volume**0.5) * u ** (HOLLOW / volume)
        return np.asarray(np.minimum(height, max(wall.high - PAD_TOP - 0.012, 0.01)))
    more = volume - 1
    over = min(0.3, 0.16 * more * float(np.ptp(wall.outline, axis=0).min() + 0.2))
    top = rest + tall + over
    height = (good + (top - good) * min(1.0, 1.4 * more)) * np.clip(u, 0, 1) ** max(HOLLOW / (1 + 2.6 * more), 0.42)
    return np.asarray(np.minimum(height, _body_side(x, y, wall, rest + tall, over)))


def _body_side(x: Flat, y: Flat, wall: _Wall, ledge: float, over: float) -> Flat:
    """How high a bulge may be: it does not wet the body, so it falls to the terminal's top at the terminal's end."""
    if not wall.inwards.any():  # a terminal in the middle has no such side
        return np.full(x.shape, ledge + over)
    along = wall.outline @ wall.inwards
    depth = (x * wall.inwards[0] + y * wall.inwards[1] - along.max()) / max(float(np.ptp(along)), 1e-6)
    blob = np.clip(-depth / 0.8, 0, 1)
    blob = blob * blob * (3 - 2 * blob)
    sunk = np.maximum((ledge - 0.012) * (1 - 0.8 * depth), 0.02)
    return np.asarray(np.where(depth < 0, ledge - 0.012 + (over + 0.012) * blob, sunk))


def _cushion(pad: PadRect, s: Flat, t: Flat, volume: float) -> Flat:
    """Solder alone on a pad: a low lens, higher on larger pads."""
    top = min(0.16 * min(pad.w, pad.h), 0.22) * volume**0.6
    lens = (1 - np.abs(s) ** 2.4)[:, None] * (1 - np.abs(t) ** 2.4)[None, :]
    return np.asarray(top * np.sqrt(np.clip(lens, 0, 1)) * (0.35 + 0.65 * lens))


def _raised(x: Flat, y: Flat, z: Flat, frame: PadRect) -> Solid:
    """The surface over a grid, walled down to z = 0 and closed below, turned and shifted to where `frame` lies."""
    c, s = np.cos(np.radians(frame.angle)), np.sin(np.radians(frame.angle))
    n, m = x.shape
    points = np.empty((n, m, 3))
    points[..., 0], points[..., 1], points[..., 2] = frame.x + c * x - s * y, frame.y + s * x + c * y, z
    faces, ring = _net(n, m)
    return _closed(points.reshape(-1, 3), _upright(points).reshape(-1, 3), faces, ring)


def _upright(points: Flat) -> Flat:
    """Normals of a surface given on a grid, from the vertices next to each."""
    du, dv = np.empty_like(points), np.empty_like(points)
    du[1:-1], du[0], du[-1] = points[2:] - points[:-2], points[1] - points[0], points[-1] - points[-2]
    dv[:, 1:-1], dv[:, 0], dv[:, -1] = (
        points[:, 2:] - points[:, :-2],
        points[:, 1] - points[:, 0],
        points[:, -1] - points[:, -2],
    )
    (ux, uy, uz), (vx, vy, vz) = np.moveaxis(du, -1, 0), np.moveaxis(dv, -1, 0)
    up = np.stack([uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx], -1)
    up[..., 2] = np.maximum(up[..., 2], 1e-12)
    up /= np.sqrt((up**2).sum(-1, keepdims=True))
    return up


@lru_cache(maxsize=512)
def _net(n: int, m: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """All faces of a closed solid over an n x m grid (its vertices: see `_closed`), and the grid's rim."""
    i = np.arange(n * m).reshape(n, m)
    a, b, e, g = i[:-1, :-1].ravel(), i[1:, :-1].ravel(), i[1:, 1:].ravel(), i[:-1, 1:].ravel()
    ring = np.concatenate([i[:, 0], i[-1, 1:], i[-2::-1, -1], i[0, -2:0:-1]])
    k, start = len(ring), n * m
    here = np.arange(k)
    after = (here + 1) % k
    low, rim, floor, middle = start, start + k, start + 2 * k, np.full(k, start + 3 * k)
    faces = [
        np.stack([a, b, e], 1), np.stack([a, e, g], 1),
        np.stack([low + here, low + after, rim + after], 1), np.stack([low + here, rim + after, rim + here], 1),
        np.stack([middle, floor + after, floor + here], 1),
    ]  # fmt: skip
    return np.concatenate(faces), ring


def _closed(points: Flat, normals: Flat, faces: npt.NDArray[np.int64], ring: npt.NDArray[np.int64]) -> Solid:
    """The surface with a wall under its rim and a floor at z = 0: vertices of the surface, the wall's foot and rim, the
    floor's rim and middle."""
    k = len(ring)
    rim = points[ring]
    foot = rim * np.array([1.0, 1.0, 0.0])
    along = np.roll(rim, -1, 0) - np.roll(rim, 1, 0)
    out = np.stack([along[:, 1], -along[:, 0], np.zeros(k)], 1)
    out /= np.maximum(np.sqrt((out**2).sum(1, keepdims=True)), 1e-12)
    down = np.tile([0.0, 0.0, -1.0], (k + 1, 1))
    return solid(
        np.concatenate([points, foot, rim, foot, foot.mean(0, keepdims=True)]),
        faces,
        np.concatenate([normals, out, out, down]),
    )
