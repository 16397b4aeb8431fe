"""How far a mask may be changed on its way to another image, and the change itself."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from noescape.defects.placement.submask import Bool, Submask, Traits

Range = tuple[float, float]
Affine = npt.NDArray[np.float64]

MIN_KEPT = 0.5  # of the area of a mask that morphology must leave


@dataclass(frozen=True, kw_only=True)
class Ranges:
    """From where to where: shift in pixels, rotation and shear in degrees, scale as a factor drawn by its logarithm.

    Both axes are drawn by themselves, unless `keep_aspect`. `morph` is one of the operations, with a 3 x 3 kernel.
    """

    shift: Range = (-30, 30)
    rotation: Range = (-30, 30)
    scale: Range = (0.25, 4.0)
    shear: Range = (-10, 10)
    flip: float = 0.5
    morph: tuple[str, ...] = ("dilate", "erode", "open", "close")
    kernel: int = 3
    keep_aspect: bool = False


FULL = Ranges()


def typed(traits: Traits) -> Ranges:
    """The part of `FULL` in which defects of this type stay what they are.

    A blob may be turned; a crack or a stripe follows the way the part was machined and turns a little; what grows from
    an edge turns hardly at all, and a change of a whole region even less. Sizes stay near those seen.
    """
    if traits.blob:
        turn, shear = 30.0, 10.0
    elif traits.wide:
        turn, shear = 4.0, 2.0
    else:
        turn, shear = (5.0, 2.0) if traits.at_border else (20.0, 5.0)
    scale = (0.7, 1.4) if traits.small else (0.8, 1.25)
    return replace(FULL, rotation=(-turn, turn), shear=(-shear, shear), scale=scale, keep_aspect=True)


@dataclass(frozen=True, kw_only=True)
class Pose:
    """One draw from the ranges."""

    flip_x: bool = False
    flip_y: bool = False
    scale_x: float = 1.0
    scale_y: float = 1.0
    rotation: float = 0.0
    shear_x: float = 0.0
    shear_y: float = 0.0
    shift_x: float = 0.0
    shift_y: float = 0.0
    morph: str = "none"


def draw(ranges: Ranges, rng: np.random.Generator, strength: float = 1.0) -> Pose:
    """A pose; `strength` below 1 draws nearer to "unchanged" (flips stay)."""

    def between(span: Range) -> float:
        return round(float(rng.uniform(*span)) * strength, 3)

    def factor() -> float:
        low, high = np.log(ranges.scale)
        return round(float(np.exp(rng.uniform(low, high) * strength)), 4)

    scale_x = factor()
    return Pose(
        flip_x=bool(rng.random() < ranges.flip),
        flip_y=bool(rng.random() < ranges.flip),
        scale_x=scale_x,
        scale_y=scale_x if ranges.keep_aspect else factor(),
        rotation=between(ranges.rotation),
        shear_x=between(ranges.shear),
        shear_y=between(ranges.shear),
        shift_x=between(ranges.shift),
        shift_y=between(ranges.shift),
        morph=str(rng.choice(np.array(ranges.morph))) if ranges.morph else "none",
    )


def lay(
    sub: Submask, pose: Pose, anchor: tuple[float, float], at: tuple[float, float], size: tuple[int, int]
) -> tuple[Bool, float]:
    """The mask in a picture of height and width `size`, the point `anchor` of its own picture lying on `at`; and the
    area it would have if no border cut it.

    Coordinates are those of pixel edges: (0, 0) is the top left corner. The mask is continued, mirrored, beyond the
    borders it touches, so that it keeps touching them when it is turned or shrunk. Flips and shifts of the pose are
    the caller's. Morphology is left out where it would take half of the mask. About 1 ms for 512 x 512.
    """
    patch, corner = _continued(sub)
    move = _matrix(pose)
    offset = np.array(at) - move @ (np.array(anchor) - np.array(corner))
    centre = np.array([0.5, 0.5])
    affine = np.column_stack([move, move @ centre + offset - centre])  # cv2 counts from the middle of pixels
    laid = cv2.warpAffine(patch.astype(np.float32), affine, size[::-1], flags=cv2.INTER_LINEAR) > 0.5
    whole = sub.area * abs(float(np.linalg.det(move)))
    return morphed(laid, pose.morph), whole


def morphed(mask: Bool, operation: str, kernel: int = 3) -> Bool:
    """`mask` after `dilate`, `erode`, `open`, `close` or `none`; unchanged where more than half of it would go."""
    operations = {
        "dilate": cv2.MORPH_DILATE,
        "erode": cv2.MORPH_ERODE,
        "open": cv2.MORPH_OPEN,
        "close": cv2.MORPH_CLOSE,
    }
    if operation not in operations:
        return mask
    square = np.ones((kernel, kernel), np.uint8)
    # Beyond the border OpenCV takes dilation's and erosion's neutral values, so that a border takes nothing away.
    out: Bool = cv2.morphologyEx(mask.astype(np.uint8), operations[operation], square) > 0
    return out if out.sum() >= MIN_KEPT * mask.sum() else mask


def _continued(sub: Submask) -> tuple[Bool, tuple[int, int]]:
    """The mask's box, mirrored outwards at the borders it touches, with a rim of nothing; and where its corner is."""
    x0, y0, x1, y1 = sub.box
    left, top, right, bottom = sub.touch
    height, width = sub.mask.shape
    x0, y0 = 0 if left else x0, 0 if top else y0
    x1, y1 = width if right else x1, height if bottom else y1
    patch = sub.mask[y0:y1, x0:x1]
    reach_x, reach_y = x1 - x0, y1 - y0
    grown = np.pad(patch, ((reach_y * top, reach_y * bottom), (reach_x * left, reach_x * right)), mode="symmetric")
    grown = np.pad(grown, 1)
    return grown, (x0 - reach_x * left - 1, y0 - reach_y * top - 1)


def _matrix(pose: Pose) -> Affine:
    """Scale, then shear, then turn (clockwise on the screen for positive angles)."""
    turn = np.deg2rad(pose.rotation)
    rotate = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    shear = np.array([[1, np.tan(np.deg2rad(pose.shear_x))], [np.tan(np.deg2rad(pose.shear_y)), 1]])
    return np.asarray(rotate @ shear @ np.diag([pose.scale_x, pose.scale_y]), dtype=np.float64)
