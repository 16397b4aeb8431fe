"""What a stage holds once it is read: meshes in mm, the parts and joints that they belong to, the camera and the rig.

A frame is a 4 x 4 matrix for row vectors, as USD has it: `point @ frame[:3, :3] + frame[3, :3]`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from noescape.board.model import Mesh, Vector
from noescape.board.scene.joint import SaidJoint

Frame = npt.NDArray[np.float64]  # [4, 4]
Bounds = npt.NDArray[np.float64]  # [2, 3]: lowest and highest corner

COMPONENTS = frozenset(
    {
        "capacitor", "resistor", "inductor", "diode", "led", "transistor", "ic", "connector", "crystal",
        "electrolytic", "other",
    }
)  # fmt: skip
JOINT_CLASSES = frozenset({"solder"})
PAD_CLASSES = frozenset({"pad"})
BOARD_CLASSES = frozenset({"pcb"})


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """A component. `frame` (rigid) turns its own mm into the world's; `box` are its bounds there.

    `bounds` are those in the world. `meshes` are places in `Scene.meshes`, `joints` in `Scene.joints`. `pieces` are the
    bounds, in its own frame, of each of its meshes by name (`Terminal_1`). `local` and `parent` are the two factors of
    the prim's matrix, stage to world.
    `family` is the name without its `_<refdes>` (`C0603` of `C0603_C1`).
    """

    path: str
    name: str
    family: str
    refdes: str
    package: str
    klass: str
    frame: Frame
    box: Bounds
    bounds: Bounds
    meshes: tuple[int, ...]
    joints: tuple[int, ...]
    pieces: Mapping[str, Bounds]
    local: Frame
    parent: Frame


@dataclass(frozen=True, kw_only=True)
class Joint:
    """Solder between a pad and a terminal: the place of its mesh in `Scene.meshes`, its part's path, what it says."""

    mesh: int
    part: str
    said: SaidJoint


@dataclass(frozen=True, kw_only=True)
class StageCamera:
    """The camera of the stage: its focal length in tenths of a scene unit, as USD has it."""

    projection: Literal["orthographic", "perspective"] = "orthographic"
    focal_length: float = 500.0


@dataclass(frozen=True, kw_only=True)
class StageRing:
    """A layer of the ring light that the stage itself has, in mm round the rig's axis; `strength` in its own units."""

    name: str
    radius: float
    z: float
    color: Vector
    strength: float


@dataclass(frozen=True, kw_only=True)
class StageLights:
    """The lights that the stage brings along; `dome` is its colour times its strength, None without one."""

    rings: tuple[StageRing, ...] = ()
    dome: Vector | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Scene:
    """A board, ready to be rendered and posed. The order of `meshes` is that of the stage.

    `bounds` are those of everything under `pcba_root`. `digest` changes with any byte of the stage's files, its
    textures, the rules of labels or the named prims. `scale` is mm per scene unit, `notices` what was left out and why.
    """

    path: Path
    meshes: tuple[Mesh, ...]
    parts: tuple[Part, ...]
    joints: tuple[Joint, ...]
    bounds: Bounds
    camera: StageCamera
    lights: StageLights
    digest: str
    scale: float
    notices: tuple[str, ...] = ()
    to_world: Mapping[str, Frame] = field(default_factory=dict)  # of each joint's prim, stage to world
