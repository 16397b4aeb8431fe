"""VRML models of parts to meshes, one piece per material, in mm. KiCad's models count in tenths of an inch."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from noescape.board.model import Material
from noescape.board.parts.model import Piece
from noescape.board.parts.shading import creased
from noescape.board.parts.vrml import MAX_DEPTH, Node, parse_vrml
from noescape.records import DataError

MM_PER_UNIT = 2.54
MAX_TRIANGLES = 3_000_000
_METAL = re.compile(r"^(pin|met|gold|silver|tin|solder|steel|alu|chrom|nickel|copper|terminal|lead)", re.I)
_GROUPS = ("Transform", "Group", "Anchor", "Collision", "Billboard")
Flat = npt.NDArray[np.float64]


def read_wrl(path: Path) -> tuple[Piece, ...]:
    """Every IndexedFaceSet of a .wrl, gathered by material. DataError: not VRML97, damaged, empty, too large."""
    nodes = parse_vrml(path.read_bytes(), str(path))
    found: dict[str, tuple[Material, list[tuple[Flat, Any, Flat]]]] = {}
    budget = [MAX_TRIANGLES, 50_000]
    for node in nodes:
        for name, material, item in _shapes(node, np.eye(4), str(path), 0, budget):
            found.setdefault(name, (material, []))[1].append(item)
    if not found:
        raise DataError(f"{path}: no IndexedFaceSet with faces in it; nothing to show")
    pieces = []
    for name, (material, items) in sorted(found.items()):
        starts = np.cumsum([0, *(len(p) for p, _, _ in items)])
        points = np.concatenate([p for p, _, _ in items])
        faces = np.concatenate([f + s for (_, f, _), s in zip(items, starts, strict=False)])
        normals = np.concatenate([n for _, _, n in items])
        pieces.append(
            Piece(name=name, points=points.astype(np.float32), faces=faces.astype(np.int32),
            normals=normals.astype(np.float32),
                  material=material)
        )  # fmt: skip
    return tuple(pieces)


def _shapes(node: Node, matrix: Flat, where: str, depth: int, budget: list[int]) -> Iterator[tuple[str, Material, Any]]:
    """(name, material, (points, faces, normals)) of every shape under a node, in mm. `budget` counts down triangles
    and visits: DEF and USE can fold a small file into an endless one."""
    budget[1] -= 1
    if depth > MAX_DEPTH or budget[1] < 0:
        raise DataError(f"{where}: nodes used inside one another too often; at most 50,000 visits are made")
    if node.type == "Shape":
        yield from _shape(node, matrix, where, budget)
        return
    if node.type in _GROUPS:
        children = node.fields.get("children", [])
        inner = matrix @ _transform(node) if node.type == "Transform" else matrix
    elif node.type in ("LOD", "Switch"):
        levels = node.fields.get("level", node.fields.get("choice", []))
        children, inner = levels[:1] if isinstance(levels, list) else levels, matrix
    else:
        return
    for child in children if isinstance(children, list) else [children]:
        if isinstance(child, Node):
            yield from _shapes(child, inner, where, depth + 1, budget)


def _shape(node: Node, matrix: Flat, where: str, budget: list[int]) -> Iterator[tuple[str, Material, Any]]:
    geometry = node.child("geometry")
    if geometry is None or geometry.type != "IndexedFaceSet":
        return
    coord = geometry.child("coord")
    raw, index = coord.fields.get("point") if coord else None, geometry.fields.get("coordIndex")
    if not isinstance(raw, np.ndarray) or not isinstance(index, np.ndarray) or raw.size < 9 or index.size < 3:
        return
    if raw.size % 3 or not np.isfinite(raw).all() or np.abs(raw).max() > 1e6:
        raise DataError(f"{where}: a list of points is not made of finite x y z within a million units")
    faces = _triangles(index, len(raw) // 3, where)
    if geometry.fields.get("ccw") is False:
        faces = faces[:, ::-1]
    if np.linalg.det(matrix[:3, :3]) < 0:
        faces = faces[:, ::-1]
    budget[0] -= len(faces)
    if budget[0] < 0:
        raise DataError(f"{where}: more than {MAX_TRIANGLES:,} triangles")
    if not len(faces):
        return
    points = MM_PER_UNIT * (raw.reshape(-1, 3) @ matrix[:3, :3].T + matrix[:3, 3])
    crease = float(geometry.numbers("creaseAngle", 1, (0.0,))[0])
    appearance = node.child("appearance")
    name, material = _material(appearance.child("material") if appearance else None)
    yield name, material, creased(points, faces, crease)


def _triangles(index: Flat, count: int, where: str) -> npt.NDArray[np.int64]:
    """Faces from a coordIndex: each polygon, ended by -1, as a fan about its first corner."""
    whole = index.astype(np.int64)
    if (whole != index).any() or whole.min() < -1 or whole.max() >= count:
        raise DataError(f"{where}: a face speaks of point {int(whole.max())}; the points are numbered 0 to {count - 1}")
    if whole[-1] != -1:
        whole = np.append(whole, -1)
    ends = np.flatnonzero(whole == -1)
    starts = np.concatenate([[0], ends[:-1] + 1])
    sizes = ends - starts
    out = []
    for size in np.unique(sizes[sizes >= 3]):
        polygons = whole[starts[sizes == size][:, None] + np.arange(size)]
        for k in range(1, size - 1):
            out.append(polygons[:, [0, k, k + 1]])
    faces = np.concatenate(out) if out else np.zeros((0, 3), np.int64)
    same = (faces[:, 0] == faces[:, 1]) | (faces[:, 1] == faces[:, 2]) | (faces[:, 0] == faces[:, 2])
    return np.asarray(faces[~same])


def _transform(node: Node) -> Flat:
    """Translation, rotation about an axis and scale of a Transform node, about its centre."""
    out, centre = np.eye(4), np.eye(4)
    axis, angle = node.numbers("rotation", 4, (0, 0, 1, 0))[:3], float(node.numbers("rotation", 4, (0, 0, 1, 0))[3])
    length = float(np.linalg.norm(axis))
    turn = np.eye(3)
    if length > 1e-9:
        x, y, z = axis / length
        cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
        turn = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * (cross @ cross)
    out[:3, :3] = turn @ np.diag(node.numbers("scale", 3, (1, 1, 1)))
    centre[:3, 3] = node.numbers("center", 3, (0, 0, 0))
    move = np.eye(4)
    move[:3, 3] = node.numbers("translation", 3, (0, 0, 0))
    return move @ centre @ out @ np.linalg.inv(centre)


def _material(node: Node | None) -> tuple[str, Material]:
    """A VRML material as ours; KiCad's names say what is metal (PIN-, MET-), shininess gives the roughness."""
    if node is None:
        return "Plain", Material(name="Plain", base_color=(0.6, 0.6, 0.6))
    r, g, b = (_linear(float(c)) for c in np.clip(node.numbers("diffuseColor", 3, (0.8, 0.8, 0.8)), 0, 1))
    shine = float(np.clip(node.numbers("shininess", 1, (0.2,))[0], 0, 1))
    metal = bool(_METAL.match(node.name))
    plain = re.sub(r"\W+", "_", node.name, flags=re.ASCII).strip("_")
    name = f"Model_{plain or f'{round(255 * r):02x}{round(255 * g):02x}{round(255 * b):02x}'}"[:60]
    roughness = float(np.clip(0.75 - 0.5 * shine, 0.25, 0.7)) if not metal else 0.33
    return name, Material(name=name, base_color=(r, g, b), metallic=1.0 if metal else 0.0, roughness=roughness)


def _linear(value: float) -> float:
    """VRML colours were picked on a screen (sRGB)."""
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
