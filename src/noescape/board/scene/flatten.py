"""Polygons with values on faces, points or corners, as USD has them, made triangles with values on points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from noescape.board.scene.needs import not_installed
from noescape.records import DataError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Triangles:
    """points [N, 3], faces [M, 3], the polygon each triangle came from [M]; normals and uvs per point, or None."""

    points: Floats
    faces: Ints
    polygon: Ints
    normals: Floats | None = None
    uvs: Floats | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Varying:
    """Values with one row per point, per corner (face-varying), per face (uniform), or one for all (constant)."""

    values: Floats
    per: str


def flatten(
    name: str,
    points: Floats,
    counts: Ints,
    indices: Ints,
    *,
    normals: Varying | None = None,
    uvs: Varying | None = None,
    holes: Ints | None = None,
) -> Triangles:
    """Triangles of polygons. Corners get points of their own only where normals or uvs differ from corner to corner.

    Polygons with under 3 corners and `holes` are left out; convex ones become fans, others are cut by ear clipping.
    DataError, naming the prim `name`, where numbers do not fit each other or are not finite.
    """
    _check(name, points, counts, indices)
    normals = _fitting(name, "normals", normals, points, counts, indices)
    uvs = _fitting(name, "texture coordinates", uvs, points, counts, indices)
    if any(v is not None and v.per == "corner" for v in (normals, uvs)):
        normals = _at_corners(normals, indices)
        uvs = _at_corners(uvs, indices)
        points, indices = points[indices], np.arange(len(indices))
    faces, polygon = _triangles(points, counts, indices, holes)
    return Triangles(
        points=points,
        faces=faces,
        polygon=polygon,
        normals=None if normals is None else normals.values,
        uvs=None if uvs is None else uvs.values,
    )


def _check(name: str, points: Floats, counts: Ints, indices: Ints) -> None:
    if points.ndim != 2 or points.shape[1] != 3 or not np.isfinite(points).all():
        raise DataError(f"{name}: points must be finite numbers in threes")
    if len(counts) and (counts.min() < 0 or counts.max() > len(indices)):
        raise DataError(f"{name}: a face has {int(counts.min())}..{int(counts.max())} corners of {len(indices)}")
    if int(counts.sum()) != len(indices):
        raise DataError(f"{name}: its faces speak of {int(counts.sum())} corners, {len(indices)} are there")
    if len(indices) and (indices.min() < 0 or indices.max() >= len(points)):
        raise DataError(
            f"{name}: a face uses the point {int(indices.min())}..{int(indices.max())}, there are {len(points)}"
        )


def _fitting(
    name: str, what: str, found: Varying | None, points: Floats, counts: Ints, indices: Ints
) -> Varying | None:
    """Per point or per corner; None where flat shading says the same (values per face)."""
    if found is None or not len(found.values):
        return None
    if not np.isfinite(found.values).all():
        raise DataError(f"{name}: {what} are not all finite numbers")
    expected = {"point": len(points), "corner": len(indices), "face": len(counts), "constant": 1}
    if expected.get(found.per) != len(found.values):
        raise DataError(f"{name}: {len(found.values)} {what} per {found.per}, expected {expected.get(found.per)}")
    if found.per == "face":
        if what == "normals":
            return None
        return Varying(values=np.repeat(found.values, counts, axis=0), per="corner")
    if found.per == "constant":
        return Varying(values=np.repeat(found.values, len(points), axis=0), per="point")
    return found


def _at_corners(found: Varying | None, indices: Ints) -> Varying | None:
    if found is None or found.per == "corner":
        return found
    return Varying(values=found.values[indices], per="corner")


def _triangles(points: Floats, counts: Ints, indices: Ints, holes: Ints | None) -> tuple[Ints, Ints]:
    start = np.concatenate([[0], np.cumsum(counts)[:-1]]) if len(counts) else np.zeros(0, np.int64)
    keep = counts >= 3
    if holes is not None and len(holes):
        keep[holes[(holes >= 0) & (holes < len(counts))]] = False
    faces: list[Ints] = []
    origin: list[Ints] = []
    for corners in np.unique(counts[keep]):
        which = np.flatnonzero(keep & (counts == corners))
        polygons = indices[start[which][:, None] + np.arange(corners)]
        if corners == 3:
            faces.append(polygons)
            origin.append(which)
            continue
        round_ = _convex(points, polygons)
        fan = polygons[round_]
        steps = np.arange(1, corners - 1)
        cut = np.stack([np.broadcast_to(fan[:, :1], (len(fan), corners - 2)), fan[:, steps], fan[:, steps + 1]], axis=2)
        faces.append(cut.reshape(-1, 3))
        origin.append(np.repeat(which[round_], corners - 2))
        for polygon, place in zip(polygons[~round_], which[~round_]):
            ears = _ears(points, polygon)
            faces.append(ears)
            origin.append(np.full(len(ears), place))
    if not faces:
        return np.zeros((0, 3), np.int64), np.zeros(0, np.int64)
    all_faces, all_origins = np.concatenate(faces), np.concatenate(origin)
    order = np.argsort(all_origins, kind="stable")
    return all_faces[order].astype(np.int64), all_origins[order].astype(np.int64)


def _convex(points: Floats, polygons: Ints) -> npt.NDArray[np.bool_]:
    """Which polygons [K, n] turn one way at every corner."""
    at = points[polygons]
    side = np.roll(at, -1, axis=1) - at
    turn = np.cross(side, np.roll(side, -1, axis=1))
    area = turn.sum(axis=1, keepdims=True)
    scale = np.linalg.norm(side, axis=2).max(axis=1) ** 4 * 1e-9
    out: npt.NDArray[np.bool_] = ((turn * area).sum(axis=2) >= -scale[:, None]).all(axis=1)
    return out & _winds_once(side, area[:, 0])


def _winds_once(side: Floats, normal: Floats) -> npt.NDArray[np.bool_]:
    """A star turns one way at every corner, too, but more than once round; told by the angle it turns in all."""
    length = np.linalg.norm(normal, axis=1, keepdims=True)
    up = normal / np.where(length > 0, length, 1)
    after = np.roll(side, -1, axis=1)
    sine = (np.cross(side, after) * up[:, None]).sum(axis=2)
    cosine = (side * after).sum(axis=2)
    out: npt.NDArray[np.bool_] = np.abs(np.arctan2(sine, cosine).sum(axis=1)) < 3 * np.pi
    return out


def _ears(points: Floats, polygon: Ints) -> Ints:
    """One polygon cut into triangles in its own plane."""
    try:
        import mapbox_earcut
    except ImportError:
        raise not_installed("mapbox-earcut", "A face that is not convex") from None
    at = points[polygon]
    nxt = np.roll(at, -1, axis=0)
    normal = np.cross(at, nxt).sum(axis=0)
    drop = int(np.abs(normal).argmax())
    flat = np.delete(at, drop, axis=1)
    cut = np.asarray(
        mapbox_earcut.triangulate_float64(np.ascontiguousarray(flat), np.array([len(flat)], np.uint32)), np.int64
    ).reshape(-1, 3)
    triangles = polygon[cut]
    corners = points[triangles]
    facing = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]) @ normal
    triangles[facing < 0] = triangles[facing < 0][:, ::-1]
    return triangles
