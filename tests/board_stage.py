"""A small board written as USD in the layout of `board import`: chips and an IC with terminals, pads and joints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from pxr import Gf, Sdf, Usd, UsdGeom, UsdLux, UsdSemantics, UsdShade, Vt

from noescape.board.scene.target import Target

BOARD = (24.0, 16.0)
PAD_TOP = 0.035
SEAT = 0.05
CHIP = (1.6, 0.8, 0.8)  # length, width, height in mm
CHIP_PAD = (0.9, 1.0)
TARGET = Target(component_types=("C0603", "R0603", "SOIC"))
COLORS = {
    "Mask": ((0.01, 0.12, 0.03), 0.0, 0.35),
    "Tin": ((0.83, 0.83, 0.82), 1.0, 0.28),
    "Ceramic": ((0.42, 0.28, 0.17), 0.0, 0.45),
    "Mold": ((0.02, 0.02, 0.022), 0.0, 0.55),
}
_QUADS = [[0, 3, 2, 1], [4, 5, 6, 7], [0, 1, 5, 4], [1, 2, 6, 5], [2, 3, 7, 6], [3, 0, 4, 7]]


def write_board(
    path: Path,
    *,
    columns: int = 4,
    rows: int = 2,
    pitch: tuple[float, float] = (4.0, 3.0),
    up: str = "Z",
    unit: float = 0.001,
) -> Path:
    """Chips in a grid (capacitors and resistors by turns, every second row turned by 90 degrees), a SOIC beside them.

    `up` and `unit` write the same board with other axes or another metersPerUnit.
    """
    stage = Usd.Stage.CreateNew(str(path))
    UsdGeom.SetStageUpAxis(stage, up)
    UsdGeom.SetStageMetersPerUnit(stage, unit)
    world = UsdGeom.Xform.Define(stage, "/World")
    stage.SetDefaultPrim(world.GetPrim())
    turn = Gf.Matrix4d(1.0)
    if up == "Y":  # so that what is written with z up lies right in a stage with y up
        turn = Gf.Matrix4d().SetRotate(Gf.Rotation(Gf.Vec3d(1, 0, 0), -90))
    scale = Gf.Matrix4d().SetScale(0.001 / unit)
    world.AddTransformOp().Set(scale * turn)
    for name, (color, metal, rough) in COLORS.items():
        material(stage, name, color, metal, rough)
    UsdGeom.Xform.Define(stage, "/World/PCBA")
    for scope in ("Board", "Pads", "Solder", "Parts"):
        UsdGeom.Scope.Define(stage, f"/World/PCBA/{scope}")
    label(add_box(stage, "/World/PCBA/Board/Top", (0, 0, -0.8), (*BOARD, 1.6), "Mask"), **{"class": "pcb"})
    count = 0
    for row in range(rows):
        for column in range(columns):
            count += 1
            x = (column - (columns - 1) / 2) * pitch[0] - 3
            add_chip(stage, count, x, (row - (rows - 1) / 2) * pitch[1], 90.0 * (row % 2))
    add_soic(stage, "U1", 8.5, 0.0)
    add_rig(stage)
    stage.GetRootLayer().Save()
    return path


def material(stage: Any, name: str, color: tuple[float, float, float], metal: float, rough: float) -> Any:
    found = UsdShade.Material.Define(stage, f"/World/Looks/{name}")
    shader = UsdShade.Shader.Define(stage, f"/World/Looks/{name}/Surface")
    shader.CreateIdAttr("UsdPreviewSurface")
    shader.CreateInput("diffuseColor", Sdf.ValueTypeNames.Color3f).Set(Gf.Vec3f(*color))
    shader.CreateInput("metallic", Sdf.ValueTypeNames.Float).Set(metal)
    shader.CreateInput("roughness", Sdf.ValueTypeNames.Float).Set(rough)
    found.CreateSurfaceOutput().ConnectToSource(shader.ConnectableAPI(), "surface")
    return found


def label(prim: Any, **labels: str) -> Any:
    """LabelsAPI, one instance per label."""
    inner = prim.GetPrim()
    for kind, value in labels.items():
        UsdSemantics.LabelsAPI.Apply(inner, kind).CreateLabelsAttr([value])
    return prim


def add_box(
    stage: Any, path: str, centre: tuple[float, float, float], size: tuple[float, float, float], look: str
) -> Any:
    """A box of six quads."""
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)])
    points = np.array([[*c, z] for z in (-1, 1) for c in corners]) * np.array(size) / 2 + np.array(centre)
    mesh = UsdGeom.Mesh.Define(stage, path)
    mesh.CreatePointsAttr(Vt.Vec3fArray.FromNumpy(points.astype(np.float32)))
    mesh.CreateFaceVertexCountsAttr([4] * 6)
    mesh.CreateFaceVertexIndicesAttr([i for quad in _QUADS for i in quad])
    mesh.CreateSubdivisionSchemeAttr("none")
    UsdShade.MaterialBindingAPI.Apply(mesh.GetPrim()).Bind(UsdShade.Material.Get(stage, f"/World/Looks/{look}"))
    return mesh


def add_part(stage: Any, family: str, refdes: str, x: float, y: float, angle: float, klass: str) -> str:
    path = f"/World/PCBA/Parts/{family}_{refdes}"
    prim = UsdGeom.Xform.Define(stage, path)
    prim.AddTranslateOp().Set(Gf.Vec3d(x, y, 0))
    prim.AddRotateZOp().Set(angle)
    label(prim, **{"class": klass, "refdes": refdes, "package": family})
    return path


def add_pad(
    stage: Any, refdes: str, name: str, part: str, at: tuple[float, float], size: tuple[float, float], angle: float
) -> None:
    """A pad and its joint, which here is a low box; the real one is made by whoever poses the part."""
    for folder, klass, z, height in (("Pads", "pad", PAD_TOP / 2, PAD_TOP), ("Solder", "solder", 0.06, 0.12)):
        mesh = add_box(stage, f"/World/PCBA/{folder}/{refdes}_{name}", (0, 0, z), (*size, height), "Tin")
        mesh.AddTranslateOp().Set(Gf.Vec3d(*at, 0))
        mesh.AddRotateZOp().Set(angle)
        label(mesh, **{"class": klass, "refdes": refdes})
        if klass == "solder":
            pad = {"x": at[0], "y": at[1], "w": size[0], "h": size[1], "angle": angle}
            said = {"part": part, "pad": pad, "terminal": f"Terminal_{name}"}
            mesh.GetPrim().SetCustomDataByKey("noescape:joint", json.dumps(said))


def add_chip(stage: Any, number: int, x: float, y: float, angle: float) -> None:
    family, klass = (("C0603", "capacitor"), ("R0603", "resistor"))[number % 2]
    refdes = f"{family[0]}{number}"
    path = add_part(stage, family, refdes, x, y, angle, klass)
    length, width, height = CHIP
    end = 0.3
    body = add_box(stage, f"{path}/Body", (0, 0, SEAT + height / 2), (length - 2 * end, width, height), "Ceramic")
    label(body, **{"class": klass, "refdes": refdes})
    turn = np.radians(angle)
    for name, side in (("1", -1), ("2", 1)):
        centre = (side * (length - end) / 2, 0, SEAT + height / 2)
        label(
            add_box(stage, f"{path}/Terminal_{name}", centre, (end, width, height), "Tin"),
            **{"class": klass, "refdes": refdes},
        )
        far = side * 0.75
        at = (x + far * float(np.cos(turn)), y + far * float(np.sin(turn)))
        add_pad(stage, refdes, name, path, at, CHIP_PAD, angle)


def add_soic(stage: Any, refdes: str, x: float, y: float) -> None:
    path = add_part(stage, "SOIC8", refdes, x, y, 0.0, "ic")
    label(add_box(stage, f"{path}/Body", (0, 0, 0.9), (3.9, 4.9, 1.4), "Mold"), **{"class": "ic", "refdes": refdes})
    for k in range(8):
        side, row = (-1 if k < 4 else 1), k % 4
        centre = (side * 2.4, (row - 1.5) * 1.27)
        add_box(stage, f"{path}/Terminal_{k + 1}", (*centre, SEAT + 0.3), (1.0, 0.4, 0.6), "Tin")
        add_pad(stage, refdes, str(k + 1), path, (x + centre[0], y + centre[1]), (1.5, 0.6), 0.0)


def add_rig(stage: Any) -> None:
    camera = UsdGeom.Camera.Define(stage, "/World/Camera")
    camera.AddTranslateOp().Set(Gf.Vec3d(0, 0, 100))
    camera.CreateProjectionAttr("orthographic")
    camera.CreateHorizontalApertureAttr(200.0)
    UsdGeom.Xform.Define(stage, "/World/RingLight")
    for name, radius, z, color in (
        ("Inner_Red", 15, 50, (1, 0, 0)),
        ("Middle_Green", 30, 40, (0, 1, 0)),
        ("Outer_Blue", 40, 20, (0, 0, 1)),
    ):
        UsdGeom.Xform.Define(stage, f"/World/RingLight/{name}")
        for k in range(4):
            lamp = UsdLux.DiskLight.Define(stage, f"/World/RingLight/{name}/Lamp_{k}")
            angle = k * np.pi / 2
            lamp.AddTranslateOp().Set(Gf.Vec3d(radius * np.cos(angle), radius * np.sin(angle), z))
            lamp.CreateColorAttr(Gf.Vec3f(*color))
            lamp.CreateIntensityAttr(100.0)
    UsdLux.DomeLight.Define(stage, "/World/WhiteLight").CreateIntensityAttr(1.0)
