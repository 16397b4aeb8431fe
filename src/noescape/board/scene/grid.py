"""Where the camera stands so that its pictures cover a board: pure geometry, no stage, no renderer.

Lengths in mm. A camera with a yaw of an odd number of quarter turns has its picture's width along the world's y.
Cells go from the highest y down, within that from the highest x down: x0_y0 is the corner at the top right.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np

from noescape.board.model import Camera, Yaw
from noescape.board.scene.config import CameraRotation, RenderConfig, ScanGrid
from noescape.board.scene.target import Target
from noescape.board.scene.things import Bounds, Scene
from noescape.records import UsageError

Projection = Literal["orthographic", "perspective"]
SLACK = 1e-6  # of mm: coverage is not refused for rounding
MAX_CELLS = 250_000


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One place of the scan: i along x, j along y. `digits` pads the numbers of the name so that names sort."""

    i: int
    j: int
    camera: Camera
    digits: tuple[int, int] = (1, 1)

    @property
    def name(self) -> str:
        """`x3_y0`."""
        return f"x{self.i:0{self.digits[0]}d}_y{self.j:0{self.digits[1]}d}"


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Centres (descending), the camera's height, the picture's footprint in the world's x and y."""

    x: tuple[float, ...]
    y: tuple[float, ...]
    z: float
    footprint: tuple[float, float]
    projection: Projection


def quarter_turns(yaw: float) -> int:
    """0..3. UsageError where the yaw is no multiple of 90 degrees: turned rectangles would leave gaps."""
    turns = round(yaw / 90) if math.isfinite(yaw) else 0
    if not abs(yaw - 90 * turns) <= 1e-6:  # so written that NaN is refused, too
        raise UsageError(f"camera yaw {yaw:g}: expected a multiple of 90 degrees; others leave gaps between cells")
    return turns % 4


def complete(
    size: tuple[float, float], aperture: tuple[float, float], x_num: int | None, y_num: int | None, yaw: float = 0
) -> tuple[int, int]:
    """Both numbers of cells. A missing one becomes the least for which cells are no longer than the picture's shape.

    `size` is the board's in x and y, `aperture` the camera's width and height.
    """
    if x_num is None and y_num is None:
        raise UsageError("scan_grid: expected x_num, y_num or both")
    for name, number in (("x_num", x_num), ("y_num", y_num)):
        if number is not None and number < 1:
            raise UsageError(f"scan_grid.{name}: expected at least 1, got {number}")
    if min(size) <= 0 or not all(map(math.isfinite, size)):
        raise UsageError(f"the board's bounds are {size[0]:g} x {size[1]:g} mm: nothing to scan")
    if min(aperture) <= 0:
        raise UsageError(f"the camera's aperture is {aperture[0]:g} x {aperture[1]:g} mm; both must be above 0")
    along_x, along_y = _turned(aperture, yaw)
    if y_num is None and x_num is not None:
        y_num = _whole(x_num * size[1] * along_x / (size[0] * along_y))
    elif x_num is None and y_num is not None:
        x_num = _whole(y_num * size[0] * along_y / (size[1] * along_x))
    return cast(int, x_num), cast(int, y_num)


def scan_grid(
    bounds: Bounds,
    *,
    aperture: tuple[float, float],
    projection: Projection = "orthographic",
    focal_length: float | None = None,
    x_num: int | None = None,
    y_num: int | None = None,
    yaw: float = 0,
    z_min: float | None = None,
    grow: bool = False,
) -> Grid:
    """The grid of a scan over `bounds` (mm).

    An orthographic footprint is the aperture, and must reach over the board `x_num` and `y_num` times; with `grow` a
    smaller one is enlarged, in its own shape, instead of refused. A perspective camera stands as low above the highest
    point as its footprint there allows. Neighbouring centres are (board - footprint) / (n - 1) apart; where one
    footprint is as large as the board, all centres are its middle. `z_min` lifts the camera. UsageError where the
    board cannot be covered.
    """
    size = (float(bounds[1, 0] - bounds[0, 0]), float(bounds[1, 1] - bounds[0, 1]))
    x_num, y_num = complete(size, aperture, x_num, y_num, yaw)
    if x_num * y_num > MAX_CELLS:
        raise UsageError(f"scan_grid: {x_num} x {y_num} cells; at most {MAX_CELLS} are scanned")
    if projection == "orthographic":
        footprint = _flat_footprint(size, aperture, (x_num, y_num), yaw, grow)
        z = _lift(float(bounds[1, 2]) + max(float(bounds[1, 2] - bounds[0, 2]), 1e-3), z_min)
    else:
        if focal_length is None or focal_length <= 0:
            raise UsageError(f"a perspective camera needs a focal length above 0, got {focal_length}")
        along = _turned(aperture, yaw)
        height = max(size[0] * focal_length / (along[0] * x_num), size[1] * focal_length / (along[1] * y_num))
        z = _lift(float(bounds[1, 2]) + height, z_min)
        reach = (z - float(bounds[1, 2])) / focal_length
        footprint = (along[0] * reach, along[1] * reach)
    x, y = (_centres(bounds[0, a], bounds[1, a], footprint[a], n) for a, n in ((0, x_num), (1, y_num)))
    return Grid(x=x, y=y, z=z, footprint=footprint, projection=projection)


