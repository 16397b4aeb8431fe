"""Shapes in mm into coverage of pixels, 0-255, with soft edges."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from noescape.board.cad.model import Drawing, Drill, Points2

Coverage = npt.NDArray[np.uint8]  # [height, width]
_BITS = 4  # of a pixel's sixteenths
_THICKEST = 30_000  # px; OpenCV ends at 32767


@dataclass(frozen=True, kw_only=True)
class Canvas:
    """Where a picture lies on the board: its lower left corner in mm, its pixels per mm, its size in pixels."""

    x: float
    y: float
    px_per_mm: float
    width: int
    height: int

    def empty(self) -> Coverage:
        """Nothing covered."""
        return np.zeros((self.height, self.width), np.uint8)

    def pixels(self, points: Points2) -> npt.NDArray[np.int32]:
        """Points as OpenCV takes them: sixteenths of a pixel, rows downwards, pixel centres at whole numbers."""
        x = (points[:, 0] - self.x) * self.px_per_mm - 0.5
        y = self.height - (points[:, 1] - self.y) * self.px_per_mm - 0.5
        return np.rint(np.stack([x, y], axis=1) * (1 << _BITS)).astype(np.int32).reshape(-1, 1, 2)

    def draw(self, plane: Coverage, shape: Drawing, value: int = 255, grow: float = 0.0) -> None:
        """Lay a drawing on `plane`, `grow` mm larger on each side."""
        points = self.pixels(shape.points)
        if shape.filled:
            cv2.fillPoly(plane, [points], value, cv2.LINE_AA, _BITS)
        width = (shape.width + 2 * grow) * self.px_per_mm
        if width <= 0.05 and shape.filled:
            return
        if len(points) == 2 and np.array_equal(points[0], points[1]):
            radius = round(max(width, 1.0) / 2 * (1 << _BITS))
            center = (int(points[0, 0, 0]), int(points[0, 0, 1]))
            cv2.circle(plane, center, min(radius, _THICKEST << _BITS), value, -1, cv2.LINE_AA, _BITS)
            return
        cv2.polylines(plane, [points], False, value, min(max(1, round(width)), _THICKEST), cv2.LINE_AA, _BITS)

    def draw_all(self, plane: Coverage, shapes: Iterable[Drawing], grow: float = 0.0) -> None:
        """Lay all of them on `plane`."""
        for shape in shapes:
            self.draw(plane, shape, grow=grow)

    def draw_drill(self, plane: Coverage, drill: Drill, value: int = 255) -> None:
        """Lay a hole on `plane`."""
        self.draw(plane, Drawing(layer="", points=drill.points, width=drill.diameter), value)


def canvas_for(bounds: tuple[float, float, float, float], px_per_mm: float) -> Canvas:
    """The canvas that just covers a box."""
    x0, y0, x1, y1 = bounds
    return Canvas(
        x=x0,
        y=y0,
        px_per_mm=px_per_mm,
        width=max(1, math.ceil((x1 - x0) * px_per_mm - 1e-6)),
        height=max(1, math.ceil((y1 - y0) * px_per_mm - 1e-6)),
    )
