"""Mesh prims as Mesh records in mm, z up."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from noescape.board.model import Material, Mesh, Vector
from noescape.board.scene.flatten import Ints, Triangles, Varying, flatten
from noescape.board.scene.joint import SaidJoint, read_joint
from noescape.board.scene.surface import Materials
from noescape.board.scene.things import Frame
from noescape.board.scene.usd import pxr
from noescape.board.scene.walk import Found
from noescape.records import DataError

MAX_TRIANGLES = 40_000_000
OTHER_SHAPES = frozenset(
    {"Cube", "Sphere", "Cylinder", "Cone", "Capsule", "Plane", "PointInstancer", "BasisCurves", "NurbsPatch"}
)
_PER = {"vertex": "point", "varying": "point", "faceVarying": "corner", "uniform": "face", "constant": "constant"}


@dataclass(frozen=True, kw_only=True, eq=False)
class Seen:
    """A mesh and what its part is gathered by. `to_world` is the prim's matrix from stage units into the world's mm."""

    mesh: Mesh
    part: str | None
    on_board: bool
    to_world: Frame
    joint: SaidJoint | None


@dataclass(frozen=True, kw_only=True, eq=False)
class PartPrim:
    """The prim of a part."""

    path: str
    labels: dict[str, str]
    local: Frame
    parent: Frame


@dataclass(frozen=True, kw_only=True, eq=False)
class _Shape:
    triangles: Triangles
    subsets: tuple[tuple[str, npt.NDArray[np.bool_]], ...]  # name, which triangles
    mirrored: bool


class Reader:
    """Takes found prims one after the other and keeps what can be rendered."""

    def __init__(self, stage: Any, path: Path, scale: float) -> None:
        lib = pxr()
        self._path, self._cache = path, lib.UsdGeom.XformCache()
        up = lib.UsdGeom.GetStageUpAxis(stage)
        self.turn = turned(scale, str(up))
        self.materials = Materials(path.parent)
        self.seen: list[Seen] = []
        self.parts: list[PartPrim] = []
        self.notices: list[str] = []
        self._shapes: dict[str, _Shape | None] = {}
        self._odd: dict[str, list[str]] = {}
        self._triangles = 0

    def take(self, found: Found) -> None:
        """Keep a prim if it is a part or a mesh."""
        kind = found.prim.GetTypeName()
        if found.part == found.path:
            self.parts.append(self._part(found))
        if kind == "Mesh":
            self._mesh(found)
        elif kind in OTHER_SHAPES:
            self._odd.setdefault(kind, []).append(found.path)

    def unread(self) -> list[str]:
        """What was seen and is no mesh, in words."""
        return [f"{len(paths)} {kind} not read (make it a mesh): {paths[0]}" for kind, paths in self._odd.items()]

    def _part(self, found: Found) -> PartPrim:
        local, resets = self._cache.GetLocalTransformation(found.prim)
        parent = np.eye(4) if resets else np.array(self._cache.GetParentToWorldTransform(found.prim))
        return PartPrim(path=found.path, labels=found.labels, local=np.array(local), parent=parent @ self.turn)

    def _mesh(self, found: Found) -> None:
        lib = pxr()
        prim = found.prim
        source = prim.GetPrimInPrototype() if prim.IsInstanceProxy() else prim
        key = str(source.GetPath())
        if key not in self._shapes:
            self._shapes[key] = self._shape(lib.UsdGeom.Mesh(source), found.path)
        shape = self._shapes[key]
        if shape is None:
            return
        self._triangles += len(shape.triangles.faces)
        if self._triangles > MAX_TRIANGLES:
            raise DataError(f"{self._path}: more than {MAX_TRIANGLES} triangles, instances written out, are not read")
        matrix = np.array(self._cache.GetLocalToWorldTransform(prim)) @ self.turn
        if not np.isfinite(matrix).all() or abs(np.linalg.det(matrix[:3, :3])) < 1e-30:
            raise DataError(f"{self._path}: {found.path} is flattened to nothing, or has no finite matrix")
        joint = read_joint(prim, self._path)
        shown = _shown(lib.UsdGeom.Mesh(prim))
        rest = np.ones(len(shape.triangles.faces), bool)
        for name, mask in shape.subsets:
            material = self._material(prim.GetChild(name), shown)
            self._keep(found, f"{found.path}/{name}", shape, mask, matrix, material, None)
            rest &= ~mask
        if rest.any():
            self._keep(found, found.path, shape, rest, matrix, self._material(prim, shown), joint)

    def _material(self, prim: Any, shown: Vector | None) -> Material:
        return self.materials.of(pxr().UsdShade.MaterialBindingAPI(prim).ComputeBoundMaterial()[0], shown)

    def _keep(
        self,
        found: Found,
        path: str,
        shape: _Shape,
        mask: npt.NDArray[np.bool_],
        matrix: Frame,
        material: Material,
        joint: SaidJoint | None,
    ) -> None:
        cut = shape.triangles
        points, faces, normals, uvs = cut.points, cut.faces, cut.normals, cut.uvs
        if not mask.all():
            used, places = np.unique(faces[mask], return_inverse=True)
            faces = places.reshape(-1, 3)
            points = points[used]
            normals = None if normals is None else normals[used]
            uvs = None if uvs is None else uvs[used]
        if (np.linalg.det(matrix[:3, :3]) < 0) != shape.mirrored:
            faces = faces[:, ::-1]
        self.seen.append(
            Seen(
                mesh=Mesh(
                    path=path,
                    instance=found.part or found.path,
                    points=np.ascontiguousarray(points @ matrix[:3, :3] + matrix[3, :3], np.float32),
                    faces=np.ascontiguousarray(faces, np.int32),
                    material=material,
                    labels=found.labels,
                    normals=None if normals is None else turned_normals(normals, matrix),
                    uvs=None if uvs is None else np.ascontiguousarray(uvs, np.float32),
                ),
                part=found.part,
                on_board=found.on_board,
                to_world=matrix,
                joint=joint,
            )
        )

    def _shape(self, mesh: Any, path: str) -> _Shape | None:
        lib = pxr()
        name = f"{self._path}: {path}"
        points = _array(mesh.GetPointsAttr().Get(), 3)
        counts = _array(mesh.GetFaceVertexCountsAttr().Get(), 0).astype(np.int64)
        indices = _array(mesh.GetFaceVertexIndicesAttr().Get(), 0).astype(np.int64)
        primvars = lib.UsdGeom.PrimvarsAPI(mesh)
        triangles = flatten(
            name,
            points,
            counts,
            indices,
            normals=_normals(mesh, primvars),
            uvs=_uvs(primvars),
            holes=_array(mesh.GetHoleIndicesAttr().Get(), 0).astype(np.int64),
        )
        if not len(triangles.faces):
            return None
        return _Shape(
            triangles=triangles,
            subsets=tuple(_subsets(mesh, triangles, len(counts), name)),
            mirrored=mesh.GetOrientationAttr().Get() == "leftHanded",
        )


def turned(scale: float, up: str) -> Frame:
    """Stage units and axes into mm with z up: [4, 4] for row vectors. `up` is Y or Z."""
    out = np.eye(4)
    if up != "Z":
        out[:3, :3] = [[1, 0, 0], [0, 0, 1], [0, -1, 0]]
    out[:3, :3] *= scale
    return out


def turned_normals(normals: npt.NDArray[np.float64], matrix: Frame) -> npt.NDArray[np.float32]:
    """Unit normals under a matrix that may scale unevenly or mirror."""
    out = normals @ np.linalg.inv(matrix[:3, :3]).T
    length = np.linalg.norm(out, axis=1, keepdims=True)
    return np.ascontiguousarray(out / np.where(length > 0, length, 1), np.float32)


def _array(value: Any, width: int) -> npt.NDArray[np.float64]:
    if value is None:
        return np.zeros((0, width) if width else 0)
    return np.asarray(value, dtype=np.float64)


def _normals(mesh: Any, primvars: Any) -> Varying | None:
    found = primvars.GetPrimvar("normals")
    if found and found.HasValue():
        return _varying(found)
    values = mesh.GetNormalsAttr().Get()
    if not values:
        return None
    return Varying(values=np.asarray(values, np.float64), per=_PER.get(mesh.GetNormalsInterpolation(), "point"))


def _uvs(primvars: Any) -> Varying | None:
    for name in ("st", "UVMap", "st0", "map1", "st_0"):
        found = primvars.GetPrimvar(name)
        if found and found.HasValue():
            varying = _varying(found)
            return varying if varying is not None and varying.values.shape[1:] == (2,) else None
    return None


def _varying(primvar: Any) -> Varying | None:
    values = primvar.ComputeFlattened()
    if values is None or not len(values):
        return None
    array = np.asarray(values, np.float64)
    return Varying(values=array.reshape(len(array), -1), per=_PER.get(primvar.GetInterpolation(), "point"))


def _shown(mesh: Any) -> Vector | None:
    values = mesh.GetDisplayColorAttr().Get()
    if not values:
        return None
    mean = np.clip(np.asarray(values, np.float64).reshape(-1, 3).mean(axis=0), 0, 1)
    return (float(mean[0]), float(mean[1]), float(mean[2])) if np.isfinite(mean).all() else None


def _subsets(mesh: Any, triangles: Triangles, faces: int, name: str) -> list[tuple[str, npt.NDArray[np.bool_]]]:
    out = []
    taken = np.zeros(faces, bool)
    for subset in pxr().UsdShade.MaterialBindingAPI(mesh.GetPrim()).GetMaterialBindSubsets():
        which: Ints = _array(subset.GetIndicesAttr().Get(), 0).astype(np.int64)
        if len(which) and (which.min() < 0 or which.max() >= faces):
            raise DataError(f"{name}: the subset {subset.GetPrim().GetName()!r} names faces that are not there")
        mask = np.zeros(faces, bool)
        mask[which] = True
        mask &= ~taken
        taken |= mask
        if (of_it := mask[triangles.polygon]).any():
            out.append((str(subset.GetPrim().GetName()), of_it))
    return out
