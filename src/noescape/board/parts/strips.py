"""Bent strips of sheet metal: gull-wing leads, tabs, legs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from noescape.board.parts.model import Solid
from noescape.board.parts.solids import Flat, solid


def bent(corners: Sequence[tuple[float, float]], radius: float, steps: int = 3) -> Flat:
    """A polyline in a plane, its inner corners rounded with up to `radius`; [N, 2]."""
    path = [np.array(corners[0], float)]
    for before, here, after in zip(corners[:-2], corners[1:-1], corners[2:], strict=True):
        p, c, q = np.array(before, float), np.array(here, float), np.array(after, float)
        back, on = (p - c) / np.linalg.norm(p - c), (q - c) / np.linalg.norm(q - c)
        half = np.arccos(np.clip(back @ on, -1, 1)) / 2
        if half > 0.49 * np.pi:
            path.append(c)
            continue
        reach = min(radius / np.tan(half), 0.49 * float(np.linalg.norm(p - c)), 0.49 * float(np.linalg.norm(q - c)))
        # A parabola through both ends stands in for the arc: a bent lead is no better circle than that.
        for t in np.linspace(0, 1, steps + 1):
            path.append((1 - t) ** 2 * (c + reach * back) + 2 * t * (1 - t) * c + t**2 * (c + reach * on))
    return np.array([*path, np.array(corners[-1], float)])


def strip(path: Flat, width: float, thickness: float) -> Solid:
    """Sheet metal that runs along `path` [N, 2] in the plane (x, z), `width` along y about y = 0, sharp-edged."""
    n = len(path)
    along = np.gradient(path, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    above = np.stack([-along[:, 1], along[:, 0]], 1)
    top, bottom = path + above * thickness / 2, path - above * thickness / 2
    half = width / 2
    rows = [  # each a long face: its left edge, its right edge, its normals
        (_at(top, -half), _at(top, half), _flat(above)),
        (_at(bottom, half), _at(bottom, -half), _flat(-above)),
        (_at(bottom, -half), _at(top, -half), np.tile([0.0, -1.0, 0.0], (n, 1))),
        (_at(top, half), _at(bottom, half), np.tile([0.0, 1.0, 0.0], (n, 1))),
    ]
    points, normals, faces, start = [], [], [], 0
    i = np.arange(n - 1)
    for left, right, normal in rows:
        points += [left, right]
        normals += [normal, normal]
        a, b, c, d = start + i, start + i + 1, start + n + i + 1, start + n + i
        faces += [np.stack([a, b, c], 1), np.stack([a, c, d], 1)]
        start += 2 * n
    for k, sign in ((0, -1.0), (n - 1, 1.0)):
        points.append(np.concatenate([_at(e[k : k + 1], y) for e in (bottom, top) for y in (-half, half)]))
        normals.append(np.tile(sign * _flat(along[k : k + 1]), (4, 1)))
        quad = np.array([[0, 1, 3], [0, 3, 2]]) + start
        faces.append(quad if sign > 0 else quad[:, ::-1])
        start += 4
    return solid(np.concatenate(points), np.concatenate(faces), np.concatenate(normals))


def gull(
    *, foot_end: float, foot: float, root: float, root_z: float, width: float, thickness: float, z0: float
) -> Solid:
    """A gull-wing lead towards +x: out of the body at x = `root`, height `root_z`, down, and flat on `z0` for `foot`
    mm, ending at x = `foot_end`."""
    low, heel = z0 + thickness / 2, foot_end - foot
    knee = min(root + 0.35 * max(heel - root, 0.0) + 0.25 * thickness, heel - 0.05)
    if heel - root < 0.12:  # no room for a knee: straight down from the wall
        knee = root + 0.01
        heel = max(heel, knee + 0.04)
    path = bent([(root - 0.05, root_z), (knee, root_z), (heel, low), (foot_end, low)], 1.2 * thickness)
    return strip(path, width, thickness)


def _at(flat: Flat, y: float) -> Flat:
    return np.stack([flat[:, 0], np.full(len(flat), y), flat[:, 1]], 1)


def _flat(vectors: Flat) -> Flat:
    return np.stack([vectors[:, 0], np.zeros(len(vectors)), vectors[:, 1]], 1)
