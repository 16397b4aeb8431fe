"""The one writer of USD: prims with labels, materials and lights into a layer, and the layer's bytes.

It speaks to the layer itself (Sdf), not to a composed stage: 3,000 prims take 0.3 s instead of 3.
"""

from __future__ import annotations

import itertools
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from noescape.board.model import Faces, Material, Points, Vector
from noescape.records import UsageError

LOOKS = "/World/Looks"


class StageWriter:
    """Prims are written in the order of the calls; paths are made as needed, as Xforms."""

    def __init__(self, comment: str) -> None:
        self._pxr = _pxr()
        self._layer = self._pxr.Sdf.Layer.CreateAnonymous(".usdc")
        self._layer.comment = comment
        self._layer.defaultPrim = "World"
        root = self._layer.pseudoRoot
        root.SetInfo("upAxis", "Z")
        root.SetInfo("metersPerUnit", 0.001)
        self._materials: dict[Material, str] = {}
        self.triangles = 0

    def xform(
        self,
        path: str,
        *,
        translate: Vector | None = None,
        rotate_z: float | None = None,
        labels: Mapping[str, str] | None = None,
        data: Mapping[str, str] | None = None,
    ) -> None:
        """A frame; `data` lands in customData under `noescape`."""
        prim = self._prim(path, "Xform")
        order = []
        if translate is not None:
            self._set(prim, "xformOp:translate", "Double3", self._pxr.Gf.Vec3d(*translate))
            order.append("xformOp:translate")
        if rotate_z is not None:
            self._set(prim, "xformOp:rotateZ", "Float", float(rotate_z))
            order.append("xformOp:rotateZ")
        if order:
            self._set(prim, "xformOpOrder", "TokenArray", order, uniform=True)
        self._label(prim, labels or {}, [])
        if data:
            prim.customData = {"noescape": dict(data)}

    def mesh(
        self,
        path: str,
        points: Points,
        faces: Faces,
        material: Material,
        *,
        normals: Points | None = None,
        uvs: npt.NDArray[np.float32] | None = None,
        labels: Mapping[str, str] | None = None,
        data: Mapping[str, str] | None = None,
    ) -> None:
        """Triangles of one material."""
        vt, prim = self._pxr.Vt, self._prim(path, "Mesh")
        self.triangles += len(faces)
        points = np.ascontiguousarray(points, np.float32)
        corners = vt.Vec3fArray.FromNumpy(points)
        self._set(prim, "points", "Point3fArray", corners)
        self._set(prim, "faceVertexCounts", "IntArray", vt.IntArray.FromNumpy(np.full(len(faces), 3, np.int32)))
        indices = np.ascontiguousarray(faces, np.int32).ravel()
        self._set(prim, "faceVertexIndices", "IntArray", vt.IntArray.FromNumpy(indices))
        self._set(prim, "subdivisionScheme", "Token", "none", uniform=True)
        if len(points):
            box = np.stack([points.min(axis=0), points.max(axis=0)])
            self._set(prim, "extent", "Float3Array", vt.Vec3fArray.FromNumpy(box))
        if normals is not None:
            values = vt.Vec3fArray.FromNumpy(np.ascontiguousarray(normals, np.float32))
            self._set(prim, "normals", "Normal3fArray", values).SetInfo("interpolation", "vertex")
        if uvs is not None:
            pairs = vt.Vec2fArray.FromNumpy(np.ascontiguousarray(uvs, np.float32))
            self._set(prim, "primvars:st", "TexCoord2fArray", pairs).SetInfo("interpolation", "vertex")
        self._label(prim, labels or {}, ["MaterialBindingAPI"])
        relation = self._pxr.Sdf.RelationshipSpec(prim, "material:binding", False)
        relation.targetPathList.explicitItems = [f"{LOOKS}/{self._look_name(material)}"]
        if data:
            prim.customData = {"noescape": dict(data)}

    def camera(self, path: str, position: Vector, *, aperture: tuple[float, float], focal: float) -> None:
        """An orthographic camera that looks down; apertures in tenths of a mm, as USD counts them."""
        prim = self._prim(path, "Camera")
        self._set(prim, "projection", "Token", "orthographic")
        self._set(prim, "horizontalAperture", "Float", aperture[0])
        self._set(prim, "verticalAperture", "Float", aperture[1])
        self._set(prim, "focalLength", "Float", focal)
        self._set(prim, "clippingRange", "Float2", self._pxr.Gf.Vec2f(0.1, 10 * position[2] + 1000))
        self._set(prim, "xformOp:translate", "Double3", self._pxr.Gf.Vec3d(*position))
        self._set(prim, "xformOpOrder", "TokenArray", ["xformOp:translate"], uniform=True)

    def lamp(self, path: str, position: Vector, radius: float, color: Vector, intensity: float) -> None:
        """A small lamp."""
        prim = self._prim(path, "SphereLight")
        self._set(prim, "inputs:color", "Color3f", self._pxr.Gf.Vec3f(*color))
        self._set(prim, "inputs:intensity", "Float", intensity)
        self._set(prim, "inputs:radius", "Float", radius)
        self._set(prim, "xformOp:translate", "Double3", self._pxr.Gf.Vec3d(*position))
        self._set(prim, "xformOpOrder", "TokenArray", ["xformOp:translate"], uniform=True)

    def dome_light(self, path: str, intensity: float) -> None:
        """White light from everywhere."""
        prim = self._prim(path, "DomeLight")
        self._set(prim, "inputs:color", "Color3f", self._pxr.Gf.Vec3f(1, 1, 1))
        self._set(prim, "inputs:intensity", "Float", intensity)

    def data(self, path: str, values: Mapping[str, str]) -> None:
        """customData under `noescape` of a prim that is there."""
        self._layer.GetPrimAtPath(path).customData = {"noescape": dict(values)}

    def to_bytes(self, textures: Mapping[Path, str]) -> bytes:
        """The stage as a binary layer; `textures`: the asset path that stands for each file of the materials."""
        for material, name in self._materials.items():
            self._look(material, f"{LOOKS}/{name}", textures)
        self._materials = {}
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder) / "stage.usdc"
            if not self._layer.Export(str(place)):
                raise UsageError("USD could not write the stage; is there room in the folder for temporary files?")
            return place.read_bytes()

    def _prim(self, path: str, kind: str) -> Any:
        sdf = self._pxr.Sdf
        prim = sdf.CreatePrimInLayer(self._layer, path)
        prim.specifier = sdf.SpecifierDef
        prim.typeName = kind
        above = prim.nameParent
        while above is not None and above.path != sdf.Path.absoluteRootPath and above.specifier != sdf.SpecifierDef:
            above.specifier, above.typeName = sdf.SpecifierDef, "Xform"
            above = above.nameParent
        return prim

    def _set(self, prim: Any, name: str, kind: str, value: object, *, uniform: bool = False) -> Any:
        sdf = self._pxr.Sdf
        variability = sdf.VariabilityUniform if uniform else sdf.VariabilityVarying
        spec = sdf.AttributeSpec(prim, name, getattr(sdf.ValueTypeNames, kind), variability)
        if value is not None:
            spec.default = value
        return spec

    def _label(self, prim: Any, labels: Mapping[str, str], schemas: list[str]) -> None:
        applied = [f"SemanticsLabelsAPI:{name}" for name, value in labels.items() if value] + schemas
        if applied:
            schema_list = self._pxr.Sdf.TokenListOp()
            schema_list.prependedItems = applied
            prim.SetInfo("apiSchemas", schema_list)
        for name, value in labels.items():
            if value:
                self._set(prim, f"semantics:labels:{name}", "TokenArray", [value])

    def _look_name(self, material: Material) -> str:
        """The prim of a material: its name, with a number where another material has the same."""
        if material not in self._materials:
            base = identifier(material.name)
            taken = set(self._materials.values())
            self._materials[material] = next(
                n for k in itertools.count(1) if (n := f"{base}_{k}" if k > 1 else base) not in taken
            )
        return self._materials[material]

    def _look(self, material: Material, path: str, textures: Mapping[Path, str]) -> None:
        prim = self._prim(path, "Material")
        shader = self._prim(f"{path}/Surface", "Shader")
        self._set(shader, "info:id", "Token", "UsdPreviewSurface", uniform=True)
        color = self._set(shader, "inputs:diffuseColor", "Color3f", self._pxr.Gf.Vec3f(*material.base_color))
        metal = self._set(shader, "inputs:metallic", "Float", float(material.metallic))
        rough = self._set(shader, "inputs:roughness", "Float", float(material.roughness))
        self._set(shader, "outputs:surface", "Token", None)
        self._connect(self._set(prim, "outputs:surface", "Token", None), f"{path}/Surface.outputs:surface")
        files = (
            (color, "Color", material.base_color_file, "rgb", "Float3", "sRGB"),
            (metal, "Metallic", material.metallic_file, "r", "Float", "raw"),
            (rough, "Roughness", material.roughness_file, "r", "Float", "raw"),
        )
        for spec, name, file, channel, kind, space in files:
            if file is not None:
                self._texture(path, name, textures[file], channel, kind, space)
                self._connect(spec, f"{path}/{name}.outputs:{channel}")

    def _texture(self, path: str, name: str, asset: str, channel: str, kind: str, space: str) -> None:
        reader = f"{path}/Coordinates"
        if self._layer.GetPrimAtPath(reader) is None:
            prim = self._prim(reader, "Shader")
            self._set(prim, "info:id", "Token", "UsdPrimvarReader_float2", uniform=True)
            self._set(prim, "inputs:varname", "String", "st")
            self._set(prim, "outputs:result", "Float2", None)
        prim = self._prim(f"{path}/{name}", "Shader")
        self._set(prim, "info:id", "Token", "UsdUVTexture", uniform=True)
        self._set(prim, "inputs:file", "Asset", self._pxr.Sdf.AssetPath(asset))
        self._set(prim, "inputs:sourceColorSpace", "Token", space)
        for wrap in ("wrapS", "wrapT"):
            self._set(prim, f"inputs:{wrap}", "Token", "clamp")
        self._connect(self._set(prim, "inputs:st", "Float2", None), f"{reader}.outputs:result")
        self._set(prim, f"outputs:{channel}", kind, None)

    def _connect(self, spec: Any, target: str) -> None:
        spec.connectionPathList.explicitItems = [target]


