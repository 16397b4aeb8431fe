"""What a joint's prim says about itself, so that its solder can be made anew when its part moves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from noescape.records import DataError

Mm = Annotated[float, Field(ge=-1e5, le=1e5)]
Length = Annotated[float, Field(gt=0, le=1e4)]


class _Said(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)  # later writers may say more


class SaidPad(_Said):
    """The pad's copper as a rectangle in the world, mm and degrees; `corner` is its radius over the shorter side."""

    x: Mm
    y: Mm
    w: Length
    h: Length
    angle: float = 0.0
    corner: Annotated[float, Field(ge=0, le=0.5)] = 0.25


class SaidJoint(_Said):
    """JSON under `noescape:joint` in the custom data of a solder mesh.

    `part`: path, prim name or refdes. `terminal`: its name; the box of the mesh `Terminal_<name>` of the part is what
    solder wets, unless `box` says so itself (x0, y0, z0, x1, y1, z1 in the part's frame).
    """

    part: str
    pad: SaidPad
    terminal: str
    box: tuple[Mm, Mm, Mm, Mm, Mm, Mm] | None = None


def read_joint(prim: Any, path: Path) -> SaidJoint | None:
    """What the prim says, None where it says nothing. DataError where that is no joint."""
    text = prim.GetCustomDataByKey("noescape:joint")
    if text is None:
        return None
    try:
        return SaidJoint.model_validate(json.loads(text))
    except (TypeError, ValueError, RecursionError) as error:  # a ValidationError is a ValueError, too
        why = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
    raise DataError(
        f"{path}: noescape:joint of {prim.GetPath()} is {str(text)[:80]!r}; expected JSON of part, terminal and pad "
        f"{{x, y, w, h, angle}} ({why})"
    )
