"""One picture read on the pixels of another: two scales, a turn and a shift about the two centres."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import cv2
import numpy as np
import numpy.typing as npt

Size = tuple[int, int]  # height, width
Bool = npt.NDArray[np.bool_]
_BORDER = 1e-6


@dataclass(frozen=True, kw_only=True)
class Pose:
    """Where a pixel of the frame is found in the other picture.

    A pixel at (dx, dy) from the centre of the frame is read from the other picture at
        x = sx (cos r dx - sin r dy) + cx + tx,   y = sy (sin r dx + cos r dy) + cy + ty
    about that picture's own centre (cx, cy). Centres are (width - 1) / 2 and (height - 1) / 2. `sx`, `sy`: pixels of
    the other picture per pixel of the frame; `rotation` r in radians; `tx`, `ty` in pixels of the other picture.
    """

    sx: float = 1.0
    sy: float = 1.0
    rotation: float = 0.0
    tx: float = 0.0
    ty: float = 0.0

    def matrix(self, frame: Size, other: tuple[int, ...]) -> npt.NDArray[np.float64]:
        """The 2 x 3 map from pixels (x, y) of the frame to those of the other picture; sizes are (height, width)."""
        c, s = math.cos(self.rotation), math.sin(self.rotation)
        m = np.array([[self.sx * c, -self.sx * s], [self.sy * s, self.sy * c]])
        here = np.array([(frame[1] - 1) / 2, (frame[0] - 1) / 2])
        there = np.array([(other[1] - 1) / 2 + self.tx, (other[0] - 1) / 2 + self.ty])
        return np.column_stack([m, there - m @ here])

    def to_json(self) -> dict[str, float]:
        """As the `params.json` of a registration says it."""
        turn = math.degrees(self.rotation)
        return {"scaleX": self.sx, "scaleY": self.sy, "rotation_deg": turn, "tx": self.tx, "ty": self.ty}

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> Self:
        """What `to_json` wrote; KeyError, TypeError or ValueError where it is something else."""
        sx, sy, turn, tx, ty = (float(said[key]) for key in ("scaleX", "scaleY", "rotation_deg", "tx", "ty"))
        if not all(map(math.isfinite, (sx, sy, turn, tx, ty))) or min(sx, sy) <= 0:
            raise ValueError("scales must be over 0, and all values finite")
        return cls(sx=sx, sy=sy, rotation=math.radians(turn), tx=tx, ty=ty)


def warped(picture: npt.NDArray[Any], pose: Pose, frame: Size, how: int = cv2.INTER_LINEAR) -> npt.NDArray[Any]:
    """`picture` on the pixels of the frame; what lies outside of it repeats its border. OpenCV's `how`."""
    matrix = pose.matrix(frame, picture.shape)
    flags = how | cv2.WARP_INVERSE_MAP
    out: npt.NDArray[Any] = cv2.warpAffine(
        picture, matrix, (frame[1], frame[0]), flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
    return out


def inside(pose: Pose, other: tuple[int, ...], frame: Size) -> Bool:
    """Which pixels of the frame are read from within the other picture, [height, width]."""
    m = pose.matrix(frame, other)
    x, y = np.arange(frame[1])[None, :], np.arange(frame[0])[:, None]
    at_x = m[0, 0] * x + m[0, 1] * y + m[0, 2]
    at_y = m[1, 0] * x + m[1, 1] * y + m[1, 2]
    low = -_BORDER
    return np.asarray((at_x >= low) & (at_x <= other[1] - 1 - low) & (at_y >= low) & (at_y <= other[0] - 1 - low))
