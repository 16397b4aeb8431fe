"""`board import` writes the stage that the other commands read: all prims labelled, same board same bytes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from pxr import Usd, UsdGeom, UsdSemantics, UsdShade

from kicad_boards import Dialect, write
from noescape.board.cad.kicad import read_kicad
from noescape.board.cad.models import Models
from noescape.board.cad.stage import Look, Report, write_stage
from noescape.board.cad.stage_facts import read_facts
from noescape.board.cad.usd import identifier
from noescape.board.scene.read import open_scene
from noescape.board.scene.target import Target
from noescape.cli.main import main
from noescape.records import DataError

SMALL = Look(px_per_mm=8)
WRL = """#VRML V2.0 utf8
Shape { appearance Appearance { material Material { diffuseColor 0.1 0.1 0.1 } }
geometry IndexedFaceSet { coord Coordinate { point [0 0 0, 1 0 0, 0 1 0, 0 0 1] }
coordIndex [0,2,1,-1, 0,1,3,-1, 1,2,3,-1, 0,3,2,-1] } }
"""


def _write(
    tmp_path: Path, text: str, side: str = "top", folders: Sequence[Path] = (), **more: object
) -> tuple[Report, Usd.Stage]:
    board = write(tmp_path, text)
    out = tmp_path / "o" / f"{side}.usd"
    report = write_stage(read_kicad(board), out, side=side, models=Models(board, folders), look=SMALL, **more)  # type: ignore[arg-type]
    return report, Usd.Stage.Open(str(out))


def _labels(prim: Usd.Prim) -> dict[str, str]:
    names = UsdSemantics.LabelsAPI.GetDirectTaxonomies(prim)
    return {str(n): str(UsdSemantics.LabelsAPI(prim, n).GetLabelsAttr().Get()[0]) for n in names}


def _place(stage: Usd.Stage, path: str) -> np.ndarray:
    matrix = UsdGeom.Xformable(stage.GetPrimAtPath(path)).ComputeLocalToWorldTransform(Usd.TimeCode.Default())
    points = np.array(UsdGeom.Mesh(stage.GetPrimAtPath(f"{path}/Body")).GetPointsAttr().Get())
    corners = np.c_[points, np.ones(len(points))] @ np.array(matrix)
    return np.stack([corners[:, :3].min(axis=0), corners[:, :3].max(axis=0)])


def test_the_layout_is_the_one_that_the_scene_reads(tmp_path: Path) -> None:
    """Unit, axis, the named prims, and a class on every mesh under the board's root."""
    report, stage = _write(tmp_path, Dialect().full())
    assert UsdGeom.GetStageUpAxis(stage) == "Z" and UsdGeom.GetStageMetersPerUnit(stage) == 0.001
    names = ("PCBA/Board/Top", "PCBA/Board/Bottom", "PCBA/Board/Sides", "PCBA/Board/Barrels", "PCBA/Pads/C1_1",
             "PCBA/Solder/C1_1", "PCBA/Parts/C0603_C1", "PCBA/Parts/SOT23_Q1", "RingLight/Inner_Red",
             "RingLight/Middle_Green", "RingLight/Outer_Blue", "WhiteLight", "Camera", "Looks/BoardTop")  # fmt: skip
    assert [name for name in names if not stage.GetPrimAtPath(f"/World/{name}")] == []
    meshes = [p for p in Usd.PrimRange(stage.GetPrimAtPath("/World/PCBA")) if p.IsA(UsdGeom.Mesh)]
    assert all(_labels(mesh).get("class") for mesh in meshes) and len(meshes) > 20
    assert all(UsdShade.MaterialBindingAPI(mesh).ComputeBoundMaterial()[0] for mesh in meshes)
    assert _labels(stage.GetPrimAtPath("/World/PCBA/Parts/C0603_C1")) == {
        "class": "capacitor",
        "refdes": "C1",
        "package": "0603",
    }
    assert _labels(stage.GetPrimAtPath("/World/PCBA/Solder/C1_2")) == {
        "class": "solder",
        "refdes": "C1",
        "package": "0603",
    }
    assert report.placed == {"package": 3, "model": 0, "box": 0} and report.pads == 7 and report.size_mm == (20, 10)


