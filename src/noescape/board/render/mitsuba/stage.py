"""What Mitsuba has built, kept from frame to frame: only what changed is built again."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from noescape.board.model import Camera, Dome, Light, Material, Mesh, Ring
from noescape.board.render.mitsuba import shapes
from noescape.board.render.project import axes

Place = tuple[float, float, float, float, float]


class Stage:
    """Scenes of one variant. Kept: surfaces by material, shapes by the meshes in them, rings by their place, and the
    last whole scene, in which lights that only changed their brightness are set anew."""

    def __init__(self, mi: Any) -> None:
        self._mi = mi
        self._surfaces: dict[Material, Any] = {}
        self._shapes: dict[shapes.Group, tuple[tuple[Mesh, ...], Any]] = {}
        self._key: tuple[Any, ...] = ()
        self._scene: Any = None
        self.built = 0  # scenes put together, for the tests and the benchmark

    def scene(self, meshes: Sequence[Mesh], lights: Sequence[Light]) -> Any:
        """Everything but the camera. Meshes are the same if they are the same objects."""
        found = shapes.groups(meshes)
        bodies = {group: self._shape(group, tuple(members)) for group, members in found.items()}
        self._shapes = {group: self._shapes[group] for group in bodies}
        self._surfaces = {material: self._surfaces[material] for material, _ in bodies}
        # The shapes themselves, not their ids, so that none is freed and its id given to another.
        key = (tuple(bodies.values()), tuple(_place(light) for light in lights))
        if self._scene is None or not _same(key, self._key):
            self._scene, self._key = self._build(list(bodies.values()), lights), key
        else:
            self._dim(lights)
        return self._scene

    def _shape(self, group: shapes.Group, members: tuple[Mesh, ...]) -> Any:
        kept, shape = self._shapes.get(group, ((), None))
        if len(kept) != len(members) or any(a is not b for a, b in zip(kept, members, strict=True)):
            material = group[0]
            if material not in self._surfaces:
                self._surfaces[material] = shapes.bsdf(self._mi, material)
            shape = shapes.shape(self._mi, members, self._surfaces[material])
            self._shapes[group] = (members, shape)
        return shape

    def _build(self, bodies: Sequence[Any], lights: Sequence[Light]) -> Any:
        parts: dict[str, Any] = {"type": "scene"}
        parts |= {f"body{at:04d}": body for at, body in enumerate(bodies)}
        for at, light in enumerate(lights):
            if isinstance(light, Ring):
                parts[f"light{at:04d}"] = shapes.ring(self._mi, light)
        domes = [light for light in lights if isinstance(light, Dome)]
        if domes:
            parts["dome"] = {"type": "constant", "radiance": {"type": "rgb", "value": _sum(domes)}}
        self.built += 1
        return self._mi.load_dict(parts)

    def _dim(self, lights: Sequence[Light]) -> None:
        """Set how bright the lights are; their places are those of the scene."""
        values = self._mi.traverse(self._scene)
        for at, light in enumerate(lights):
            if isinstance(light, Ring):
                self._set(values, f"light{at:04d}.emitter.radiance.value", light.radiance)
        domes = [light for light in lights if isinstance(light, Dome)]
        if domes:
            self._set(values, "dome.radiance.value", _sum(domes))
        values.update()

    def _set(self, values: Any, name: str, radiance: Sequence[float]) -> None:
        values[name] = self._mi.Color3f(*(float(value) for value in radiance))


def sensor(mi: Any, camera: Camera, top: float) -> Any:
    """The camera. Its rays start just above `top`, the highest point of all meshes, so that no ring is in the way."""
    width, height = camera.resolution
    (ux, uy) = axes(camera)[1]
    base = {
        "film": {
            "type": "hdrfilm",
            "width": width,
            "height": height,
            "pixel_format": "rgb",
            "component_format": "float32",
            # The denoiser needs noise that differs from pixel to pixel; wider filters spread it over neighbours.
            "rfilter": {"type": "box"},
        },
        # Half the noise of independent samples for a third more time.
        "sampler": {"type": "multijitter"},
    }
    look = mi.ScalarTransform4f().look_at
    if camera.projection == "orthographic":
        # From near by: rays that start 5 m away lose the last digits.
        eye = [camera.x, camera.y, top + 1.0]
        turn = look(origin=eye, target=[camera.x, camera.y, top], up=[ux, uy, 0])
        half = camera.field[0] / 2
        scaled = turn @ mi.ScalarTransform4f().scale([half, half, 1])
        return mi.load_dict({"type": "orthographic", "near_clip": 0.5, "far_clip": 1e4, "to_world": scaled, **base})
    eye = [camera.x, camera.y, camera.z]
    turn = look(origin=eye, target=[camera.x, camera.y, camera.z - 1], up=[ux, uy, 0])
    return mi.load_dict(
        {
            "type": "perspective",
            "fov": _angle(camera),
            "fov_axis": "x",
            "near_clip": max((camera.z - top) * 0.99, 1e-3),
            "far_clip": camera.z - top + 1e4,
            "to_world": turn,
            **base,
        }
    )


def _angle(camera: Camera) -> float:
    return math.degrees(2 * math.atan(camera.field[0] / 2 / (camera.z - camera.focus_z)))


def _place(light: Light) -> Place | None:
    return None if isinstance(light, Dome) else (light.x, light.y, light.z, light.radius, light.width)


def _sum(domes: Sequence[Dome]) -> list[float]:
    return [float(sum(dome.radiance[at] for dome in domes)) for at in range(3)]


def _same(key: tuple[Any, ...], other: tuple[Any, ...]) -> bool:
    return (
        len(other) == 2
        and len(key[0]) == len(other[0])
        and all(a is b for a, b in zip(key[0], other[0], strict=True))
        and key[1] == other[1]
    )
