"""Broken and hostile stages end in one clear error, never in a traceback of a library or in a wrong scene."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pxr import Usd, UsdGeom

from board_stage import TARGET, write_board
from noescape.board.scene.flatten import Varying, flatten
from noescape.board.scene.read import open_scene
from noescape.records import DataError, NoescapeError

MESH = "/World/PCBA/Parts/C0603_C2/Body"


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_board(tmp_path_factory.mktemp("board") / "board.usda", columns=2, rows=1)


def spoilt(board: Path, folder: Path, change) -> Path:
    copy = folder / "copy.usda"
    copy.write_bytes(board.read_bytes())
    stage = Usd.Stage.Open(str(copy))
    change(stage)
    stage.GetRootLayer().Save()
    return copy


def body(stage: Usd.Stage) -> UsdGeom.Mesh:
    return UsdGeom.Mesh(stage.GetPrimAtPath(MESH))


def squashed(stage: Usd.Stage) -> None:
    UsdGeom.Xformable(stage.GetPrimAtPath("/World/PCBA")).AddScaleOp().Set((0, 1, 1))


def joint(stage: Usd.Stage, text: str) -> None:
    stage.GetPrimAtPath(MESH).SetCustomDataByKey("noescape:joint", text)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda s: body(s).GetFaceVertexIndicesAttr().Set([0, 1, 99] * 8), "uses the point"),
        (lambda s: body(s).GetFaceVertexIndicesAttr().Set([0, 1, -1] * 8), "uses the point"),
        (lambda s: body(s).GetFaceVertexCountsAttr().Set([4] * 5), "corners"),
        (lambda s: body(s).GetFaceVertexCountsAttr().Set([-4] * 6), "corners"),
        (lambda s: body(s).GetPointsAttr().Set([(float("nan"), 0, 0)] * 8), "finite"),
        (lambda s: body(s).CreateNormalsAttr([(0, 0, 1)] * 3), "3 normals per point, expected 8"),
        (lambda s: UsdGeom.SetStageMetersPerUnit(s, 0.0), "metersPerUnit"),
        (lambda s: UsdGeom.SetStageMetersPerUnit(s, float("nan")), "metersPerUnit"),
        (squashed, "flattened to nothing"),
        (lambda s: joint(s, "{oops"), "noescape:joint"),
        (lambda s: joint(s, '{"part": "C2", "pad": 3}'), "noescape:joint"),
        (lambda s: joint(s, "[" * 100_000), "noescape:joint"),
    ],
)
def test_a_broken_mesh_is_named_with_what_is_wrong(board: Path, tmp_path: Path, change, word: str) -> None:
    with pytest.raises(DataError, match=word) as caught:
        open_scene(spoilt(board, tmp_path, change), TARGET)
    assert "copy.usda" in str(caught.value)


@pytest.mark.parametrize("suffix", [".usda", ".usdc"])
def test_a_truncated_file_is_read_whole_or_refused_in_one_error(tmp_path: Path, suffix: str) -> None:
    """Cut anywhere: either nothing needed was lost, or one of our own errors says so."""
    whole = write_board(tmp_path / f"whole{suffix}", columns=1, rows=1).read_bytes()
    refused = 0
    for k, share in enumerate((0.0, 0.001, 0.02, 0.2, 0.5, 0.8, 0.95, 0.999)):
        path = tmp_path / f"cut {k}'s{suffix}"
        path.write_bytes(whole[: int(len(whole) * share)])
        try:
            open_scene(path, TARGET)
        except NoescapeError as error:
            refused += 1
            assert "\n" not in str(error).strip()
            assert len(str(error)) < 1200
    assert refused >= 7


@pytest.mark.parametrize("suffix", [".usda", ".usdc"])
def test_altered_bytes_end_in_a_scene_or_in_one_error_of_ours(tmp_path: Path, suffix: str) -> None:
    whole = write_board(tmp_path / f"whole{suffix}", columns=1, rows=1).read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for k in range(30):
        data = bytearray(whole)
        for place in rng.integers(len(data), size=int(rng.choice([1, 3, 20]))):
            data[place] = int(rng.integers(256))
        path = tmp_path / f"altered_{k}{suffix}"
        path.write_bytes(data)
        try:
            scene = open_scene(path, TARGET)
            assert all(np.isfinite(mesh.points).all() for mesh in scene.meshes)
        except NoescapeError as error:
            refused += 1
            assert len(str(error)) < 1200
    assert refused


def test_nothing_of_a_broken_stage_is_said_on_the_error_stream(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bad.usda"
    path.write_text('#usda 1.0\ndef "World" (references = @./gone.usda@)\n{\n}\n')
    with pytest.raises(DataError):
        open_scene(path, TARGET)
    assert capfd.readouterr().err == ""


def area(points: np.ndarray, faces: np.ndarray) -> float:
    a, b, c = (points[faces[:, k]] for k in range(3))
    return float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2)


def shoelace(ring: np.ndarray) -> float:
    x, y = ring[:, 0], ring[:, 1]
    return float((x * np.roll(y, -1) - y * np.roll(x, -1)).sum() / 2)


@pytest.mark.parametrize("corners", [3, 4, 5, 8, 13])
@pytest.mark.parametrize("hollow", [0.0, 0.7])
def test_polygons_keep_their_area_and_their_way_round(corners: int, hollow: float) -> None:
    """Convex rings and stars with hollow corners, in a slanted plane; fans would spill over the hollows."""
    angles = np.linspace(0, 2 * np.pi, 2 * corners, endpoint=False)
    radius = np.where(np.arange(2 * corners) % 2, 1 - hollow, 1.0)
    ring = np.stack([radius * np.cos(angles), radius * np.sin(angles)], axis=1)
    slant = np.array([[1, 0, 0.5], [0, 1, -0.25]])
    points = ring @ slant
    found = flatten("m", points, np.array([len(ring)]), np.arange(len(ring)))
    stretch = float(np.linalg.norm(np.cross(slant[0], slant[1])))
    assert area(found.points, found.faces) == pytest.approx(shoelace(ring) * stretch)
    assert len(found.faces) == len(ring) - 2
    a, b, c = (found.points[found.faces[:, k]] for k in range(3))
    assert (np.cross(b - a, c - a) @ np.cross(slant[0], slant[1]) > 0).all()


def test_a_mix_of_polygons_keeps_the_order_of_faces_and_leaves_holes_out() -> None:
    points = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [2, 0, 0], [2, 1, 0]], float)
    counts, indices = np.array([4, 2, 3, 3]), np.array([0, 1, 2, 3, 0, 1, 1, 4, 5, 1, 5, 2])
    found = flatten("m", points, counts, indices, holes=np.array([3]))
    assert found.polygon.tolist() == [0, 0, 2]
    assert found.faces.tolist() == [[0, 1, 2], [0, 2, 3], [1, 4, 5]]


def test_values_per_face_and_per_corner_give_corners_points_of_their_own() -> None:
    points = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], float)
    counts, indices = np.array([3, 3]), np.array([0, 1, 2, 0, 2, 3])
    uvs = Varying(values=np.array([[0.0, 0.0], [1.0, 1.0]]), per="face")
    found = flatten("m", points, counts, indices, uvs=uvs)
    assert found.uvs is not None
    assert len(found.points) == 6
    assert {tuple(found.uvs[i]) for i in found.faces[0]} == {(0.0, 0.0)}
    flat = flatten("m", points, counts, indices, normals=Varying(values=np.ones((2, 3)), per="face"))
    assert flat.normals is None
    with pytest.raises(DataError, match="not all finite"):
        flatten("m", points, counts, indices, uvs=Varying(values=np.full((4, 2), np.nan), per="point"))
