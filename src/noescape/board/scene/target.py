"""`pcba_target.yaml`: which stage, and which prims of it are the board, the camera and the lights."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import Field, PrivateAttr, field_serializer, field_validator

from noescape.board.scene.strict import Strict, read_mapping, typed
from noescape.records import UsageError

DEFAULT_APERTURE = 200.0
EVERY = "*"
PrimPath = Annotated[str, Field(pattern=r"^/[^\s]*$", max_length=4096)]
_TOKEN = re.compile(r"^__[A-Z_]+__$")


class Target(Strict):
    """The half of a cookbook that speaks of the stage.

    `scene`: the USD file, seen from this file's folder; may be left out where the command names it. `camera_path`,
    `camera_xform_path`, `ring_light_root`, `pcba_root`: prims that must exist. `component_types`: pieces of names; a
    part belongs to the pool of defects when its name, or that of a prim above it under `pcba_root`, contains one.
    `horizontal_aperture`: tenths of a scene unit; it replaces that of the stage's camera.
    """

    scene: str | None = None
    camera_path: PrimPath = "/World/Camera"
    camera_xform_path: PrimPath = "/World/Camera"
    ring_light_root: PrimPath = "/World/RingLight"
    pcba_root: PrimPath = "/World/PCBA"
    component_types: tuple[Annotated[str, Field(min_length=1)], ...] | None = None
    horizontal_aperture: Annotated[float, Field(gt=0, le=1e6)] = DEFAULT_APERTURE
    _folder: Path = PrivateAttr(default=Path())

    @field_validator("component_types", mode="before")
    @classmethod
    def _words(cls, value: object) -> object:
        """`ALL` is every part, `0` none; other single words named lists of a registry that is not here."""
        if value == "ALL":
            return (EVERY,)
        if value in (0, "0"):
            return ()
        if isinstance(value, str):
            raise ValueError("expected a list of pieces of prim names, or ALL")
        return value

    @field_serializer("component_types")
    def _all(self, value: tuple[str, ...] | None) -> str | list[str] | None:
        return "ALL" if self.every_part else None if value is None else list(value)

    @property
    def stage(self) -> Path | None:
        """The USD file of `scene`, found from the folder of the target's own file."""
        return None if self.scene is None else self._folder / self.scene

    @property
    def every_part(self) -> bool:
        """Whether the pool is all parts."""
        return self.component_types == (EVERY,)


def load_target(path: Path) -> Target:
    """Read `pcba_target.yaml`. UsageError names every key that is unknown or wrong."""
    return target_of(read_mapping(path), path)


def target_of(values: Mapping[str, object], path: Path, elsewhere: Mapping[str, str] | None = None) -> Target:
    """As `load_target`, of values already read from `path`; `elsewhere` says where other known keys belong."""
    found = typed(Target, values, path, elsewhere or {})
    if found.scene is not None:
        found = found.model_copy(update={"scene": _expanded(found.scene, path)})
    found._folder = path.parent
    return found


def _expanded(scene: str, path: Path) -> str | None:
    if _TOKEN.match(scene):
        return None  # a place to be filled in by whoever names the stage on the command line
    expanded = os.path.expandvars(scene)
    if "$" in expanded:
        raise UsageError(
            f"{path}: scene: {scene!r} names an environment variable that is not set; set it or write the path"
        )
    return expanded
