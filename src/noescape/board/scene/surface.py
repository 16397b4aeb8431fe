"""Materials of a stage as UsdPreviewSurface values; textures are taken from the stage's own folder only."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from noescape.board.model import Material, Vector
from noescape.records import DataError, PathEscapeError

# Where other shaders keep the same three values; the first name found counts.
_COLOR = ("diffuseColor", "diffuse_color_constant", "base_color", "baseColor")
_METAL = ("metallic", "metallic_constant", "metalness")
_ROUGH = ("roughness", "reflection_roughness_constant", "specular_roughness")
_COLOR_FILE = ("diffuse_texture", "base_color_texture")
PICTURES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp"})
GREY = Material(name="none")


class Materials:
    """Reads each material of a stage once. `folder` is where its textures must lie; `files` are those that it uses."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._known: dict[str, Material] = {}
        self.files: set[Path] = set()

    def of(self, material: Any, shown: Vector | None) -> Material:
        """The values of a bound UsdShade.Material (or of none: `shown`, the mesh's own colour, else grey)."""
        if not material:
            return GREY if shown is None else replace(GREY, name=_hex(shown), base_color=shown)
        path = str(material.GetPath())
        if path not in self._known:
            self._known[path] = self._read(material, path)
        return self._known[path]

    def _read(self, material: Any, path: str) -> Material:
        shader = material.ComputeSurfaceSource()[0] or material.ComputeSurfaceSource("mdl")[0]
        if not shader:
            return replace(GREY, name=path)
        color, color_file = self._value(shader, _COLOR, path)
        metal, metal_file = self._value(shader, _METAL, path)
        rough, rough_file = self._value(shader, _ROUGH, path)
        color_file = color_file or self._asset(shader, _COLOR_FILE, path)
        return Material(
            name=path,
            base_color=_vector(color, GREY.base_color),
            metallic=_number(metal, GREY.metallic),
            roughness=_number(rough, GREY.roughness),
            base_color_file=color_file,
            metallic_file=metal_file,
            roughness_file=rough_file,
        )

    def _value(self, shader: Any, names: tuple[str, ...], path: str) -> tuple[Any, Path | None]:
        """The value of an input, followed through connections; a texture gives its file."""
        found = next((i for n in names if (i := shader.GetInput(n)) and i.GetAttr().IsValid()), None)
        if found is None:
            return None, None
        for attribute in found.GetValueProducingAttributes():
            prim = attribute.GetPrim()
            identifier = prim.GetAttribute("info:id")
            if identifier and identifier.Get() == "UsdUVTexture":
                return None, self._file(prim.GetAttribute("inputs:file"), path)
            if prim.IsA("Shader"):  # a reader of a primvar or another node: its fallback, if it has one
                fallback = prim.GetAttribute("inputs:fallback")
                return (fallback.Get() if fallback else attribute.Get()), None
            return attribute.Get(), None
        return None, None

    def _asset(self, shader: Any, names: tuple[str, ...], path: str) -> Path | None:
        found = next((i for n in names if (i := shader.GetInput(n)) and i.GetAttr().IsValid()), None)
        return None if found is None else self._file(found.GetAttr(), path)

    def _file(self, attribute: Any, path: str) -> Path | None:
        asset = attribute.Get() if attribute else None
        if not asset:
            return None
        written, resolved = str(asset.path), str(asset.resolvedPath)
        file = Path(resolved or self._folder / written)
        try:
            inside = file.resolve().is_relative_to(self._folder)
        except (OSError, RuntimeError, ValueError):
            inside = False
        if not inside:
            raise PathEscapeError(
                f"the material {path} wants the texture {written!r}, which lies outside of the stage's folder "
                f"{self._folder}; copy it beside the stage and name it by a relative path"
            )
        if not file.is_file():
            raise DataError(f"the material {path} wants the texture {written!r}, which is not there ({file})")
        if file.suffix.lower() not in PICTURES:
            raise DataError(
                f"the material {path} wants the texture {written!r}; known are {', '.join(sorted(PICTURES))}"
            )
        self.files.add(file)
        return file


def _vector(value: Any, default: Vector) -> Vector:
    array = None if value is None else np.asarray(value, float).ravel()
    if array is None or array.size not in (3, 4) or not np.isfinite(array).all():
        return default
    low = np.clip(array[:3], 0, 1)
    return float(low[0]), float(low[1]), float(low[2])


def _number(value: Any, default: float) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return default
    return float(np.clip(number, 0, 1)) if np.isfinite(number) else default


def _hex(color: Vector) -> str:
    return "color_" + "".join(f"{round(255 * c):02x}" for c in color)