def test_parts_stand_where_the_board_has_them(tmp_path: Path) -> None:
    """C1 at (3, 7) turned by 90 degrees: long along y; the joint's notes lead back to it."""
    _, stage = _write(tmp_path, Dialect().full())
    low, high = _place(stage, "/World/PCBA/Parts/C0603_C1")
    assert np.allclose((low + high)[:2] / 2, (3, 7), atol=0.01) and (high - low)[1] > (high - low)[0] and low[2] > 0
    said = json.loads(stage.GetPrimAtPath("/World/PCBA/Solder/C1_2").GetCustomDataByKey("noescape:joint"))
    assert said["part"] == "/World/PCBA/Parts/C0603_C1" and said["terminal"] == "2"
    assert (
        said["pad"]["x"] == pytest.approx(3) and said["pad"]["y"] == pytest.approx(7.775) and said["pad"]["angle"] == 90
    )
    solder = np.array(UsdGeom.Mesh(stage.GetPrimAtPath("/World/PCBA/Solder/C1_2")).GetPointsAttr().Get())
    assert solder[:, 1].mean() == pytest.approx(7.775, abs=0.15)


def test_the_back_side_is_seen_from_below(tmp_path: Path) -> None:
    """C2 at (5, 3) from above stands at (15, 3) from below; of parts on the front only their pins' joints are there."""
    report, stage = _write(tmp_path, Dialect().full(), "bottom")
    low, high = _place(stage, "/World/PCBA/Parts/C0603_C2")
    assert np.allclose((low + high)[:2] / 2, (15, 3), atol=0.01)
    solder = [p.GetName() for p in stage.GetPrimAtPath("/World/PCBA/Solder").GetChildren()]
    assert solder == ["C2_1", "C2_2", "J1_1", "J1_2"] and report.placed["package"] == 1


def test_the_same_board_gives_the_same_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    for name in "ab":
        _write(tmp_path / name, Dialect().full())
    files = [sorted(p.relative_to(tmp_path / n) for p in (tmp_path / n).rglob("*") if p.is_file()) for n in "ab"]
    assert files[0] == files[1] and len(files[0]) == 5
    assert all((tmp_path / "a" / f).read_bytes() == (tmp_path / "b" / f).read_bytes() for f in files[0])


def test_textures_are_named_from_the_stage(tmp_path: Path) -> None:
    """The folder may be moved: paths are relative."""
    _, stage = _write(tmp_path, Dialect().full())
    shader = UsdShade.Shader(stage.GetPrimAtPath("/World/Looks/BoardTop/Color"))
    asset = shader.GetInput("file").Get()
    assert asset.path == "./top_textures/top_albedo.png" and Path(asset.resolvedPath).is_file()
    uvs = np.array(UsdGeom.PrimvarsAPI(stage.GetPrimAtPath("/World/PCBA/Board/Top")).GetPrimvar("st").Get())
    assert uvs.min() == 0 and uvs.max() == 1


def test_what_no_package_fits_becomes_a_box_of_what_the_footprint_draws(tmp_path: Path) -> None:
    """Its body is the box on Fab; class, footprint and owner are in the report."""
    d = Dialect()
    fab = f'(fp_rect (start -3 -2) (end 3 2) (layer "F.Fab") {d.pen(0.1)} (fill none))'
    text = d.board(
        d.rim()
        + d.part("Strange:Thing", "J7", 110, 55, 90, d.smd("1", -2, 0, 1, 1, 90) + d.smd("2", 2, 0, 1, 1, 90), more=fab)
    )
    report, stage = _write(tmp_path, text)
    low, high = _place(stage, "/World/PCBA/Parts/Thing_J7")
    assert np.allclose((high - low)[:2], (4, 6), atol=1e-3) and report.boxes == {"Strange:Thing": ["J7"]}
    assert report.classes == {"connector": 1} and report.joints == 2


def test_models_are_taken_where_the_user_has_them(tmp_path: Path) -> None:
    """Found by KiCad's variable in the user's folder, turned and shifted; a file that nobody has is named."""
    (tmp_path / "3d" / "Some.3dshapes").mkdir(parents=True)
    (tmp_path / "3d" / "Some.3dshapes" / "thing.wrl").write_text(WRL)
    d = Dialect()
    place = "(offset (xyz 1 2 0)) (scale (xyz 1 1 1)) (rotate (xyz 0 0 -90))"
    model = f'(model "${{KICAD6_3DMODEL_DIR}}/Some.3dshapes/thing.step" {place})'
    pads = d.smd("1", -2, 0, 1, 1) + d.smd("2", 2, 0, 1, 1)
    text = d.board(d.rim() + d.part("Strange:Thing", "J7", 110, 55, 0, pads + model))
    report, stage = _write(tmp_path, text, folders=[tmp_path / "3d"])
    assert report.placed["model"] == 1 and report.missing_models == []
    part = stage.GetPrimAtPath("/World/PCBA/Parts/Thing_J7")
    points = np.concatenate([np.array(UsdGeom.Mesh(mesh).GetPointsAttr().Get()) for mesh in part.GetChildren()])
    assert np.allclose(points.min(axis=0), (1 - 2.54, 2, 0), atol=1e-4) and np.allclose(
        points.max(axis=0), (1, 4.54, 2.54), atol=1e-4
    )
    report, _ = _write(tmp_path, text)
    assert report.missing_models == ["${KICAD6_3DMODEL_DIR}/Some.3dshapes/thing.step"] and report.placed["box"] == 1


