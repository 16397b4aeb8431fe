"""Do labels and pixels agree: the scene's triangles through the camera, against the numbered mask of a frame.

A second way to the masks, next to the renderer's: each triangle's pixel centres and heights, the highest one is seen.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from noescape.board.crop.frames import Frame
from noescape.board.crop.instances import Instances
from noescape.board.model import Camera, Mesh, Points
from noescape.records import DataError

Float = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Of one instance: intersection over union of projected and rendered pixels, and the number of rendered ones."""

    iou: float
    area: int


def project(points: Points | Float, camera: Camera) -> Float:
    """Picture coordinates [N, 2] in pixels (x right, y down, the first pixel spans 0..1) of points [N, 3] in mm."""
    turn = np.deg2rad(camera.yaw)
    right, up = np.array([np.cos(turn), np.sin(turn)]), np.array([-np.sin(turn), np.cos(turn)])
    flat = np.asarray(points, np.float64)
    away = flat[:, :2] - [camera.x, camera.y]
    if camera.projection == "perspective":
        away = away * ((camera.z - camera.focus_z) / (camera.z - flat[:, 2]))[:, None]
    (wide, high), (columns, rows) = camera.field, camera.resolution
    return np.stack([(away @ right / wide + 0.5) * columns, (0.5 - away @ up / high) * rows], axis=1)


def agreement(frame: Frame, meshes: Iterable[Mesh], *, only: Collection[str] | None = None) -> dict[str, Agreement]:
    """By path of each instance that the frame shows (or those in `only`): how well its pixels are where the scene says.

    `meshes` are those that were rendered, moved parts in their moved places. DataError where the frame has no camera or
    its size is another. About 40 us per triangle that covers a pixel's centre; pixels that others cover are left to
    them on both sides.
    """
    if frame.facts.camera is None:
        raise DataError(f"{frame.folder}: metadata.json names no camera for {frame.cell}")
    return agree(frame.instances(), frame.facts.camera, list(meshes), only=only)


def agree(
    instances: Instances, camera: Camera, meshes: Sequence[Mesh], *, only: Collection[str] | None = None
) -> dict[str, Agreement]:
    """As `agreement`, for masks in memory."""
    if instances.ids.shape != camera.resolution[::-1]:
        size = "x".join(map(str, instances.ids.shape[::-1]))
        raise DataError(f"the mask is {size}, the camera {camera.resolution[0]}x{camera.resolution[1]}")
    owners: dict[str, int] = {}
    for mesh in meshes:
        owners.setdefault(mesh.instance, len(owners) + 1)
    wanted = {path: one for path, one in sorted(instances.by_path.items()) if only is None or path in only}
    seen = _topmost(_triangles(meshes, camera, owners), instances.ids.shape)
    out = {}
    for path, one in wanted.items():
        predicted, observed = seen == owners.get(path, -1), instances.ids == one.number
        both, either = int(np.count_nonzero(predicted & observed)), int(np.count_nonzero(predicted | observed))
        out[path] = Agreement(iou=both / max(1, either), area=one.area)
    return out


@dataclass(frozen=True, kw_only=True, eq=False)
class _Triangles:
    """All that have an area: corners [M, 3, 2] in pixels, their heights [M, 3] in mm, boxes [M, 4], owner [M]."""

    corners: Float
    heights: Float
    boxes: Float
    owner: npt.NDArray[np.int64]


def _triangles(meshes: Sequence[Mesh], camera: Camera, owners: dict[str, int]) -> _Triangles:
    corners, heights, owner = [np.zeros((0, 3, 2))], [np.zeros((0, 3))], [np.zeros(0, np.int64)]
    for mesh in meshes:
        corners.append(project(mesh.points, camera)[mesh.faces])
        heights.append(mesh.points[:, 2].astype(np.float64)[mesh.faces])
        owner.append(np.full(len(mesh.faces), owners[mesh.instance], np.int64))
    every = np.concatenate(corners)
    solid = np.abs(_cross(every[:, 1] - every[:, 0], every[:, 2] - every[:, 0])) > 1e-9  # walls are lines from above
    every = every[solid]
    return _Triangles(
        corners=every,
        heights=np.concatenate(heights)[solid],
        boxes=np.concatenate([every.min(axis=1), every.max(axis=1)], axis=1),
        owner=np.concatenate(owner)[solid],
    )


def _cross(a: Float, b: Float) -> Float:
    return np.asarray(a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0])


def _topmost(shapes: _Triangles, shape: tuple[int, ...]) -> npt.NDArray[np.int32]:
    """The owner of the highest thing at the centre of each pixel, 0 for none."""
    height = np.full(shape, -np.inf)
    seen = np.zeros(shape, np.int32)
    low = np.maximum(np.ceil(shapes.boxes[:, :2] - 0.5), 0).astype(np.int64)
    high = np.minimum(np.floor(shapes.boxes[:, 2:] - 0.5) + 1, shape[::-1]).astype(np.int64)
    for place in np.flatnonzero((low < high).all(axis=1)):
        (x0, y0), (x1, y1) = low[place], high[place]
        a, b, c = shapes.corners[place]
        x, y = np.arange(x0, x1) + 0.5, (np.arange(y0, y1) + 0.5)[:, None]
        whole = float(_cross(b - a, c - a))
        share_b = ((x - a[0]) * (c[1] - a[1]) - (y - a[1]) * (c[0] - a[0])) / whole
        share_c = ((b[0] - a[0]) * (y - a[1]) - (b[1] - a[1]) * (x - a[0])) / whole
        za, zb, zc = shapes.heights[place]
        z = za + share_b * (zb - za) + share_c * (zc - za)
        over = (share_b >= 0) & (share_c >= 0) & (share_b + share_c <= 1) & (z > height[y0:y1, x0:x1])
        height[y0:y1, x0:x1][over] = z[over]
        seen[y0:y1, x0:x1][over] = shapes.owner[place]
    return seen


def centre(instances: Instances, number: int) -> tuple[float, float] | None:
    """The middle (x, y) in pixels of what is seen of an instance; None if nothing is."""
    ys, xs = np.nonzero(instances.ids == number)
    return (float(xs.mean()) + 0.5, float(ys.mean()) + 0.5) if len(xs) else None


def on_board(pixels: tuple[float, float], camera: Camera) -> tuple[float, float]:
    """A way of (x right, y down) pixels as mm along the board's x and y, at the height in focus."""
    turn = np.deg2rad(camera.yaw)
    right = pixels[0] * camera.field[0] / camera.resolution[0]
    up = -pixels[1] * camera.field[1] / camera.resolution[1]
    return (
        float(right * np.cos(turn) - up * np.sin(turn)),
        float(right * np.sin(turn) + up * np.cos(turn)),
    )
