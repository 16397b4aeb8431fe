"""Which mesh stands at the centre of each pixel, how deep, and how much of each thing is hidden: the same for all
engines.

A z-buffer on whole numbers: corners are rounded to 1/1024 pixel and an edge belongs to both of its triangles, so that
a closed surface has no holes, whatever the zoom.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from noescape.board.model import Camera, Mesh
from noescape.board.render.project import check_camera, to_pixels
from noescape.board.render.soup import Soup, soup
from noescape.records import DataError

STEP = 1024  # parts of a pixel
FAR = 1 << 19  # pixels from the picture's corner at which products still fit into 63 bits
CHUNK = 1 << 20  # pairs of triangle and pixel looked at together: about 200 MB
GRAIN = 1e-6  # mm; surfaces nearer to each other than this are at one depth, and the first mesh wins

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Surface:
    """`mesh` [H, W] as in Picture, `face` [H, W] into the soup (-1 where nothing is), `depth` [H, W] mm (NaN there),
    `weights` [H, W, 2] of the face's first two corners, `own` how many pixels each instance would cover alone."""

    mesh: npt.NDArray[np.int32]
    face: npt.NDArray[np.int32]
    depth: npt.NDArray[np.float32]
    weights: npt.NDArray[np.float32]
    own: dict[str, int]


