"""Put a mask anywhere it may lie: whole where it fits, at a border where it was at one, inside the allowed region."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from noescape.defects.placement.augment import Pose, Ranges, draw, lay
from noescape.defects.placement.submask import Bool, Submask, largest_part

TRIES = 10
MIN_AREA_RATIO = 0.5
LEAST = 9  # pixels, where the example has more than four times as many
WHOLE = 0.98
ROOM = 3.0  # pixels around a mask for what turning and morphology add
LONG = 0.7  # of a side: what is longer slides only a little


@dataclass(frozen=True, kw_only=True, eq=False)
class Laid:
    """`mask` [H, W] and how it came there. `status`: OK, SMALL (the region left less than half of it) or FAILED."""

    mask: Bool
    status: str
    tries: int
    pose: Pose
    at: tuple[float, float]
    kept: float


def lay_free(sub: Submask, region: Bool, ranges: Ranges, rng: np.random.Generator, *, tries: int = TRIES) -> Laid:
    """Draw poses and places until at least half of the moved mask lies in `region` [H, W]; the best of `tries`.

    The first half of the tries wants it whole. Each try draws a little nearer to the example as it is, so that what
    fits at all is found. What touched a border of its picture touches the same (or by a flip the opposite) one here,
    wherever the region reaches that border. Cost: about 1 ms per try for 512 x 512.
    """
    best: Laid | None = None
    for count in range(1, tries + 1):
        pose = draw(ranges, rng, strength=1 - (count - 1) / tries)
        laid = _once(sub, pose, region, rng, count)
        if best is None or laid.kept > best.kept:
            best = laid
        if laid.kept >= (WHOLE if 2 * count <= tries else MIN_AREA_RATIO):
            break
    assert best is not None  # noqa: S101 - there is at least one try
    least = min(LEAST, sub.area / 4)
    status = "FAILED" if best.mask.sum() < max(1, least) else "OK" if best.kept >= MIN_AREA_RATIO else "SMALL"
    return replace(best, status=status)


def _once(sub: Submask, pose: Pose, region: Bool, rng: np.random.Generator, count: int) -> Laid:
    flipped = sub.flipped(pose.flip_x, pose.flip_y)
    fitted = _fit(flipped, pose, region.shape)
    anchor = _anchor(flipped)
    at = _place(flipped, fitted, region, rng)
    laid, whole = lay(flipped, fitted, anchor, at, (region.shape[0], region.shape[1]))
    mask = largest_part(laid & region)
    kept = min(1.0, float(mask.sum()) / max(whole, 1.0))
    return Laid(mask=mask, status="", tries=count, pose=fitted, at=(round(at[0], 2), round(at[1], 2)), kept=kept)


def _fit(sub: Submask, pose: Pose, target: tuple[int, ...]) -> Pose:
    """Scaled by how much larger the target is than the example's picture; what spans a side keeps spanning it."""
    height, width = sub.mask.shape
    even = float(np.sqrt(target[0] * target[1] / (height * width)))
    left, top, right, bottom = sub.touch
    across = target[1] / width if left and right else even
    down = target[0] / height if top and bottom else even
    return replace(pose, scale_x=pose.scale_x * across, scale_y=pose.scale_y * down)


def _anchor(sub: Submask) -> tuple[float, float]:
    """The point of the example's picture that is led: on the border it touches, else the middle of its box."""
    x0, y0, x1, y1 = sub.box
    left, top, right, bottom = sub.touch
    height, width = sub.mask.shape
    x = (0.0 if left else float(width)) if left != right else (x0 + x1) / 2
    y = (0.0 if top else float(height)) if top != bottom else (y0 + y1) / 2
    return x, y


def _place(sub: Submask, pose: Pose, region: Bool, rng: np.random.Generator) -> tuple[float, float]:
    """Where the anchor goes."""
    height, width = region.shape
    x0, y0, x1, y1 = sub.box
    left, top, right, bottom = sub.touch
    half_x, half_y = (x1 - x0) * pose.scale_x / 2 + ROOM, (y1 - y0) * pose.scale_y / 2 + ROOM
    fixed_x, fixed_y = left or right, top or bottom
    if not fixed_x and not fixed_y:
        return _inside(region, half_x, half_y, pose, rng)
    border_x = (0.0 if left else float(width)) if left != right else None
    border_y = (0.0 if top else float(height)) if top != bottom else None
    x = border_x if border_x is not None else _slide(half_x, width, (x0 + x1) / 2 / sub.mask.shape[1], fixed_x, rng)
    y = border_y if border_y is not None else _slide(half_y, height, (y0 + y1) / 2 / sub.mask.shape[0], fixed_y, rng)
    return _along(region, x, y, free_x=border_x is None, free_y=border_y is None, rng=rng)


def _inside(region: Bool, half_x: float, half_y: float, pose: Pose, rng: np.random.Generator) -> tuple[float, float]:
    """A point of the region, far enough from the picture's borders for the whole mask where there is room."""
    height, width = region.shape
    mx, my = min(int(half_x) + 1, (width - 1) // 2), min(int(half_y) + 1, (height - 1) // 2)
    inner = region[my : height - my, mx : width - mx]
    rows, columns = np.nonzero(inner)
    if len(rows) == 0:
        rows, columns = np.nonzero(region)
        mx = my = 0
    if len(rows) == 0:
        return width / 2, height / 2
    pick = int(rng.integers(len(rows)))
    x, y = float(columns[pick]) + mx + 0.5, float(rows[pick]) + my + 0.5
    if region.all():  # a place anywhere needs no further shift; in a region it is drawn about the point
        return x, y
    return (
        float(np.clip(x + pose.shift_x, min(half_x, width / 2), max(width - half_x, width / 2))),
        float(np.clip(y + pose.shift_y, min(half_y, height / 2), max(height - half_y, height / 2))),
    )


def _slide(half: float, side: int, was: float, spans: bool, rng: np.random.Generator) -> float:
    """Along a side: anywhere for what is short, a little about where it was for what is long or spans it."""
    if spans:
        return side / 2
    if 2 * half > LONG * side:
        return float(np.clip(was + rng.uniform(-0.08, 0.08), 0.08, 0.92) * side)
    half = min(half, side / 2)
    return float(rng.uniform(half, side - half))


def _along(
    region: Bool, x: float, y: float, *, free_x: bool, free_y: bool, rng: np.random.Generator
) -> tuple[float, float]:
    """The point, moved along its border to where the region reaches it; where it never does, into the region."""
    height, width = region.shape
    column, row = int(np.clip(x, 0, width - 1)), int(np.clip(y, 0, height - 1))
    if region[row, column]:
        return x, y
    if free_x != free_y:
        line = region[row] if free_x else region[:, column]
        open_at = np.flatnonzero(line)
        if len(open_at):
            spot = float(rng.choice(open_at)) + 0.5
            return (spot, y) if free_x else (x, spot)
    rows, columns = np.nonzero(region)
    if len(rows) == 0:
        return x, y
    pick = int(rng.integers(len(rows)))
    return float(columns[pick]) + 0.5, float(rows[pick]) + 0.5
