"""Poses as a layer of overrides over the untouched stage, for any other program that reads USD."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from noescape.board.model import Mesh
from noescape.board.scene.poses import Pose
from noescape.board.scene.posing import posed
from noescape.board.scene.things import Frame, Part, Scene
from noescape.board.scene.turning import applied
from noescape.board.scene.usd import open_stage, pxr, quiet
from noescape.files import write_text

_STAYS = ("upAxis", "metersPerUnit", "defaultPrim")


def write_session_layer(scene: Scene, poses: Sequence[Pose], out: Path) -> Path:
    """Write `out` (.usda) with the stage of the scene as its sublayer; opened by itself, it shows the posed board.

    Parts get a new matrix and the label `defect`, missing ones become invisible, joints get the points they have in
    `pose`. Instances that a pose reaches into are made plain prims. The stage's own file is not written to. To lay the
    overrides over a stage that is already open, use the file as its session layer.
    """
    lib = pxr()
    stage = open_stage(scene.path)
    with quiet():
        layer = lib.Sdf.Layer.CreateAnonymous(".usda")
        layer.comment = "Pose defects; the stage below is untouched."
        for key in _STAYS:
            if stage.GetRootLayer().pseudoRoot.HasInfo(key):
                layer.pseudoRoot.SetInfo(key, stage.GetRootLayer().pseudoRoot.GetInfo(key))
        layer.subLayerPaths.append(_relative(scene.path, out.parent))
        writer = _Overrides(lib, stage, layer)
        parts = {part.path: part for part in scene.parts}
        changed = posed(scene, poses)
        for one in poses:
            part = parts[one.path]
            writer.part(part, one)
            for number in part.joints:
                place = scene.joints[number].mesh
                mesh = changed[place]
                if mesh is not None:
                    writer.joint(mesh, scene.to_world[scene.meshes[place].path])
        text = layer.ExportToString()
    write_text(out, text)
    return out


def local_matrix(part: Part, by: Pose) -> Frame:
    """The matrix of a part's prim, in stage units, that puts it where its pose has it in the world."""
    out: Frame = part.local @ part.parent @ by.matrix @ np.linalg.inv(part.parent)
    return out


class _Overrides:
    def __init__(self, lib: Any, stage: Any, layer: Any) -> None:
        self._lib, self._stage, self._layer = lib, stage, layer

    def part(self, part: Part, by: Pose) -> None:
        prim = self._over(part.path)
        self._label(prim, by.mode)
        if by.mode == "missing":
            self._set(prim, "visibility", "Token", "invisible")
            return
        self._set(
            prim, "xformOp:transform", "Matrix4d", self._lib.Gf.Matrix4d(*local_matrix(part, by).ravel().tolist())
        )
        order = ["xformOp:transform"]
        if self._lib.UsdGeom.Xformable(self._stage.GetPrimAtPath(part.path)).GetResetXformStack():
            order.insert(0, "!resetXformStack!")
        self._set(prim, "xformOpOrder", "TokenArray", order, uniform=True)

    def joint(self, mesh: Mesh, to_world: Frame) -> None:
        vt = self._lib.Vt
        prim = self._over(mesh.path)
        self._label(prim, mesh.labels["defect"])
        inverse = np.linalg.inv(to_world).astype(np.float64)
        points = applied(mesh.points, inverse).astype(np.float32)
        mirrored = np.linalg.det(to_world[:3, :3]) < 0
        faces = mesh.faces[:, ::-1] if mirrored else mesh.faces
        self._set(prim, "points", "Point3fArray", vt.Vec3fArray.FromNumpy(np.ascontiguousarray(points)))
        self._set(prim, "faceVertexCounts", "IntArray", vt.IntArray.FromNumpy(np.full(len(faces), 3, np.int32)))
        flat = np.ascontiguousarray(faces, np.int32).ravel()
        self._set(prim, "faceVertexIndices", "IntArray", vt.IntArray.FromNumpy(flat))
        self._set(prim, "orientation", "Token", "rightHanded", uniform=True)
        extent = np.stack([points.min(axis=0), points.max(axis=0)])
        self._set(prim, "extent", "Float3Array", vt.Vec3fArray.FromNumpy(extent))
        normals = None
        if mesh.normals is not None:
            local = mesh.normals.astype(np.float64) @ to_world[:3, :3].T
            length = np.maximum(np.linalg.norm(local, axis=1, keepdims=True), 1e-12)
            normals = vt.Vec3fArray.FromNumpy(np.ascontiguousarray(local / length, np.float32))
        self._values(prim, mesh.path, normals)

    def _values(self, prim: Any, path: str, normals: Any) -> None:
        """New normals; values that were made for the old points are blocked."""
        block = self._lib.Sdf.ValueBlock()
        spec = self._set(prim, "normals", "Normal3fArray", block if normals is None else normals)
        spec.SetInfo("interpolation", "vertex")
        below = self._stage.GetPrimAtPath(path)
        for primvar in self._lib.UsdGeom.PrimvarsAPI(below).GetPrimvars():
            attribute = primvar.GetAttr()
            if primvar.GetInterpolation() != "constant" and attribute.HasAuthoredValue():
                self._lib.Sdf.AttributeSpec(prim, attribute.GetName(), attribute.GetTypeName()).default = block
                if primvar.IsIndexed():
                    name = attribute.GetName() + ":indices"
                    self._lib.Sdf.AttributeSpec(prim, name, self._lib.Sdf.ValueTypeNames.IntArray).default = block

    def _over(self, path: str) -> Any:
        below = self._stage.GetPrimAtPath(path)
        while below and below.IsInstanceProxy():
            below = below.GetParent()
            if below.IsInstance():
                plain = self._lib.Sdf.CreatePrimInLayer(self._layer, below.GetPath())
                plain.SetInfo("instanceable", False)
        return self._lib.Sdf.CreatePrimInLayer(self._layer, path)

    def _label(self, prim: Any, mode: str) -> None:
        schemas = self._lib.Sdf.TokenListOp()
        schemas.prependedItems = ["SemanticsLabelsAPI:defect"]
        prim.SetInfo("apiSchemas", schemas)
        self._set(prim, "semantics:labels:defect", "TokenArray", [mode])

    def _set(self, prim: Any, name: str, kind: str, value: Any, *, uniform: bool = False) -> Any:
        sdf = self._lib.Sdf
        variability = sdf.VariabilityUniform if uniform else sdf.VariabilityVarying
        spec = sdf.AttributeSpec(prim, name, getattr(sdf.ValueTypeNames, kind), variability)
        spec.default = value
        return spec


def _relative(stage: Path, folder: Path) -> str:
    """The stage as an asset path from the folder of the layer."""
    way = Path(os.path.relpath(stage.resolve(), folder.resolve())).as_posix()
    return way if way.startswith(".") else f"./{way}"
