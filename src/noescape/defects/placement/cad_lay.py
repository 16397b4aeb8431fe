"""Put a mask on the places that the CAD mask allows for its kind of solder defect."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np

from noescape.defects.placement.augment import FULL, Pose, Ranges, draw, lay
from noescape.defects.placement.cad import Candidate, bridges_groups
from noescape.defects.placement.free import Laid
from noescape.defects.placement.submask import Bool, Submask

TRIES = 100
FILL = 0.8  # of the region's size, for solder
MIN_AREA_RATIO = 0.5
BRIDGE = Ranges(rotation=(-180, 180), scale=(0.5, 2.0), shear=(-20, 20))
MANY = 5  # candidates drawn at once at most, unless told

Chosen = tuple[Laid, int, int]  # the mask, how many places were asked for, how many were filled


def lay_cad(
    defect: str,
    sub: Submask | None,
    found: Sequence[Candidate],
    rng: np.random.Generator,
    *,
    instances: int = -1,
) -> Chosen:
    """Masks on `instances` of the candidates (-1: 1 to 5 at random), together.

    Status OK; ROI_ONLY where the region itself had to stand in for a mask that never fitted; PARTIAL with fewer
    instances than asked for; FAILED with none. Cost: up to 100 tries of about 1 ms per instance.
    """
    wanted = int(rng.integers(1, min(len(found), MANY) + 1)) if instances == -1 else min(instances, len(found))
    picked = [found[i] for i in sorted(rng.choice(len(found), size=wanted, replace=False))]
    if defect == "missing" or sub is None:
        whole = np.logical_or.reduce([candidate.region for candidate in picked])
        return _laid(whole, "OK" if defect == "missing" else "ROI_ONLY", 1), wanted, wanted
    one = _bridge if defect == "bridge" else _solder
    laid = [one(sub, candidate, rng) for candidate in picked]
    filled = [item for item in laid if item.mask.any()]
    if not filled:
        return _laid(np.zeros_like(found[0].region), "FAILED", TRIES), wanted, 0
    mask = np.logical_or.reduce([item.mask for item in filled])
    worst = "ROI_ONLY" if any(item.status == "ROI_ONLY" for item in filled) else "OK"
    status = "PARTIAL" if len(filled) < wanted else worst
    first = filled[0]
    tries = sum(item.tries for item in laid)
    return replace(first, mask=mask, status=status, tries=tries), wanted, len(filled)


def _solder(sub: Submask, candidate: Candidate, rng: np.random.Generator) -> Laid:
    """On one pad or group: at least half of it covered, what hangs over cut off."""
    size = FILL * float(np.sqrt(candidate.area / sub.area))
    for count in range(1, TRIES + 1):
        pose = draw(FULL, rng, strength=1 - (count - 1) / TRIES)
        mask, fitted = _about_centre(sub, pose, size, candidate.region)
        clipped = mask & candidate.region
        if clipped.sum() >= MIN_AREA_RATIO * candidate.area:
            return _laid(clipped, "OK", count, fitted)
    return _laid(candidate.region, "ROI_ONLY", TRIES)


def _bridge(sub: Submask, candidate: Candidate, rng: np.random.Generator) -> Laid:
    """Across the gap: on two groups, before and after it is cut to the region, and in one part."""
    size = float(np.sqrt(candidate.area / sub.area))
    for count in range(1, TRIES + 1):
        mask, fitted = _about_centre(sub, draw(BRIDGE, rng), size, candidate.region)
        clipped = mask & candidate.region
        if sum(bool((mask & g).any()) for g in candidate.groups) >= 2 and bridges_groups(clipped, candidate.groups):
            return _laid(clipped, "OK", count, fitted)
    thin = cv2.erode(candidate.region.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    return _laid(thin if thin.any() else candidate.region, "ROI_ONLY", TRIES)


def _about_centre(sub: Submask, pose: Pose, size: float, region: Bool) -> tuple[Bool, Pose]:
    """The mask, scaled by `size` and the pose, its middle on the region's middle and then shifted.

    Shifts are those of a picture of 256 pixels: on a small region they would lead away from it every time.
    """
    flipped = replace(sub, touch=(False,) * 4).flipped(pose.flip_x, pose.flip_y)  # no border here to keep to
    ys, xs = np.nonzero(region)
    reach = min(1.0, float(np.sqrt(len(xs))) / 256)
    at = (float(xs.mean()) + 0.5 + pose.shift_x * reach, float(ys.mean()) + 0.5 + pose.shift_y * reach)
    fitted = replace(
        pose,
        scale_x=pose.scale_x * size, scale_y=pose.scale_y * size,
        shift_x=pose.shift_x * reach, shift_y=pose.shift_y * reach,
    )  # fmt: skip
    x0, y0, x1, y1 = flipped.box
    mask, _ = lay(flipped, fitted, ((x0 + x1) / 2, (y0 + y1) / 2), at, (region.shape[0], region.shape[1]))
    return mask, fitted


def _laid(mask: Bool, status: str, tries: int, pose: Pose | None = None) -> Laid:
    ys, xs = np.nonzero(mask)
    at = (round(float(xs.mean()), 2), round(float(ys.mean()), 2)) if len(xs) else (0.0, 0.0)
    return Laid(mask=mask, status=status, tries=tries, pose=pose or Pose(), at=at, kept=1.0)
