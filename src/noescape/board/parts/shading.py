"""Normals for meshes that came without: smooth over flat angles, sharp over edges."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Flat = npt.NDArray[np.float64]


def creased(points: Flat, faces: npt.NDArray[np.int64], crease: float) -> tuple[Flat, npt.NDArray[Any], Flat]:
    """Points, faces and normals with three own vertices per triangle.

    A corner's normal is the mean of the faces round its point (weighted by area) that lean from its own face by less
    than `crease` radians; 0 gives flat faces. Points are the same when their indices are.
    """
    a, b, c = (points[faces[:, k]] for k in range(3))
    area = np.cross(b - a, c - a)
    length = np.linalg.norm(area, axis=1, keepdims=True)
    flat = area / np.maximum(length, 1e-30)
    normals = np.repeat(flat, 3, axis=0)
    if crease > 1e-3:
        normals = _smooth(faces.ravel(), area, flat, float(np.cos(min(crease, np.pi))))
    corners = points[faces.ravel()]
    return corners, np.arange(len(corners)).reshape(-1, 3), normals


def _smooth(vertex: npt.NDArray[np.int64], area: Flat, flat: Flat, limit: float) -> Flat:
    """Pairs every corner with all corners at its point, and adds up those within the limit. At most 64 per corner."""
    order = np.argsort(vertex, kind="stable")
    _, start, count = np.unique(vertex[order], return_index=True, return_counts=True)
    count = np.minimum(count, 64)
    out = np.repeat(flat, 3, axis=0)
    for size in np.unique(count):
        group = order[start[count == size][:, None] + np.arange(size)]  # [points, corners at the point]
        own, weight = flat[group // 3], area[group // 3]
        near = (own @ own.transpose(0, 2, 1)) > limit
        total = near.astype(np.float64) @ weight
        norm = np.linalg.norm(total, axis=-1, keepdims=True)
        out[group] = np.where(norm > 1e-12, total / np.maximum(norm, 1e-12), own)
    return out