def surface(meshes: Sequence[Mesh], camera: Camera, joined: Soup | None = None) -> Surface:
    """What `camera` sees of `meshes` at its pixels' centres; about 0.5 CPU-s at 512 x 512.

    DataError if a mesh reaches up to the camera, or lies more than half a million pixels away.
    """
    check_camera(camera)
    joined = joined or soup(meshes)
    width, height = camera.resolution
    if len(joined.points) and joined.points[:, 2].max() >= camera.z:
        raise DataError(f"the camera at z = {camera.z:g} mm is not above all parts ({joined.points[:, 2].max():g} mm)")
    places, down = to_pixels(camera, joined.points)
    if len(places) and np.abs(places).max() >= FAR:
        raise DataError(f"the scene reaches over {FAR} pixels from the picture: give the camera a larger field")
    corners = np.rint(places * STEP).astype(np.int64)[joined.faces]  # [M, 3, 2]
    nearest = np.full(width * height, np.inf)
    face = np.full(width * height, -1, np.int32)
    weights = np.zeros((width * height, 2), np.float32)
    names = {name: at for at, name in enumerate(dict.fromkeys(mesh.instance for mesh in meshes))}
    of_mesh = np.array([names[mesh.instance] for mesh in meshes], np.int64)
    of_face = of_mesh[joined.mesh_of_face] if len(meshes) else np.zeros(0, np.int64)
    covered: list[Ints] = []
    for faces, pixels, first, second in _hits(corners, width, height):
        depth = _depth(down[joined.faces[faces]], first, second, camera.projection == "perspective")
        covered.append(_distinct(of_face[faces] * (width * height) + pixels))
        near = depth < nearest[pixels]
        faces, pixels, depth = faces[near], pixels[near], depth[near]
        np.minimum.at(nearest, pixels, depth)
        won = np.flatnonzero(depth == nearest[pixels])[::-1]  # the last written stays: of equals the first face
        face[pixels[won]] = faces[won]
        weights[pixels[won]] = np.stack([first[near][won], second[near][won]], axis=1)
    own: Ints = np.zeros(0, np.int64)
    if covered:
        own = np.bincount(_distinct(np.concatenate(covered)) // (width * height), minlength=len(names))
    shape = (height, width)
    mesh = np.where(face >= 0, joined.mesh_of_face[face] + 1, 0) if len(joined.faces) else np.zeros(width * height)
    return Surface(
        mesh=mesh.astype(np.int32).reshape(shape),
        face=face.reshape(shape),
        depth=np.where(face >= 0, nearest, np.nan).astype(np.float32).reshape(shape),
        weights=weights.reshape(*shape, 2),
        own={name: int(count) for name, count in zip(names, own, strict=bool(covered))},
    )


def _hits(corners: Ints, width: int, height: int) -> Iterator[tuple[Ints, Ints, Floats, Floats]]:
    """Faces and pixels whose centres they cover, in the order of the faces, with the weights of two corners.

    Row by row: where a row of centres lies within a triangle follows from one division per edge, so that long thin
    triangles cost no more than what they cover.
    """
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    area = _cross(b - a, c - a)
    top = np.maximum(-((STEP // 2 - corners[..., 1].min(axis=1)) // STEP), 0)  # the first centre at or below a corner
    bottom = np.minimum((corners[..., 1].max(axis=1) - STEP // 2) // STEP, height - 1)
    aside = (corners[..., 0].max(axis=1) < STEP // 2) | (corners[..., 0].min(axis=1) > width * STEP - STEP // 2)
    tall = np.where((area != 0) & ~aside, np.maximum(bottom - top + 1, 0), 0)
    for some in _portions(np.flatnonzero(tall), tall):
        faces = np.repeat(some, tall[some])
        rows = top[faces] + _counted(tall[some])
        left, right = np.zeros(len(faces), np.int64), np.full(len(faces), width - 1)
        for start, end in ((b, c), (c, a), (a, b)):
            value, slope = _along(start[faces], end[faces], rows, area[faces])
            with np.errstate(divide="ignore"):
                left = np.where(slope > 0, np.maximum(left, -(value // np.where(slope > 0, slope, 1))), left)
                right = np.where(slope < 0, np.minimum(right, value // np.where(slope < 0, -slope, 1)), right)
            right = np.where((slope == 0) & (value < 0), -1, right)
        wide = np.maximum(right - left + 1, 0)
        for part in _portions(np.flatnonzero(wide), wide):
            each = np.repeat(part, wide[part])
            columns = left[each] + _counted(wide[part])
            yield _weighed(corners, area, faces[each], rows[each], columns, width)


def _along(start: Ints, end: Ints, rows: Ints, area: Ints) -> tuple[Ints, Ints]:
    """How far inside of an edge the first centre of a row is, and what each column further adds."""
    turn = np.sign(area)
    edge = end - start
    from_start = np.stack([np.full(len(rows), STEP // 2), rows * STEP + STEP // 2], axis=1) - start
    return _cross(edge, from_start) * turn, -edge[:, 1] * STEP * turn


def _weighed(
    corners: Ints, area: Ints, faces: Ints, rows: Ints, columns: Ints, width: int
) -> tuple[Ints, Ints, Floats, Floats]:
    a, b, c = corners[faces, 0], corners[faces, 1], corners[faces, 2]
    centre = np.stack([columns, rows], axis=1) * STEP + STEP // 2
    whole = area[faces].astype(np.float64)
    return faces, rows * width + columns, _cross(c - b, centre - b) / whole, _cross(a - c, centre - c) / whole


def _portions(places: Ints, counts: Ints) -> Iterator[Ints]:
    """`places` in turns of about `CHUNK` of their `counts` together."""
    ends = np.cumsum(counts[places])
    start = 0
    while start < len(places):
        before = int(ends[start - 1]) if start else 0
        stop = max(int(np.searchsorted(ends, before + CHUNK, side="right")), start + 1)
        yield places[start:stop]
        start = stop


def _counted(counts: Ints) -> Ints:
    """0, 1 … for each of the counts: [2, 3] -> 0 1 0 1 2."""
    return np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)


def _depth(down: Floats, first: Floats, second: Floats, perspective: bool) -> Floats:
    third = 1.0 - first - second
    if perspective:
        depth = 1.0 / (first / down[:, 0] + second / down[:, 1] + third / down[:, 2])
    else:
        depth = first * down[:, 0] + second * down[:, 1] + third * down[:, 2]
    return np.asarray(np.rint(depth / GRAIN) * GRAIN)


def _distinct(values: Ints) -> Ints:
    """The values that occur, sorted; ten times as fast here as a table of them."""
    ordered = np.sort(values)
    return ordered[np.append(True, ordered[1:] != ordered[:-1])] if len(ordered) else ordered


def _cross(u: Ints, v: Ints) -> Ints:
    return np.asarray(u[..., 0] * v[..., 1] - u[..., 1] * v[..., 0])
