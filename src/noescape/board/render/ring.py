"""A ring of light as triangles."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from noescape.board.model import Ring

SEGMENTS = 128


def ring_strip(light: Ring) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]:
    """Points and faces of a strip round the axis; its faces look at (x, y, 0)."""
    turn = np.linspace(0, 2 * np.pi, SEGMENTS, endpoint=False)
    out, up = np.array([light.z, -light.radius]) / np.hypot(light.radius, light.z) * light.width / 2
    rims = []
    for side in (-1.0, 1.0):
        radius, height = light.radius + side * out, np.full(SEGMENTS, light.z + side * up)
        rims.append(np.stack([light.x + radius * np.cos(turn), light.y + radius * np.sin(turn), height], axis=1))
    here = np.arange(SEGMENTS)
    after = (here + 1) % SEGMENTS
    upper, lower = np.stack([here, after, here + SEGMENTS], 1), np.stack([after, after + SEGMENTS, here + SEGMENTS], 1)
    points = np.concatenate(rims)
    faces = np.concatenate([upper, lower])
    a, b, c = points[faces[0]]
    if np.dot(np.cross(b - a, c - a), np.array([light.x, light.y, 0.0]) - a) < 0:
        faces = faces[:, ::-1]
    return points.astype(np.float32), np.ascontiguousarray(faces, np.int32)
