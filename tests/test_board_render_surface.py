"""Which mesh is at a pixel's centre: exact, without holes, the same for every engine."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from board_meshes import GREY, board, box, camera, drop
from noescape.board.model import Camera, Mesh
from noescape.board.render import surface as room
from noescape.board.render.project import to_pixels, to_world
from noescape.board.render.soup import check_meshes, soup
from noescape.board.render.surface import surface
from noescape.records import DataError, UsageError

VIEWS = [(projection, yaw, (60, 40)) for projection in ("orthographic", "perspective") for yaw in (0, 90, 180, 270)]


def _cast(meshes: tuple[Mesh, ...], view: Camera) -> tuple[np.ndarray, np.ndarray]:
    """The textbook: every ray against every triangle (Moeller and Trumbore), the nearest wins."""
    width, height = view.resolution
    columns, rows = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    ends = to_world(view, columns.ravel(), rows.ravel(), np.full(width * height, view.z + 5.0))
    eye = np.array([view.x, view.y, view.z])
    starts = (
        np.broadcast_to(eye, ends.shape) if view.projection == "perspective" else ends + np.array([0, 0, view.z + 5])
    )
    rays = ends - starts
    best, mesh_at = np.full(len(rays), np.inf), np.zeros(len(rays), int)
    for number, mesh in enumerate(meshes, 1):
        for a, b, c in mesh.points[mesh.faces].astype(float):
            p = np.cross(rays, c - a)
            scale = p @ (b - a)
            with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                u = ((starts - a) * p).sum(1) / scale
                q = np.cross(starts - a, b - a)
                v = (rays * q).sum(1) / scale
                t = (q @ (c - a)) / scale
                inside = (u >= 0) & (v >= 0) & (u + v <= 1)
            hit = (np.abs(scale) > 1e-12) & inside & (t > 0) & (t < best - 1e-9)
            best[hit], mesh_at[hit] = t[hit], number
    return mesh_at.reshape(height, width), best.reshape(height, width) * (view.z + 5.0)


def _rubble(seed: int) -> tuple[Mesh, ...]:
    rng = np.random.default_rng(seed)
    out = []
    for at in range(12):
        points = np.column_stack([rng.uniform(-5, 5, (9, 2)), rng.uniform(-1, 3, 9)]).astype(np.float32)
        faces = rng.permuted(np.tile(np.arange(9, dtype=np.int32), (4, 1)), axis=1)[:, :3]
        out.append(Mesh(path=f"/M{at}", instance=f"/I{at % 5}", points=points, faces=faces, material=GREY))
    return tuple(out)


@pytest.mark.parametrize(("projection", "yaw", "pixels"), VIEWS)
def test_ids_and_depth_are_those_of_the_textbook_ray_cast(projection: str, yaw: int, pixels: tuple[int, int]) -> None:
    """Any triangles, seen from any quarter turn: pixels may differ only where a ray grazes an edge."""
    view = camera(pixels, x=0.3, y=-0.2, yaw=yaw, projection=projection, z=12.0)
    coarse = (*board()[:-1], drop("/Joint", -3.2, 0.0, 0.8, 0.6, count=7))
    for meshes in (_rubble(1), _rubble(2), coarse):
        wanted, depth = _cast(meshes, view)
        found = surface(meshes, view)
        same = found.mesh == wanted
        assert same.mean() > 0.996, (~same).sum()
        seen = same & (wanted > 0)
        assert np.quantile(np.abs(found.depth[seen] - depth[seen]), 0.99) < 1e-3  # corners are on 1/1024 px
        assert (np.isnan(found.depth) == (found.mesh == 0)).all()


@pytest.mark.parametrize("wide", [9.0, 0.02, 900.0])
def test_a_closed_surface_has_no_holes_at_any_zoom(wide: float) -> None:
    rng = np.random.default_rng(0)
    side = 40
    x, y = np.meshgrid(np.linspace(-8, 8, side), np.linspace(-8, 8, side))
    x[1:-1, 1:-1] += rng.uniform(-0.1, 0.1, (side - 2, side - 2))
    y[1:-1, 1:-1] += rng.uniform(-0.1, 0.1, (side - 2, side - 2))
    points = np.stack([x, y, rng.uniform(0, 0.3, x.shape)], -1).reshape(-1, 3).astype(np.float32)
    at = np.arange(side * side).reshape(side, side)
    a, b, c, d = at[:-1, :-1].ravel(), at[:-1, 1:].ravel(), at[1:, :-1].ravel(), at[1:, 1:].ravel()
    faces = np.concatenate([np.stack([a, b, c], 1), np.stack([b, d, c], 1)]).astype(np.int32)
    mesh = Mesh(path="/S", instance="/S", points=points, faces=faces, material=GREY)
    found = surface([mesh], camera((200, 200), wide=wide, x=0.013))
    if wide < 16:
        assert (found.mesh == 1).all()
    else:
        rows, columns = np.nonzero(found.mesh)
        box = found.mesh[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        assert box.all()


def test_each_thing_alone_covers_what_own_says() -> None:
    meshes, view = board(box("/Lid", (-2.5, -0.2, 2), (2, 0.2, 2.2))), camera(projection="perspective")
    found = surface(meshes, view)
    for name in {mesh.instance for mesh in meshes}:
        alone = surface([mesh for mesh in meshes if mesh.instance == name], view)
        assert found.own[name] == (alone.mesh > 0).sum(), name
    assert found.own["/Board"] > (found.mesh == 1).sum(), "parts stand on it"


def test_small_pieces_of_work_give_the_same_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = surface(board(), camera())
    monkeypatch.setattr(room, "CHUNK", 777)
    pieces = surface(board(), camera())
    assert (whole.mesh == pieces.mesh).all() and (whole.face == pieces.face).all() and whole.own == pieces.own
    assert np.array_equal(whole.depth, pieces.depth, equal_nan=True)


def test_of_two_surfaces_in_one_place_the_first_is_seen() -> None:
    low, high = (-1, -1, 0), (1, 1, 1)
    for order in ((0, 1), (1, 0)):
        pair = [box("/A", low, high), box("/B", low, high)]
        assert set(np.unique(surface([pair[at] for at in order], camera()).mesh)) == {0, 1}


@pytest.mark.parametrize(("yaw", "right", "top"), [(0, (1, 0), (0, 1)), (90, (0, 1), (-1, 0)), (270, (0, -1), (1, 0))])
def test_a_yaw_turns_the_picture_as_the_camera_says(yaw: int, right: tuple[int, int], top: tuple[int, int]) -> None:
    """With yaw 90 the picture has +y at its right."""
    view = camera((60, 60), yaw=yaw)
    points = np.array([[2.0 * right[0], 2.0 * right[1], 0.0], [2.0 * top[0], 2.0 * top[1], 0.0]])
    (a, b), _ = to_pixels(view, points)
    assert a[0] > 40 and abs(a[1] - 30) < 1e-9 and b[1] < 20 and abs(b[0] - 30) < 1e-9


@pytest.mark.parametrize(("projection", "yaw", "pixels"), VIEWS)
def test_places_in_the_picture_lead_back_to_the_world(projection: str, yaw: int, pixels: tuple[int, int]) -> None:
    view = camera(pixels, x=1, y=2, yaw=yaw, projection=projection, focus_z=1.5)
    points = np.random.default_rng(0).uniform(-4, 4, (50, 3))
    places, down = to_pixels(view, points)
    assert np.allclose(to_world(view, places[:, 0], places[:, 1], down), points, atol=1e-9)


def test_nothing_to_see_is_no_error() -> None:
    assert not surface([], camera()).mesh.any()
    assert not surface(board(), camera(x=500.0)).mesh.any()


@pytest.mark.parametrize(
    "view",
    [
        camera(field=(9.0, 9.0)),
        camera(field=(0.0, 0.0)),
        camera((0, 10), field=(9.0, 9.0)),
        camera(x=float("nan")),
        camera(projection="perspective", focus_z=60.0),
    ],
)
def test_a_camera_that_cannot_be_is_refused(view: Camera) -> None:
    with pytest.raises(UsageError):
        surface(board(), view)


def test_a_camera_among_the_parts_is_refused() -> None:
    with pytest.raises(DataError, match="not above all parts"):
        surface(board(), camera(z=1.0))


def test_broken_meshes_are_named_before_an_engine_sees_them() -> None:
    good = board()[1]
    worse = [
        replace(good, points=good.points * np.float32("nan")),
        replace(good, faces=good.faces + 5),
        replace(good, faces=good.faces - 1),
        replace(good, normals=good.points[:3]),
        replace(good, uvs=np.zeros((3, 2), np.float32)),
        replace(good, points=good.points[:, :2]),
    ]
    for mesh in worse:
        with pytest.raises(DataError, match="/C1/Body"):
            check_meshes([mesh])
    check_meshes(board())
    assert len(soup(board()).faces) == sum(len(mesh.faces) for mesh in board())
