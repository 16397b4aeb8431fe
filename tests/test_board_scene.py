"""A stage read into meshes: axes, units, instances, materials, labels, and what is not there named before rendering."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pxr import Gf, Sdf, Usd, UsdGeom, UsdShade, Vt

from board_stage import PAD_TOP, TARGET, add_box, label, write_board
from noescape.board.scene.read import open_scene
from noescape.board.scene.semantics import Rule
from noescape.board.scene.target import Target
from noescape.board.scene.things import Scene
from noescape.records import DataError, PathEscapeError, UsageError


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_board(tmp_path_factory.mktemp("board") / "board.usda")


@pytest.fixture(scope="module")
def scene(board: Path) -> Scene:
    return open_scene(board, TARGET)


def edited(board: Path, folder: Path) -> Usd.Stage:
    """A copy of the board to spoil; save it when done."""
    copy = folder / "copy.usda"
    copy.write_bytes(board.read_bytes())
    return Usd.Stage.Open(str(copy))


def reread(stage: Usd.Stage, *rules: Rule, target: Target = TARGET) -> Scene:
    stage.GetRootLayer().Save()
    return open_scene(Path(stage.GetRootLayer().realPath), target, rules)


def mesh_at(scene: Scene, path: str):
    return next(mesh for mesh in scene.meshes if mesh.path == path)


@pytest.mark.parametrize(("up", "unit"), [("Y", 0.001), ("Z", 0.01), ("Y", 1.0), ("Z", 0.0254)])
def test_the_same_board_in_other_axes_and_units_is_the_same_scene(
    scene: Scene, tmp_path: Path, up: str, unit: float
) -> None:
    """mm with z up, whatever the stage's upAxis and metersPerUnit."""
    other = open_scene(write_board(tmp_path / "other.usdc", up=up, unit=unit), TARGET)
    assert [m.path for m in other.meshes] == [m.path for m in scene.meshes]
    for mine, theirs in zip(scene.meshes, other.meshes):
        np.testing.assert_allclose(theirs.points, mine.points, atol=1e-4)
        np.testing.assert_array_equal(theirs.faces, mine.faces)
    np.testing.assert_allclose(other.bounds, scene.bounds, atol=1e-4)
    np.testing.assert_allclose(other.parts[5].frame, scene.parts[5].frame, atol=1e-4)
    assert [r.z for r in other.lights.rings] == pytest.approx([r.z for r in scene.lights.rings], rel=1e-4)


def test_faces_look_outwards(scene: Scene) -> None:
    """The volume of each box by its faces is that of its bounds: a face turned over would take it away."""
    for mesh in scene.meshes:
        a, b, c = (mesh.points[mesh.faces[:, k]].astype(float) for k in range(3))
        volume = (a * np.cross(b, c)).sum() / 6
        own = mesh.points - mesh.points.mean(axis=0)
        assert volume > 0, mesh.path
        edges = np.linalg.norm(np.diff(mesh.points[[0, 1, 2]], axis=0), axis=1)
        assert volume == pytest.approx(edges[0] * edges[1] * np.ptp(own[:, 2]), rel=1e-3)


def test_parts_know_their_name_frame_box_and_joints(scene: Scene) -> None:
    chip = next(p for p in scene.parts if p.refdes == "C6")
    assert (chip.family, chip.klass, chip.package) == ("C0603", "capacitor", "C0603")
    np.testing.assert_allclose(chip.box, [[-0.8, -0.4, 0.05], [0.8, 0.4, 0.85]], atol=1e-5)
    np.testing.assert_allclose(np.ptp(chip.bounds, axis=0), [0.8, 1.6, 0.8], atol=1e-5)  # stands turned by 90
    assert sorted(chip.pieces) == ["Body", "Terminal_1", "Terminal_2"]
    assert [scene.joints[j].said.terminal for j in chip.joints] == ["Terminal_1", "Terminal_2"]
    assert {scene.meshes[m].instance for m in chip.meshes} == {chip.path}
    assert mesh_at(scene, "/World/PCBA/Pads/C6_1").instance == "/World/PCBA/Pads/C6_1"


