"""What must hold of any solid: closed, outward, whole numbers in range, unit normals on the right side."""

from __future__ import annotations

from typing import Any

import numpy as np


def open_edges(item: Any) -> int:
    """Edges that do not meet exactly one neighbour running the other way, points welded at a hundredth of a micron."""
    _, weld = np.unique(np.round(item.points.astype(np.float64), 5), axis=0, return_inverse=True)
    faces = weld.reshape(-1)[item.faces]
    apart = (faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 0] != faces[:, 2])
    edges = np.concatenate([faces[apart][:, pair] for pair in ([0, 1], [1, 2], [2, 0])])
    size = int(weld.max()) + 1
    there, back = edges[:, 0] * size + edges[:, 1], edges[:, 1] * size + edges[:, 0]
    one, count_one = np.unique(there, return_counts=True)
    other, count_other = np.unique(back, return_counts=True)
    if len(one) == len(other) and (one == other).all():
        return int((count_one != count_other).sum())
    return len(np.setxor1d(one, other))


def volume(item: Any) -> float:
    """Signed volume: above 0 when faces wind outwards."""
    a, b, c = (item.points.astype(np.float64)[item.faces[:, k]] for k in range(3))
    return float(np.einsum("ij,ij->", a, np.cross(b, c)) / 6)


def sound(item: Any) -> None:
    """Types, ranges and normals of a mesh; not whether it is closed."""
    assert item.points.dtype == np.float32 and item.faces.dtype == np.int32
    assert item.points.shape[1] == item.faces.shape[1] == 3 and len(item.faces)
    assert np.isfinite(item.points).all()
    assert item.faces.min() >= 0 and item.faces.max() < len(item.points)
    if item.normals is not None:
        assert item.normals.shape == item.points.shape and item.normals.dtype == np.float32
        assert np.allclose(np.linalg.norm(item.normals, axis=1), 1, atol=1e-3)


def wrong_way(item: Any) -> float:
    """Share of the area whose vertex normals point away from its faces' own side."""
    a, b, c = (item.points.astype(np.float64)[item.faces[:, k]] for k in range(3))
    flat = np.cross(b - a, c - a)
    area = np.linalg.norm(flat, axis=1)
    against = (flat * item.normals[item.faces].mean(1)).sum(1) < 0
    return float(area[against].sum() / area.sum())
