"""Where a point of the world lies in a camera's picture."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from noescape.board.model import Camera
from noescape.records import UsageError

Floats = npt.NDArray[np.float64]


def check_camera(camera: Camera) -> None:
    """UsageError for a camera that no engine can render: no pixels, no field, pixels that are not square."""
    width, height = camera.resolution
    if width < 1 or height < 1 or width > 32767 or height > 32767:
        raise UsageError(f"a camera's resolution must be 1 to 32767 pixels each way, got {width} x {height}")
    if not all(math.isfinite(v) for v in (camera.x, camera.y, camera.z, camera.focus_z, *camera.field)):
        raise UsageError(f"a camera needs finite numbers, got {camera}")
    if min(camera.field) <= 0:
        raise UsageError(f"a camera's field must be wider than nothing, got {camera.field[0]} x {camera.field[1]} mm")
    wide, high = camera.field[0] / width, camera.field[1] / height
    if abs(wide / high - 1) > 0.01:
        raise UsageError(f"pixels must be square, got {wide:.5g} x {high:.5g} mm: give field and resolution one shape")
    if camera.projection == "perspective" and camera.z <= camera.focus_z:
        raise UsageError(f"a camera at z = {camera.z} mm must stand above what it looks at (z = {camera.focus_z} mm)")


def axes(camera: Camera) -> tuple[tuple[float, float], tuple[float, float]]:
    """The directions in the board's plane of the picture's right and of its top; exact for quarter turns."""
    right = {0: (1.0, 0.0), 90: (0.0, 1.0), 180: (-1.0, 0.0), 270: (0.0, -1.0)}[camera.yaw]
    return right, (-right[1], right[0])


def to_pixels(camera: Camera, points: npt.NDArray[np.floating]) -> tuple[Floats, Floats]:
    """Places [N, 2] (x, y) in the picture of points [N, 3], and how far below the camera they are [N] mm.

    The centre of the first pixel is at (0.5, 0.5). Points must lie below a perspective camera.
    """
    (rx, ry), (ux, uy) = axes(camera)
    x, y = points[:, 0].astype(np.float64) - camera.x, points[:, 1].astype(np.float64) - camera.y
    down = camera.z - points[:, 2].astype(np.float64)
    scale = (camera.z - camera.focus_z) / down if camera.projection == "perspective" else np.float64(1)
    width, height = camera.resolution
    column = (0.5 + (x * rx + y * ry) * scale / camera.field[0]) * width
    row = (0.5 - (x * ux + y * uy) * scale / camera.field[1]) * height
    return np.stack([column, row], axis=1), down


def to_world(camera: Camera, columns: Floats, rows: Floats, down: Floats) -> Floats:
    """The points [N, 3] that lie `down` mm below the camera at these places of its picture."""
    (rx, ry), (ux, uy) = axes(camera)
    scale = down / (camera.z - camera.focus_z) if camera.projection == "perspective" else np.float64(1)
    right = (columns / camera.resolution[0] - 0.5) * camera.field[0] * scale
    up = (0.5 - rows / camera.resolution[1]) * camera.field[1] * scale
    return np.stack([camera.x + right * rx + up * ux, camera.y + right * ry + up * uy, camera.z - down], axis=1)