def test_labels_come_from_the_nearest_prim_and_rules_win_over_them(board: Path) -> None:
    """Also where the rule speaks of the part and the stage of its meshes; of several rules the last counts."""
    rules = (
        Rule(match="**/Parts/R0603_*", labels={"class": "capacitor"}),
        Rule(match="/World/PCBA/Parts/R0603_R1/Terminal_?", labels={"class": "solder"}),
        Rule(match="**/Parts/*_R3", labels={"class": "ic"}),
        Rule(match="**/Nothing/*", labels={"class": "ic"}),
    )
    scene = open_scene(board, TARGET, rules)
    assert mesh_at(scene, "/World/PCBA/Parts/R0603_R5/Body").labels["class"] == "capacitor"
    assert mesh_at(scene, "/World/PCBA/Parts/R0603_R1/Terminal_2").labels["class"] == "solder"
    assert mesh_at(scene, "/World/PCBA/Parts/R0603_R1/Body").labels["class"] == "capacitor"
    assert mesh_at(scene, "/World/PCBA/Parts/R0603_R3/Terminal_1").labels == {
        "class": "ic",
        "refdes": "R3",
        "package": "R0603",
    }
    assert mesh_at(scene, "/World/PCBA/Board/Top").labels == {"class": "pcb"}
    assert scene.notices == ("semantics: no prim matches '**/Nothing/*'",)
    assert scene.digest != open_scene(board, TARGET).digest


def test_instances_are_written_out_with_paths_of_their_own(board: Path, tmp_path: Path) -> None:
    stage = edited(board, tmp_path)
    for name, x in (("C0603_C90", -11.0), ("C0603_C91", 11.0)):
        prim = UsdGeom.Xform.Define(stage, f"/World/PCBA/Parts/{name}")
        prim.GetPrim().GetReferences().AddInternalReference("/World/PCBA/Parts/C0603_C2")
        prim.GetPrim().SetInstanceable(True)
        prim.GetPrim().GetAttribute("xformOp:translate").Set(Gf.Vec3d(x, 6, 0))
        label(prim, refdes=name[-3:])
    scene = reread(stage)
    parts = {p.refdes: p for p in scene.parts}
    assert {"C2", "C90", "C91"} <= set(parts)
    np.testing.assert_allclose(parts["C90"].bounds.mean(axis=0)[:2], [-11, 6], atol=1e-5)
    body = mesh_at(scene, "/World/PCBA/Parts/C0603_C91/Body")
    assert body.labels["class"] == "capacitor"
    assert body.material.name == "/World/Looks/Ceramic"


def test_what_is_invisible_or_no_render_purpose_is_passed_over(board: Path, tmp_path: Path) -> None:
    stage = edited(board, tmp_path)
    UsdGeom.Imageable(stage.GetPrimAtPath("/World/PCBA/Parts/C0603_C2")).MakeInvisible()
    UsdGeom.Imageable(stage.GetPrimAtPath("/World/PCBA/Parts/R0603_R1")).CreatePurposeAttr("proxy")
    add_box(stage, "/World/RingLight/Inner_Red/Housing", (0, 0, 50), (3, 3, 3), "Tin")
    refs = {m.labels.get("refdes") for m in reread(stage).meshes if "/Parts/" in m.path}
    assert not refs & {"C2", "R1"}
    assert "R3" in refs
    assert not [m.path for m in reread(stage).meshes if "Housing" in m.path]


def test_shapes_that_are_not_read_are_said_once_per_kind(board: Path, tmp_path: Path) -> None:
    stage = edited(board, tmp_path)
    for k in range(3):
        UsdGeom.Sphere.Define(stage, f"/World/PCBA/Parts/C0603_C2/Ball_{k}")
    assert reread(stage).notices == ("3 Sphere not read (make it a mesh): /World/PCBA/Parts/C0603_C2/Ball_0",)


def test_a_mesh_of_two_materials_becomes_two_meshes_that_together_are_it(board: Path, tmp_path: Path) -> None:
    stage = edited(board, tmp_path)
    mesh = UsdGeom.Mesh(stage.GetPrimAtPath("/World/PCBA/Parts/C0603_C2/Body"))
    binding = UsdShade.MaterialBindingAPI(mesh.GetPrim())
    subset = binding.CreateMaterialBindSubset("top", Vt.IntArray([1]))
    UsdShade.MaterialBindingAPI.Apply(subset.GetPrim()).Bind(UsdShade.Material.Get(stage, "/World/Looks/Tin"))
    scene = reread(stage)
    body = [m for m in scene.meshes if m.path.startswith("/World/PCBA/Parts/C0603_C2/Body")]
    assert {m.path.rpartition("/")[2]: (m.material.name, len(m.faces)) for m in body} == {
        "top": ("/World/Looks/Tin", 2),
        "Body": ("/World/Looks/Ceramic", 10),
    }


def test_pads_and_preview_values_arrive(scene: Scene) -> None:
    pad = mesh_at(scene, "/World/PCBA/Pads/R1_1")
    assert pad.points[:, 2].max() == pytest.approx(PAD_TOP)
    assert pad.material.metallic == 1.0
    assert pad.material.roughness == pytest.approx(0.28)
    assert mesh_at(scene, "/World/PCBA/Board/Top").material.base_color == pytest.approx((0.01, 0.12, 0.03))


