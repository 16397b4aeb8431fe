"""The layer of overrides shows any other reader of USD the board that is rendered here; the source stays as it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pxr import Gf, Usd, UsdGeom

from board_stage import TARGET, write_board
from noescape.board.scene.defects_config import Defects
from noescape.board.scene.draws import frame_rng
from noescape.board.scene.layer import write_session_layer
from noescape.board.scene.poses import Drawn, draw_poses
from noescape.board.scene.posing import pose
from noescape.board.scene.read import open_scene
from noescape.board.scene.things import Scene

ALL = {mode: {"ratio": 0.2} for mode in ("shift", "tombstone", "sideflip", "missing")}


def drawn_on(scene: Scene) -> Drawn:
    return draw_poses(scene, Defects.model_validate(ALL), ("0603", "SOIC"), frame_rng(4, 0, "poses"))


@pytest.mark.parametrize(("up", "unit"), [("Z", 0.001), ("Y", 0.01)])
@pytest.mark.parametrize("suffix", [".usda", ".usdc"])
def test_read_again_through_the_layer_the_board_is_the_posed_one(
    tmp_path: Path, up: str, unit: float, suffix: str
) -> None:
    """Point by point, label by label; stages of other units and axes, too."""
    source = write_board(tmp_path / f"the 'board{suffix}", up=up, unit=unit)
    before = source.read_bytes()
    scene = open_scene(source, TARGET)
    drawn = drawn_on(scene)
    mine = pose(scene, drawn.poses)
    again = open_scene(write_session_layer(scene, drawn.poses, tmp_path / "posed.usda"), TARGET)
    assert [m.path for m in again.meshes] == [m.path for m in mine]
    assert {one.mode for one in drawn.poses} == set(ALL)
    for ours, theirs in zip(mine, again.meshes):
        np.testing.assert_allclose(theirs.points, ours.points, atol=1e-4)
        np.testing.assert_array_equal(theirs.faces, ours.faces)
        assert dict(theirs.labels) == dict(ours.labels)
        assert (theirs.normals is None) == (ours.normals is None)
        if ours.normals is not None and theirs.normals is not None:
            np.testing.assert_allclose(theirs.normals, ours.normals, atol=1e-3)
    assert source.read_bytes() == before


def test_parts_inside_of_an_instance_are_reached(tmp_path: Path) -> None:
    """A whole board that is one instance: the layer makes it plain, and only there."""
    panel = write_board(tmp_path / "unit.usda", columns=2, rows=1)
    stage = Usd.Stage.CreateNew(str(tmp_path / "panel.usda"))
    UsdGeom.SetStageUpAxis(stage, "Z")
    UsdGeom.SetStageMetersPerUnit(stage, 0.001)
    for name in ("Camera", "RingLight", "WhiteLight"):
        stage.OverridePrim(f"/World/{name}").GetReferences().AddReference("./unit.usda", f"/World/{name}")
    prim = UsdGeom.Xform.Define(stage, "/World/PCBA").GetPrim()
    prim.GetReferences().AddReference("./unit.usda", "/World/PCBA")
    prim.SetInstanceable(True)
    UsdGeom.Xformable(prim).AddTranslateOp().Set(Gf.Vec3d(30, -5, 0))
    UsdGeom.Xformable(prim).AddRotateZOp().Set(33.0)
    stage.GetRootLayer().Save()
    del stage
    scene = open_scene(tmp_path / "panel.usda", TARGET)
    drawn = drawn_on(scene)
    assert drawn.poses
    assert "its pad lies elsewhere" in scene.notices[0]  # joints know the place where the board once lay
    assert not scene.joints
    mine = pose(scene, drawn.poses)
    again = open_scene(write_session_layer(scene, drawn.poses, tmp_path / "posed.usda"), TARGET)
    theirs = {m.path: m for m in again.meshes}
    assert set(theirs) == {m.path for m in mine}
    for ours in mine:
        np.testing.assert_allclose(theirs[ours.path].points, ours.points, atol=1e-4)
    assert panel.exists()


def test_the_layer_is_the_same_bytes_each_time_and_says_no_place(tmp_path: Path) -> None:
    scene = open_scene(write_board(tmp_path / "board.usda", columns=2, rows=1), TARGET)
    drawn = drawn_on(scene)
    texts = []
    for name in ("a.usda", "b.usda"):
        texts.append(write_session_layer(scene, drawn.poses, tmp_path / name).read_text())
    assert texts[0] == texts[1]
    assert str(tmp_path) not in texts[0]
    assert "@./board.usda@" in texts[0]