def identifier(text: str, default: str = "unnamed") -> str:
    """A name that USD takes: letters, figures and `_`, not beginning with a figure."""
    plain = re.sub(r"[^A-Za-z0-9_]+", "_", text) or default
    return f"_{plain}" if plain[0].isdigit() else plain


def read_data(path: Path, prim: str) -> dict[str, str]:
    """What `data` wrote at a prim of a stage, empty where nothing is."""
    pxr = _pxr()
    try:
        layer = pxr.Sdf.Layer.FindOrOpen(str(path))
    except pxr.Tf.ErrorException:
        layer = None
    spec = layer.GetPrimAtPath(prim) if layer is not None else None
    found = spec.customData.get("noescape", {}) if spec is not None else {}
    return {str(key): str(value) for key, value in dict(found).items()}


def children(path: Path, prim: str) -> list[str]:
    """Names of the prims under one, in order."""
    layer = _pxr().Sdf.Layer.FindOrOpen(str(path))
    spec = layer.GetPrimAtPath(prim) if layer is not None else None
    return [str(child.name) for child in spec.nameChildren] if spec is not None else []


def _pxr() -> Any:
    try:
        import pxr
        from pxr import Gf, Sdf, Tf, Vt  # noqa: F401  they become attributes of pxr
    except ImportError:
        raise UsageError("a USD stage needs usd-core, which is not installed: pip install 'noescape[board]'") from None
    return pxr
