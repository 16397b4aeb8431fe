"""Meshes gathered into parts, and joints tied to the parts that they hold."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from noescape.board.model import Mesh
from noescape.board.scene.joint import SaidJoint
from noescape.board.scene.meshes import PartPrim, Reader
from noescape.board.scene.things import Bounds, Frame, Joint, Part
from noescape.board.scene.turning import Vec


def gather_parts(reader: Reader) -> tuple[tuple[Part, ...], tuple[Joint, ...]]:
    """Parts in the order of the stage (those that show no mesh are left out) and the joints that name one of them."""
    meshes: dict[str, list[int]] = defaultdict(list)
    for place, seen in enumerate(reader.seen):
        if seen.part is not None:
            meshes[seen.part].append(place)
    prims = [prim for prim in reader.parts if prim.path in meshes]
    names = _names(prims)
    joints: list[Joint] = []
    held: dict[str, list[int]] = defaultdict(list)
    for place, seen in enumerate(reader.seen):
        if seen.joint is None or (path := names.get(seen.joint.part)) is None:
            continue
        if not _on_its_pad(seen.mesh, seen.joint):
            reader.notices.append(f"{seen.mesh.path}: its pad lies elsewhere, so it stays as it is when its part moves")
            continue
        held[path].append(len(joints))
        joints.append(Joint(mesh=place, part=path, said=seen.joint))
    return tuple(_part(prim, reader, meshes[prim.path], held[prim.path]) for prim in prims), tuple(joints)


def _on_its_pad(mesh: Mesh, said: SaidJoint) -> bool:
    """Whether the solder lies where it says; not so in a board that was moved as a whole after its import."""
    reach = max(said.pad.w, said.pad.h)
    centre = np.array([said.pad.x, said.pad.y])
    low, high = mesh.points[:, :2].min(axis=0) - reach, mesh.points[:, :2].max(axis=0) + reach
    return bool((centre >= low).all() and (centre <= high).all())


def rigid(matrix: Frame) -> Frame:
    """The nearest frame without scale: its axes made unit length; upright where they are not square to each other."""
    axes = matrix[:3, :3] / np.linalg.norm(matrix[:3, :3], axis=1, keepdims=True)
    out = np.eye(4)
    out[3, :3] = matrix[3, :3]
    if np.allclose(axes @ axes.T, np.eye(3), atol=1e-4) and np.linalg.det(axes) > 0:
        out[:3, :3] = axes
    return out


def in_frame(points: Vec, frame: Frame) -> Vec:
    """World points in a rigid frame's own coordinates."""
    out: Vec = (points - frame[3, :3]) @ frame[:3, :3].T
    return out


def _part(prim: PartPrim, reader: Reader, meshes: list[int], joints: list[int]) -> Part:
    frame = rigid(prim.local @ prim.parent)
    pieces: dict[str, Bounds] = {}
    world = []
    for place in meshes:
        mesh = reader.seen[place].mesh
        points = mesh.points.astype(np.float64)
        own = in_frame(points, frame)
        pieces[mesh.path[len(prim.path) + 1 :] or "."] = np.stack([own.min(axis=0), own.max(axis=0)])
        world.append(np.stack([points.min(axis=0), points.max(axis=0)]))
    name = prim.path.rpartition("/")[2]
    labels = prim.labels
    family, refdes = _family(name, labels.get("refdes", ""))
    klass = labels.get("class") or reader.seen[meshes[0]].mesh.labels.get("class", "")
    boxes, bounds = np.array(list(pieces.values())), np.array(world)
    return Part(
        path=prim.path,
        name=name,
        family=family,
        refdes=refdes,
        package=labels.get("package", ""),
        klass=klass,
        frame=frame,
        box=np.stack([boxes[:, 0].min(axis=0), boxes[:, 1].max(axis=0)]),
        bounds=np.stack([bounds[:, 0].min(axis=0), bounds[:, 1].max(axis=0)]),
        meshes=tuple(meshes),
        joints=tuple(joints),
        pieces=pieces,
        local=prim.local,
        parent=prim.parent,
    )


def _family(name: str, refdes: str) -> tuple[str, str]:
    """`C0603`, `C1` of `C0603_C1`; names without a family are their own."""
    if refdes and name.endswith("_" + refdes):
        return name[: -len(refdes) - 1], refdes
    family, _, last = name.rpartition("_")
    return (family or name), (refdes or (last if family else name))


def _names(prims: list[PartPrim]) -> dict[str, str]:
    """By what a joint may name its part: path, prim name or refdes; the first part of a name counts."""
    out: dict[str, str] = {}
    for prim in prims:
        out.setdefault(prim.path, prim.path)
        name = prim.path.rpartition("/")[2]
        out.setdefault(name, prim.path)
        out.setdefault(_family(name, prim.labels.get("refdes", ""))[1], prim.path)
    return out