def scan_cells(
    scene: Scene, target: Target, scan: ScanGrid, resolution: tuple[int, int], rotation: CameraRotation | None = None
) -> tuple[Cell, ...]:
    """The cells of a cookbook's scan over a scene, y outer, x inner; pixels are square.

    `Camera.field` is what is seen at the highest point of the board (`focus_z`). The aperture is the target's, in
    tenths of a scene unit; an orthographic one grows where the grid asks for more.
    """
    unit = scene.scale / 10
    width = target.horizontal_aperture * unit
    yaw = 0.0 if rotation is None else rotation.z_fixed
    grid = scan_grid(
        scene.bounds,
        aperture=(width, width * resolution[1] / resolution[0]),
        projection=scene.camera.projection,
        focal_length=scene.camera.focal_length * unit,
        x_num=scan.x_num,
        y_num=scan.y_num,
        yaw=yaw,
        z_min=None if scan.z_min is None else scan.z_min * scene.scale,
        grow=True,
    )
    return cells_of(grid, float(scene.bounds[1, 2]), resolution, yaw)


def frame_cells(scene: Scene, target: Target, config: RenderConfig) -> tuple[Cell, ...]:
    """The cells of a cookbook: its scan, or the one picture of a day-1 file."""
    if config.camera is None:
        return scan_cells(scene, target, config.scan_grid, config.resolution, config.camera_rotation)
    taken = config.camera
    width = taken.horizontal_aperture * scene.scale / 10
    top = float(scene.bounds[1, 2])
    return cells_of(
        Grid(
            x=(taken.translate[0] * scene.scale,),
            y=(taken.translate[1] * scene.scale,),
            z=max(taken.z * scene.scale, top + 1),
            footprint=_turned((width, width * config.resolution[1] / config.resolution[0]), taken.rotation_xyz[2]),
            projection="orthographic",
        ),
        top,
        config.resolution,
        taken.rotation_xyz[2],
    )


def cells_of(grid: Grid, focus_z: float, resolution: tuple[int, int], yaw: float) -> tuple[Cell, ...]:
    """One camera for each place of a grid."""
    turns = quarter_turns(yaw)
    field = (grid.footprint[1], grid.footprint[0]) if turns % 2 else grid.footprint
    digits = (len(str(len(grid.x) - 1)), len(str(len(grid.y) - 1)))
    return tuple(
        Cell(
            i=i,
            j=j,
            digits=digits,
            camera=Camera(
                x=x,
                y=y,
                z=grid.z,
                field=field,
                resolution=resolution,
                projection=grid.projection,
                yaw=cast(Yaw, 90 * turns),
                focus_z=focus_z,
            ),
        )
        for j, y in enumerate(grid.y)
        for i, x in enumerate(grid.x)
    )


def _turned(aperture: tuple[float, float], yaw: float) -> tuple[float, float]:
    """The apertures along the world's x and y."""
    return (aperture[1], aperture[0]) if quarter_turns(yaw) % 2 else aperture


def _whole(number: float) -> int:
    return max(1, math.ceil(number - 1e-9))


def _lift(z: float, z_min: float | None) -> float:
    return z if z_min is None else max(z, z_min)


def _flat_footprint(
    size: tuple[float, float], aperture: tuple[float, float], numbers: tuple[int, int], yaw: float, grow: bool
) -> tuple[float, float]:
    along = _turned(aperture, yaw)
    if grow:
        factor = max(1.0, *(size[a] / (numbers[a] * along[a]) for a in (0, 1)))
        along = (along[0] * factor, along[1] * factor)
    for a, name in enumerate("xy"):
        if numbers[a] * along[a] + SLACK < size[a]:
            raise UsageError(
                f"scan_grid: {numbers[a]} footprints of {along[a]:g} mm do not cover the board's {size[a]:g} mm along "
                f"{name}; raise {name}_num or horizontal_aperture"
            )
    return along


def _centres(low: float, high: float, footprint: float, number: int) -> tuple[float, ...]:
    middle, spare = (float(low) + float(high)) / 2, float(high) - float(low) - footprint
    if number == 1 or spare <= 0:
        return (middle,) * number
    return tuple(float(v) for v in np.linspace(middle + spare / 2, middle - spare / 2, number))
