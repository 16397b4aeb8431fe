"""The few frozen things that pass between CAD, scene and renderer.

The world is right-handed with z up; lengths are mm, angles degrees counter-clockwise seen from above (+z). The top
copper of the board lies at z = 0. Cameras look straight down. Colours are linear RGB of 0..1 unless a name says sRGB.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float32]  # [N, 3]
Faces = npt.NDArray[np.int32]  # [M, 3], counter-clockwise seen from outside
Vector = tuple[float, float, float]
Yaw = Literal[0, 90, 180, 270]


@dataclass(frozen=True, kw_only=True)
class Material:
    """A surface as UsdPreviewSurface knows it. A file, where given, stands for the value of the same name."""

    name: str
    base_color: Vector = (0.5, 0.5, 0.5)
    metallic: float = 0.0
    roughness: float = 0.5
    base_color_file: Path | None = None  # sRGB picture
    metallic_file: Path | None = None  # grey, linear
    roughness_file: Path | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Mesh:
    """Triangles of one material, in the world's frame.

    `path` is the prim's; `instance` the path of the thing it is a part of (the whole component for its body and its
    terminals; itself for a pad or a joint): pixels are told apart by it. `labels` holds `class` and, where known,
    `refdes`, `package`, `defect`. `normals` [N, 3] are smooth ones, None shades flat. `uvs` [N, 2] with v upwards, as
    USD has it.
    """

    path: str
    instance: str
    points: Points
    faces: Faces
    material: Material
    labels: Mapping[str, str] = field(default_factory=dict)
    normals: Points | None = None
    uvs: npt.NDArray[np.float32] | None = None


@dataclass(frozen=True, kw_only=True)
class Camera:
    """Looks straight down from (x, y, z). `field` is the width and height in mm that it sees at height `focus_z`.

    With yaw 0 the picture's right is +x and its top +y; the picture of a camera with yaw 90 has +y at its right.
    `resolution` is (width, height) in pixels; pixels are square.
    """

    x: float
    y: float
    z: float
    field: tuple[float, float]
    resolution: tuple[int, int]
    projection: Literal["orthographic", "perspective"] = "orthographic"
    yaw: Yaw = 0
    focus_z: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Ring:
    """A ring of light round the axis through (x, y), `width` mm wide, leaning so that it faces (x, y, 0)."""

    name: str
    x: float
    y: float
    z: float
    radius: float
    width: float
    radiance: Vector


@dataclass(frozen=True, kw_only=True)
class Dome:
    """White light from everywhere above."""

    name: str
    radiance: Vector


Light = Ring | Dome


@dataclass(frozen=True, kw_only=True, eq=False)
class Picture:
    """What a renderer gives back, all [H, W]: linear colour [.., 3], which mesh, and how far down.

    `mesh` holds 1 + the place of the mesh in the sequence that was rendered, 0 where nothing is; it is sampled at
    pixel centres, so that no pixel is mixed. `depth` is mm from the camera's height down, NaN where nothing is.
    `own` says how many pixels of the picture each instance would cover if it stood alone.
    """

    color: npt.NDArray[np.float32]
    mesh: npt.NDArray[np.int32]
    depth: npt.NDArray[np.float32]
    own: Mapping[str, int] = field(default_factory=dict)
