"""Meshes as Mitsuba's shapes: one for all triangles of a material, since ids do not come from here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from noescape.board.model import Material, Mesh, Ring
from noescape.board.render.ring import ring_strip
from noescape.board.render.soup import soup
from noescape.board.render.textures import texture

SMOOTHEST = 0.05  # of roughness; below it a path tracer finds the lights only by luck

Group = tuple[Material, bool]


def groups(meshes: Sequence[Mesh]) -> dict[Group, list[Mesh]]:
    """Meshes that can become one shape: of one material, smooth or flat."""
    out: dict[Group, list[Mesh]] = {}
    for mesh in meshes:
        if len(mesh.faces):
            out.setdefault((mesh.material, mesh.normals is not None), []).append(mesh)
    return out


def shape(mi: Any, meshes: Sequence[Mesh], bsdf: Any) -> Any:
    """The meshes of one group as one shape."""
    joined = soup(meshes)
    normals = uvs = None
    if meshes[0].normals is not None:
        normals = np.concatenate([mesh.normals for mesh in meshes if mesh.normals is not None])
    if textured(meshes[0].material):
        uvs = np.concatenate([np.zeros((len(m.points), 2)) if m.uvs is None else m.uvs for m in meshes])
        uvs = np.stack([uvs[:, 0], 1.0 - uvs[:, 1]], axis=1)  # its pictures' first row is v = 0
    return _mesh(mi, "mesh", joined.points, joined.faces, bsdf, normals=normals, uvs=uvs)


def ring(mi: Any, light: Ring) -> Any:
    """A strip round the axis that shines inwards and down only; black to rays that come from its back."""
    points, faces = ring_strip(light)
    black = mi.load_dict({"type": "diffuse", "reflectance": {"type": "rgb", "value": 0.0}})
    shines = mi.load_dict({"type": "area", "radiance": {"type": "rgb", "value": list(light.radiance)}})
    return _mesh(mi, "ring", points, faces, black, emitter=shines)


def bsdf(mi: Any, material: Material) -> Any:
    """How a material answers light, seen from both sides."""
    rough = max(float(material.roughness), SMOOTHEST)
    look = {
        "type": "principled",
        "base_color": _picture(mi, material.base_color_file, srgb=True)
        or {"type": "rgb", "value": [float(np.clip(v, 0, 1)) for v in material.base_color]},
        "metallic": _picture(mi, material.metallic_file) or float(np.clip(material.metallic, 0, 1)),
        "roughness": _picture(mi, material.roughness_file, least=SMOOTHEST) or float(np.clip(rough, 0, 1)),
    }
    return mi.load_dict({"type": "twosided", "bsdf": look})


def textured(material: Material) -> bool:
    """Whether a picture stands for any of its values."""
    return any((material.base_color_file, material.metallic_file, material.roughness_file))


def _picture(mi: Any, path: Any, *, srgb: bool = False, least: float = 0.0) -> dict[str, Any] | None:
    if path is None:
        return None
    pixels = texture(path)
    if not srgb:
        grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)[..., None]
        pixels = np.maximum(grey, np.uint8(round(least * 255)))
    bitmap = mi.Bitmap(np.ascontiguousarray(pixels))
    bitmap.set_srgb_gamma(srgb)
    return {"type": "bitmap", "bitmap": bitmap, "raw": not srgb, "filter_type": "bilinear", "wrap_mode": "repeat"}


def _mesh(
    mi: Any,
    name: str,
    points: npt.NDArray[np.float32],
    faces: npt.NDArray[np.int32],
    bsdf: Any,
    *,
    normals: npt.NDArray[np.floating] | None = None,
    uvs: npt.NDArray[np.floating] | None = None,
    emitter: Any = None,
) -> Any:
    properties = mi.Properties()
    properties["bsdf"] = bsdf
    properties["face_normals"] = normals is None
    if emitter is not None:
        properties["emitter"] = emitter
    smooth, mapped = normals is not None, uvs is not None
    mesh = mi.Mesh(
        name, len(points), len(faces), props=properties, has_vertex_normals=smooth, has_vertex_texcoords=mapped
    )
    values = mi.traverse(mesh)
    values["vertex_positions"] = np.ascontiguousarray(points, np.float32).ravel()
    values["faces"] = np.ascontiguousarray(faces, np.uint32).ravel()
    if normals is not None:
        values["vertex_normals"] = np.ascontiguousarray(normals, np.float32).ravel()
    if uvs is not None:
        values["vertex_texcoords"] = np.ascontiguousarray(uvs, np.float32).ravel()
    values.update()
    return mesh