def test_bare_footprints_are_listed_with_a_reason(tmp_path: Path) -> None:
    """Marks, holes, parts not to be placed."""
    d = Dialect()
    hole = '(pad "" np_thru_hole circle (at 0 0) (size 3 3) (drill 3) (layers "*.Cu" "*.Mask"))'
    body = d.part("MountingHole:MountingHole_3mm", "H1", 105, 55, 0, hole) + d.chip("C9", 110, 55).replace(
        "(attr smd)", "(attr smd dnp)"
    )
    report, stage = _write(
        tmp_path, d.board(d.rim() + body + d.part("Fiducial:F", "FID1", 115, 55, 0, d.smd("1", 0, 0, 1, 1)))
    )
    assert set(report.bare) == {"H1", "C9", "FID1"} and "dnp" in report.bare["C9"] and report.joints == 0
    assert stage.GetPrimAtPath("/World/PCBA/Pads/C9_1")


def test_a_side_without_its_layers_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    d = Dialect()
    text = d.board(d.rim(), layers='(0 "F.Cu" signal) (31 "B.Cu" signal) (39 "F.Mask" user) (44 "Edge.Cuts" user)')
    with pytest.raises(DataError, match=r"bottom side needs B\.Mask"):
        _write(tmp_path, text, "bottom")
    assert not (tmp_path / "o").exists()


def test_strange_names_become_prims_and_stay_labels(tmp_path: Path) -> None:
    d = Dialect()
    text = d.board(d.rim() + d.chip("REF**", 105, 55) + d.chip("REF**", 110, 55) + d.chip("1/é 电", 115, 55))
    _, stage = _write(tmp_path, text)
    parts = stage.GetPrimAtPath("/World/PCBA/Parts").GetChildren()
    assert len({p.GetName() for p in parts}) == 3 and [_labels(p)["refdes"] for p in parts] == [
        "REF**",
        "REF**",
        "1/é 电",
    ]
    assert identifier("0603") == "_0603" and identifier("电") == "_"


def test_facts_of_the_board_are_read_back(tmp_path: Path) -> None:
    _write(tmp_path, Dialect().full())
    facts = read_facts(tmp_path / "o" / "top.usd")
    assert facts.side == "top" and facts.size == (20, 10) and facts.origins["page"] == (-100, 60)
    assert set(facts.parts) == {"C1", "Q1", "J1"} and facts.parts["C1"].angle == 90
    (tmp_path / "no.usd").write_text("#usda 1.0\n")
    with pytest.raises(DataError, match="no stage of"):
        read_facts(tmp_path / "no.usd")


def test_the_command_reports_and_refuses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """0 and a report; 1 for a broken board; 2 for wrong use."""
    board, out = write(tmp_path, Dialect().full()), tmp_path / "o.usd"
    assert main(["board", "import", str(board), "--out", str(out), "--px-per-mm", "8", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["placed"] == {"package": 3, "model": 0, "box": 0} and out.is_file()
    assert main(["board", "import", str(board), "--out", str(out), "--px-per-mm", "8"]) == 0
    assert "3 parts" in capsys.readouterr().out
    assert main(["board", "import", str(write(tmp_path, "(kicad_pcb", "b.kicad_pcb")), "--out", str(out)]) == 1
    for wrong in (
        ["nothing.kicad_pcb", "--out", "x.usd"],
        [str(board), "--out", "x.obj"],
        [str(board), "--out", "x.usd", "--models", "no"],
    ):
        assert main(["board", "import", *wrong]) == 2
    assert "error: " in capsys.readouterr().err


def test_the_scene_reads_what_the_import_wrote(tmp_path: Path) -> None:
    """Parts, joints and bounds come back through the door of all stages, with nothing left out."""
    board = write(tmp_path, Dialect().full())
    write_stage(read_kicad(board), tmp_path / "b.usd", models=Models(board), look=SMALL)
    scene = open_scene(tmp_path / "b.usd", Target())
    assert {part.refdes: part.klass for part in scene.parts} == {
        "C1": "capacitor",
        "Q1": "transistor",
        "J1": "connector",
    }
    assert len(scene.joints) == 5 and scene.notices == () and scene.scale == 1
    assert np.allclose(scene.bounds[:, :2], [(0, 0), (20, 10)], atol=1e-3) and scene.bounds[0, 2] == pytest.approx(
        -1.6, abs=1.5
    )
    top = next(mesh for mesh in scene.meshes if mesh.path.endswith("/Board/Top"))
    assert top.material.base_color_file is not None and top.labels["class"] == "pcb"
