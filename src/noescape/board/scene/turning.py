"""Rigid motions as 4 x 4 matrices for row vectors, in mm and degrees."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from noescape.board.scene.things import Frame

Vec = npt.NDArray[np.float64]
UP = np.array([0.0, 0.0, 1.0])


def moved(by: Vec) -> Frame:
    """A shift."""
    out = np.eye(4)
    out[3, :3] = by
    return out


def turned_about(pivot: Vec, axis: Vec, degrees: float) -> Frame:
    """A turn round the line through `pivot` along `axis`, counter-clockwise seen against the axis (Rodrigues)."""
    a = axis / np.linalg.norm(axis)
    angle = np.radians(degrees)
    cross = np.array([[0, -a[2], a[1]], [a[2], 0, -a[0]], [-a[1], a[0], 0]])
    column = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    out = np.eye(4)
    out[:3, :3] = column.T
    out[3, :3] = pivot - pivot @ column.T
    return out


def applied(points: npt.NDArray[Any], matrix: Frame) -> Vec:
    """Points [N, 3] moved."""
    out: Vec = points.astype(np.float64) @ matrix[:3, :3] + matrix[3, :3]
    return out
