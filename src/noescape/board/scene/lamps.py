"""The lights that a stage brings along, as far as they can be said by rings round the camera and light from above."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from noescape.board.model import Vector
from noescape.board.scene.things import Frame, StageLights, StageRing
from noescape.board.scene.usd import pxr

_LAMPS = frozenset({"DiskLight", "SphereLight", "RectLight", "CylinderLight", "GeometryLight"})
_FROM_AFAR = frozenset({"DomeLight", "DomeLight_1", "DistantLight"})
ON_AXIS = 1e-3  # mm
Vec = npt.NDArray[np.float64]


def stage_lights(stage: Any, ring_root: str, scale: float, turn: Frame) -> tuple[StageLights, tuple[str, ...]]:
    """The stage's lights and what of them was left out, in words.

    Each prim right under `ring_root` is a layer; its lamps (disk, sphere, rectangle, cylinder) become one ring of
    their mean radius and height round the axis of all of them; a single lamp on the axis, one of its own radius. Dome
    and distant lights become one white light from above. Other lamps are left out.
    """
    lib = pxr()
    cache = lib.UsdGeom.XformCache()
    root = stage.GetPrimAtPath(ring_root)
    layers = [(str(layer.GetName()), _lamps_of(layer)) for layer in root.GetChildren()]
    layers = [(name, lamps) for name, lamps in layers if lamps]
    middles = [np.mean([_place(cache, lamp, turn) for lamp in lamps], axis=0) for _, lamps in layers]
    axis = np.mean(middles, axis=0) if middles else np.zeros(3)
    rings = [_ring(name, lamps, cache, axis, turn, scale) for name, lamps in layers]
    notices: list[str] = []
    dome = np.zeros(3)
    for prim in stage.Traverse():
        kind = prim.GetTypeName()
        if kind in _FROM_AFAR and _seen(prim):
            dome += np.array(_color(prim)) * _strength(prim)
        elif kind in _LAMPS and _seen(prim) and not prim.GetPath().HasPrefix(root.GetPath()):
            notices.append(f"{prim.GetPath()}: a {kind} outside of ring_light_root gives no light here")
    return StageLights(rings=tuple(rings), dome=_vector(dome) if dome.any() else None), tuple(notices)


def _lamps_of(layer: Any) -> list[Any]:
    return [p for p in pxr().Usd.PrimRange(layer) if p.GetTypeName() in _LAMPS and _seen(p)]


def _ring(name: str, lamps: list[Any], cache: Any, axis: Vec, turn: Frame, scale: float) -> StageRing:
    places = np.array([_place(cache, lamp, turn) for lamp in lamps])
    power = np.array([_strength(lamp) for lamp in lamps])
    colors = np.array([_color(lamp) for lamp in lamps])
    total = float(power.sum())
    mean = (colors * power[:, None]).sum(axis=0) / total if total > 0 else colors.mean(axis=0)
    off = places[:, :2] - axis[:2]
    radius = float(np.hypot(off[:, 0], off[:, 1]).mean())
    if radius < ON_AXIS:  # one lamp over the middle stands for a ring as wide as itself
        radius = float(np.mean([_get(lamp, "inputs:radius", 0.5) for lamp in lamps])) * scale
    return StageRing(name=name, radius=radius, z=float(places[:, 2].mean()), color=_vector(mean), strength=total)


def _place(cache: Any, prim: Any, turn: Frame) -> Vec:
    matrix = np.array(cache.GetLocalToWorldTransform(prim)) @ turn
    out: Vec = matrix[3, :3]
    return out


def _strength(prim: Any) -> float:
    intensity = _get(prim, "inputs:intensity", 1.0)
    exposure = min(max(_get(prim, "inputs:exposure", 0.0), -40.0), 40.0)
    return max(0.0, intensity) * float(2.0**exposure)


def _color(prim: Any) -> Vector:
    attribute = prim.GetAttribute("inputs:color")
    value = attribute.Get() if attribute else None
    return (1.0, 1.0, 1.0) if value is None else _vector(np.asarray(value, float))


def _get(prim: Any, name: str, default: float) -> float:
    attribute = prim.GetAttribute(name)
    value = attribute.Get() if attribute else None
    return default if value is None or not np.isfinite(float(value)) else float(value)


def _seen(prim: Any) -> bool:
    return bool(pxr().UsdGeom.Imageable(prim).ComputeVisibility() != "invisible")


def _vector(values: Vec) -> Vector:
    finite = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    return float(finite[0]), float(finite[1]), float(finite[2])
