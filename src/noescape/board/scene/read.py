"""A USD stage as a Scene: the only door through which stages come in."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from noescape.board.model import Mesh
from noescape.board.scene.gather import gather_parts
from noescape.board.scene.lamps import stage_lights
from noescape.board.scene.meshes import Reader, Seen
from noescape.board.scene.semantics import Labels, Rule
from noescape.board.scene.target import Target
from noescape.board.scene.things import Bounds, Scene, StageCamera
from noescape.board.scene.usd import demand_prims, layer_files, open_stage, pxr, reading, world_scale
from noescape.board.scene.walk import walk
from noescape.files import sha256_file, sha256_named
from noescape.records import DataError

_PRIMS = ("pcba_root", "camera_path", "camera_xform_path", "ring_light_root")


def open_scene(usd: Path, target: Target, rules: Sequence[Rule] = ()) -> Scene:
    """Read a stage whole, into mm with z up.

    Read are meshes (polygons made triangles; subdivision is not carried out), their UsdPreviewSurface values and
    textures, instances, subsets, visibility, purpose and labels; rules win over labels of the stage (`Labels`). Time
    samples are read at the default time. DataError, PathEscapeError or UsageError for anything that is broken, missing
    or leads out of the stage's folder. Cost: about 1 ms per mesh, and the memory of its arrays.
    """
    stage = open_stage(usd)
    with reading(usd):
        demand_prims(stage, usd, {key: getattr(target, key) for key in _PRIMS})
        return _read(stage, usd, target, rules)


def _read(stage: Any, usd: Path, target: Target, rules: Sequence[Rule]) -> Scene:
    scale = world_scale(stage, usd)
    labels = Labels(rules)
    reader = Reader(stage, usd, scale)
    for found in walk(stage, target, labels, usd):
        reader.take(found)
    if not any(seen.on_board for seen in reader.seen):
        raise DataError(f"{usd}: no mesh is seen under pcba_root {target.pcba_root}: nothing to render")
    parts, joints = gather_parts(reader)
    notices = [*reader.notices, *reader.unread(), *(f"semantics: no prim matches {glob!r}" for glob in labels.unused())]
    lights, dark = stage_lights(stage, target.ring_light_root, scale, reader.turn)
    return Scene(
        path=usd,
        meshes=tuple(seen.mesh for seen in reader.seen),
        parts=parts,
        joints=joints,
        bounds=_bounds(usd, reader.seen, target),
        camera=_camera(stage, usd, target),
        lights=lights,
        digest=_digest(usd, layer_files(stage, usd), reader, target, rules),
        scale=scale,
        notices=(*notices, *dark),
        to_world={reader.seen[j.mesh].mesh.path: reader.seen[j.mesh].to_world for j in joints},
    )


def _bounds(usd: Path, seen: Sequence[Seen], target: Target) -> Bounds:
    boxes = np.array([box(one.mesh) for one in seen if one.on_board])
    out = np.stack([boxes[:, 0].min(axis=0), boxes[:, 1].max(axis=0)]).astype(np.float64)
    size = out[1] - out[0]
    if min(size[0], size[1]) < 1e-3:
        raise DataError(
            f"{usd}: what lies under {target.pcba_root} measures {size[0]:g} x {size[1]:g} mm: a board needs an area. "
            "Look at metersPerUnit and pcba_root"
        )
    return out


def box(mesh: Mesh) -> Bounds:
    """Lowest and highest corner of a mesh, [2, 3]."""
    return np.stack([mesh.points.min(axis=0), mesh.points.max(axis=0)]).astype(np.float64)


def _camera(stage: Any, usd: Path, target: Target) -> StageCamera:
    lib = pxr()
    prim = stage.GetPrimAtPath(target.camera_path)
    if not prim.IsA(lib.UsdGeom.Camera):
        raise DataError(f"{usd}: camera_path {target.camera_path} is a {prim.GetTypeName() or 'prim'}, not a Camera")
    camera = lib.UsdGeom.Camera(prim)
    flat = camera.GetProjectionAttr().Get() == "orthographic"
    focal = float(camera.GetFocalLengthAttr().Get() or 0)
    if not flat and not 0 < focal < 1e9:
        raise DataError(f"{usd}: the camera {target.camera_path} has the focal length {focal:g}, expected above 0")
    return StageCamera(projection="orthographic" if flat else "perspective", focal_length=focal or 500.0)


def _digest(usd: Path, files: list[Path], reader: Reader, target: Target, rules: Sequence[Rule]) -> str:
    said = json.dumps(
        {"target": target.model_dump(exclude={"scene"}), "rules": [rule.model_dump() for rule in rules]}, sort_keys=True
    )
    folder = usd.parent.resolve()
    used = {*files, *(f.resolve() for f in reader.materials.files)}
    named = [(str(f.relative_to(folder)), sha256_file(f)) for f in sorted(used)]
    return sha256_named([*named, ("\0said", said)])
