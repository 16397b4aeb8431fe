"""Defects of solder and of presence made in a scene: a bulge, a bridge, a part that is not there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from noescape.board.model import Mesh
from noescape.board.parts.fillets import bridge, fillet
from noescape.board.parts.model import PadRect, Solid
from noescape.board.scene.poses import Pose
from noescape.board.scene.posing import posed, terminal_box
from noescape.board.scene.things import Bounds, Joint, Part, Scene

TEXTURES = {"bridge": "IC", "excess_solder": "passive_component", "missing": "passive_component"}
PASSIVE = frozenset({"capacitor", "resistor", "inductor"})
EXCESS = (1.9, 3.2)  # volumes of a joint: 1 is a good one
BOTH = 0.3  # share of parts whose two joints bulge
BRIDGE_WIDTH = (0.4, 0.9)  # share of the pad's extent
BRIDGE_SLIDE = (-0.1, 0.5)  # of the room along the pads; above 0 is out from under the body
FAR = 2.2  # neighbours are pads at most so many least distances apart


@dataclass(frozen=True, kw_only=True)
class Chance:
    """One thing that can be spoilt: the parts and joints of a scene, by their places, and what has to be in view."""

    kind: str
    part: int
    joints: tuple[int, ...]
    bounds: tuple[tuple[float, float], tuple[float, float]]  # low and high x, y in mm


@dataclass(frozen=True, kw_only=True, eq=False)
class Spoilt:
    """A spoilt board: its meshes, those of them that are new or gone (by path), and what was drawn."""

    meshes: tuple[Mesh, ...]
    touched: frozenset[str]
    said: dict[str, float | str]


def chances(scene: Scene, kind: str) -> list[Chance]:
    """All places of a scene for a defect named as in `TEXTURES`, in the order of its parts."""
    find = {"bridge": _bridges, "excess_solder": _solder, "missing": _solder}[kind]
    out: list[Chance] = []
    for number, part in enumerate(scene.parts):
        out += find(scene, number, part, kind)
    return out


def spoil(scene: Scene, chance: Chance, rng: np.random.Generator) -> Spoilt:
    """The board with one defect; the meshes that stay are the same objects."""
    part = scene.parts[chance.part]
    said: dict[str, float | str] = {"kind": chance.kind, "refdes": part.refdes, "package": part.package}
    if chance.kind == "missing":
        gone = Pose(path=part.path, refdes=part.refdes, mode="missing", matrix=np.eye(4))
        changed = posed(scene, [gone])
        touched = frozenset(scene.meshes[i].path for i in changed)
        return Spoilt(meshes=_with(scene, changed), touched=touched, said=said)
    if chance.kind == "excess_solder":
        joints = chance.joints if rng.random() < BOTH else (chance.joints[int(rng.integers(len(chance.joints)))],)
        volume = float(rng.uniform(*EXCESS))
        new = {scene.joints[j].mesh: _swollen(scene, scene.joints[j], part, volume) for j in joints}
        touched = frozenset(mesh.path for mesh in new.values())
        return Spoilt(meshes=_with(scene, dict(new)), touched=touched, said={**said, "volume": round(volume, 4)})
    first, second = (scene.joints[j] for j in chance.joints)
    width, slide = float(rng.uniform(*BRIDGE_WIDTH)), float(rng.uniform(*BRIDGE_SLIDE))
    (x0, y0), (x1, y1) = part.bounds[:, :2]
    solid = bridge(_pad(first), _pad(second), width=width, slide=slide, away=((x0 + x1) / 2, (y0 + y1) / 2))
    base = scene.meshes[first.mesh]
    path = f"{base.path}_bridge"
    mesh = _shaped(replace(base, path=path, instance=path, labels={**base.labels, "defect": "bridge"}), solid)
    drawn = {"width": round(width, 4), "slide": round(slide, 4)}
    return Spoilt(meshes=(*scene.meshes, mesh), touched=frozenset({path}), said={**said, **drawn})


def _solder(scene: Scene, number: int, part: Part, kind: str) -> list[Chance]:
    if part.klass not in PASSIVE or len(part.joints) < 2:
        return []
    if kind == "excess_solder" and any(terminal_box(part, scene.joints[j]) is None for j in part.joints):
        return []
    return [Chance(kind=kind, part=number, joints=part.joints, bounds=_around(scene, part.bounds, part.joints))]


def _bridges(scene: Scene, number: int, part: Part, kind: str) -> list[Chance]:
    """Each pair of neighbouring joints of an IC."""
    if part.klass != "ic" or len(part.joints) < 2:
        return []
    at = np.array([[scene.joints[j].said.pad.x, scene.joints[j].said.pad.y] for j in part.joints])
    apart = np.hypot(*(at[:, None] - at[None]).transpose(2, 0, 1))
    np.fill_diagonal(apart, np.inf)
    near = float(apart.min()) * FAR / 2
    out = []
    for a, b in zip(*np.nonzero(np.triu(apart <= near)), strict=True):
        pair = (part.joints[int(a)], part.joints[int(b)])
        none = np.array([[np.inf] * 3, [-np.inf] * 3])
        out.append(Chance(kind=kind, part=number, joints=pair, bounds=_around(scene, none, pair)))
    return out


def _around(scene: Scene, bounds: Bounds, joints: Sequence[int]) -> tuple[tuple[float, float], tuple[float, float]]:
    points = [scene.meshes[scene.joints[j].mesh].points for j in joints]
    low = np.min([bounds[0], *(p.min(axis=0) for p in points)], axis=0)
    high = np.max([bounds[1], *(p.max(axis=0) for p in points)], axis=0)
    return (float(low[0]), float(low[1])), (float(high[0]), float(high[1]))


def _with(scene: Scene, changed: dict[int, Mesh] | dict[int, Mesh | None]) -> tuple[Mesh, ...]:
    return tuple(m for i, mesh in enumerate(scene.meshes) if (m := changed.get(i, mesh)) is not None)


def _pad(joint: Joint) -> PadRect:
    pad = joint.said.pad
    return PadRect(x=pad.x, y=pad.y, w=pad.w, h=pad.h, angle=pad.angle, corner=pad.corner)


def _swollen(scene: Scene, joint: Joint, part: Part, volume: float) -> Mesh:
    solid = fillet(_pad(joint), part.frame.T, terminal_box(part, joint), volume)
    mesh = scene.meshes[joint.mesh]
    return _shaped(replace(mesh, labels={**mesh.labels, "defect": "excess_solder"}), solid)


def _shaped(mesh: Mesh, solid: Solid) -> Mesh:
    return replace(
        mesh,
        points=np.ascontiguousarray(solid.points, np.float32),
        faces=np.ascontiguousarray(solid.faces, np.int32),
        normals=None if solid.normals is None else np.ascontiguousarray(solid.normals, np.float32),
        uvs=None,
    )