def textured(stage: Usd.Stage, asset: str) -> None:
    texture = UsdShade.Shader.Define(stage, "/World/Looks/Mask/Albedo")
    texture.CreateIdAttr("UsdUVTexture")
    texture.CreateInput("file", Sdf.ValueTypeNames.Asset).Set(asset)
    shader = UsdShade.Shader.Get(stage, "/World/Looks/Mask/Surface")
    shader.GetInput("diffuseColor").ConnectToSource(texture.CreateOutput("rgb", Sdf.ValueTypeNames.Float3))
    mesh = UsdGeom.Mesh.Get(stage, "/World/PCBA/Board/Top")
    corners = UsdGeom.PrimvarsAPI(mesh).CreatePrimvar("st", Sdf.ValueTypeNames.TexCoord2fArray, "faceVarying")
    corners.Set(Vt.Vec2fArray([Gf.Vec2f(k % 4 / 3, k // 4 / 5) for k in range(24)]))


def test_textures_beside_the_stage_are_found_and_corners_keep_their_own_coordinates(
    board: Path, tmp_path: Path
) -> None:
    (tmp_path / "tex ture").mkdir()
    (tmp_path / "tex ture" / "a'b.png").write_bytes(b"png")
    stage = edited(board, tmp_path)
    textured(stage, "./tex ture/a'b.png")
    scene = reread(stage)
    top = mesh_at(scene, "/World/PCBA/Board/Top")
    assert top.material.base_color_file == tmp_path / "tex ture" / "a'b.png"
    assert top.uvs is not None
    assert len(top.points) == len(top.uvs) == 24
    before = scene.digest
    (tmp_path / "tex ture" / "a'b.png").write_bytes(b"other")
    assert reread(stage).digest != before


@pytest.mark.parametrize("asset", ["../outside.png", "/etc/hostname", "sub/../../outside.png", "link.png"])
def test_a_texture_outside_of_the_stages_folder_is_refused(board: Path, tmp_path: Path, asset: str) -> None:
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    (tmp_path / "outside.png").write_bytes(b"png")
    (folder / "link.png").symlink_to(tmp_path / "outside.png")
    stage = edited(board, folder)
    textured(stage, asset)
    with pytest.raises(PathEscapeError, match="outside of the stage's folder"):
        reread(stage)


def test_a_lost_texture_is_named(board: Path, tmp_path: Path) -> None:
    stage = edited(board, tmp_path)
    textured(stage, "./gone.png")
    with pytest.raises(DataError, match=r"gone\.png.*not there"):
        reread(stage)


def test_all_prims_that_are_missing_are_named_at_once(board: Path) -> None:
    target = Target(pcba_root="/World/Bo-ard", ring_light_root="/World/Ring", camera_path="/Cam")
    with pytest.raises(DataError) as caught:
        open_scene(board, target)
    for word in (
        "pcba_root /World/Bo-ard",
        "ring_light_root /World/Ring",
        "camera_path /Cam",
        "Its root prims: /World",
    ):
        assert word in str(caught.value)
    assert "camera_xform_path" not in str(caught.value)


def test_a_camera_path_that_is_no_camera_and_an_empty_root_are_refused(board: Path) -> None:
    with pytest.raises(DataError, match="not a Camera"):
        open_scene(board, Target(camera_path="/World/PCBA"))
    with pytest.raises(DataError, match="no mesh is seen under pcba_root /World/Looks"):
        open_scene(board, Target(pcba_root="/World/Looks"))


def test_layers_from_other_folders_and_lost_ones_are_refused(board: Path, tmp_path: Path) -> None:
    inside = tmp_path / "in"
    inside.mkdir()
    outer = tmp_path / "outer.usda"
    outer.write_bytes(board.read_bytes())
    layer = inside / "over.usda"
    layer.write_text('#usda 1.0\n(\n    subLayers = [@../outer.usda@]\n    upAxis = "Z"\n)\n')
    with pytest.raises(PathEscapeError, match="outside of its folder"):
        open_scene(layer, TARGET)
    layer.write_text('#usda 1.0\n\ndef "World" (references = @./gone.usda@)\n{\n}\n')
    with pytest.raises(DataError, match=r"not there or cannot be read.*gone\.usda"):
        open_scene(layer, TARGET)


def test_files_that_are_no_stage_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected a USD stage"):
        open_scene(tmp_path / "board.obj", TARGET)
    with pytest.raises(DataError, match="No such file"):
        open_scene(tmp_path / "gone.usd", TARGET)
    (tmp_path / "empty.usd").touch()
    with pytest.raises(DataError, match="empty file"):
        open_scene(tmp_path / "empty.usd", TARGET)
