"""A few meshes to render: a board, boxes on it, a round drop of solder; no stage, no files."""

from __future__ import annotations

from typing import Any

import numpy as np

from noescape.board.model import Camera, Dome, Material, Mesh, Ring

MASK = Material(name="mask", base_color=(0.01, 0.12, 0.03), roughness=0.2)
WHITE = Material(name="white", base_color=(1.0, 1.0, 1.0), roughness=1.0)
GREY = Material(name="grey", base_color=(0.4, 0.4, 0.4), roughness=0.8)
SOLDER = Material(name="solder", base_color=(0.85, 0.85, 0.85), metallic=1.0, roughness=0.12)
RINGS = (
    Ring(name="Inner_Red", x=0, y=0, z=75, radius=27, width=12, radiance=(8, 0, 0)),
    Ring(name="Middle_Green", x=0, y=0, z=59, radius=53, width=12, radiance=(0, 5, 0)),
    Ring(name="Outer_Blue", x=0, y=0, z=30, radius=74, width=12, radiance=(0, 0, 8)),
)
SKY = (Dome(name="sky", radiance=(1.0, 1.0, 1.0)),)
_QUADS = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]


def box(path: str, low: tuple[float, ...], high: tuple[float, ...], material: Material = GREY, **labels: str) -> Mesh:
    """A box; its instance is the path up to the second last part for `/Part/Body`-like paths."""
    points = np.array([[x, y, z] for x in (low[0], high[0]) for y in (low[1], high[1]) for z in (low[2], high[2])])
    faces = [t for a, b, c, d in _QUADS for t in ((a, b, c), (a, c, d))]
    instance = path.rpartition("/")[0] if path.count("/") > 1 else path
    return Mesh(
        path=path,
        instance=instance,
        points=points.astype(np.float32),
        faces=np.array(faces, np.int32),
        material=material,
        labels=labels,
    )


def drop(path: str, x: float, y: float, radius: float, height: float, count: int = 24) -> Mesh:
    """A round cap of solder with smooth normals."""
    ring = np.linspace(0, 1, count)
    turn = np.linspace(0, 2 * np.pi, 2 * count, endpoint=False)
    r, a = np.meshgrid(ring, turn, indexing="ij")
    points = np.stack([x + radius * r * np.cos(a), y + radius * r * np.sin(a), height * np.sqrt(1 - r**2 * 0.98)], -1)
    slope = height * 0.98 * r / np.sqrt(1 - r**2 * 0.98) / radius
    normals = np.stack([slope * np.cos(a), slope * np.sin(a), np.ones_like(r)], -1)
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    n = 2 * count
    faces = []
    for i in range(count - 1):
        for j in range(n):
            k, m = i * n + j, i * n + (j + 1) % n
            faces += [(k, k + n, m + n), (k, m + n, m)]
    return Mesh(
        path=path,
        instance=path,
        points=points.reshape(-1, 3).astype(np.float32),
        faces=np.array(faces, np.int32),
        material=SOLDER,
        labels={"class": "solder", "refdes": "C1"},
        normals=normals.reshape(-1, 3).astype(np.float32),
    )


def board(*more: Mesh) -> tuple[Mesh, ...]:
    """A board of 12 x 8 mm with two parts, one of two meshes, and a drop of solder."""
    return (
        box("/Board", (-6, -4, -1.6), (6, 4, 0), MASK, **{"class": "pcb"}),
        box("/C1/Body", (-2, -0.5, 0), (0, 0.5, 0.8), **{"class": "capacitor", "refdes": "C1"}),
        box("/C1/Terminal_1", (-2.2, -0.5, 0), (-2, 0.5, 0.8), SOLDER, **{"class": "capacitor", "refdes": "C1"}),
        box("/U1/Body", (1, -1, 0), (3, 1, 1.2), **{"class": "ic", "refdes": "U1"}),
        drop("/Joint", -3.2, 0.0, 0.8, 0.6),
        *more,
    )


def camera(pixels: tuple[int, int] = (96, 64), **values: Any) -> Camera:
    """Looks at the board's middle from 50 mm, 9 mm wide."""
    wide = values.pop("wide", 9.0)
    field = (wide, wide * pixels[1] / max(pixels[0], 1))
    return Camera(**{"x": 0.0, "y": 0.0, "z": 50.0, "field": field, "resolution": pixels, **values})
