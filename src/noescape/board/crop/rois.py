"""From a mask in colours to regions worth cropping: whatever hangs together with a part of a wanted class."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from noescape.board.crop.config import BRIDGE, CropConfig
from noescape.board.crop.palette import U8, Palette, labelled_colours, pack
from noescape.records import Box

SKIPS = ("min_area", "max_area", "no_target", "edge", "low_coverage", "max_emit")


@dataclass(frozen=True, kw_only=True)
class Roi:
    """One region: `tight` around its pixels, `box` padded and inside of the picture; `kind` is its dominant class.

    `area` counts its closed pixels; `coverage` is the labelled share of `box`. `region` is its number in the regions
    of the frame (0 for a pair of them).
    """

    tight: Box
    box: Box
    kind: str
    material: str
    area: int
    coverage: float
    region: int = 0


@dataclass(frozen=True, kw_only=True, eq=False)
class Found:
    """Regions of one frame from top left, before any cap; `skipped` by reason; `regions` [H, W] numbers all."""

    rois: tuple[Roi, ...]
    skipped: Counter[str]
    regions: npt.NDArray[np.int32]


def find_rois(semantic: U8, palette: Palette, config: CropConfig) -> Found:
    """The regions of `semantic` [H, W, 3] that hold at least one pixel of `config.classes`.

    Labelled pixels (all but background and ground) are closed with an ellipse of 2 k + 1 pixels; their 8-connected
    regions without a wanted pixel are left out, then those too small, too large, at the border, and finally those
    whose padded box is mostly empty. The class of a region is that of most of its wanted pixels (ties: the first in
    `config.classes`). About 60 ms for 1920 x 1080.
    """
    labelled, kinds = _labelled_and_kinds(semantic, palette, config)
    count, regions, stats, _ = cv2.connectedComponentsWithStats(_closed(labelled, config.morph_kernel), connectivity=8)
    wanted = kinds > 0
    votes = np.bincount(
        regions[wanted].astype(np.int64) * (len(config.classes) + 1) + kinds[wanted],
        minlength=count * (len(config.classes) + 1),
    ).reshape(count, -1)
    skipped: Counter[str] = Counter()
    rois = []
    for number in sorted(range(1, count), key=lambda i: (int(stats[i, 1]), int(stats[i, 0]), i)):
        roi = _roi(number, stats[number], votes[number], labelled, config)
        if isinstance(roi, str):
            skipped[roi] += 1
        else:
            rois.append(roi)
    return Found(rois=tuple(rois), skipped=skipped, regions=regions)


def spread(rois: Sequence[Roi], most: int | None) -> list[Roi]:
    """At most `most` of them, evenly over their order: a cap must not see the top of the picture alone."""
    if most is None or len(rois) <= most:
        return list(rois)
    return [rois[k * len(rois) // most] for k in range(most)]


def bridge_pairs(found: Found, labelled_share: U8, config: CropConfig) -> list[Roi]:
    """Pairs of regions with at most `bridge_dis` pixels between their tight boxes, each as one crop of material
    `bridge`. `labelled_share` [H, W] is 1 where anything is labelled."""
    allowed = config.bridge_classes
    fit = [roi for roi in found.rois if not allowed or roi.kind in allowed]
    out = []
    for a, b in itertools.combinations(fit, 2):
        if box_distance(a.tight, b.tight) <= config.bridge_dis:
            tight = union_box(a.tight, b.tight)
            box = padded(tight, config.offset, labelled_share.shape)
            share = coverage(labelled_share, box)
            out.append(
                Roi(tight=tight, box=box, kind=a.kind, material=BRIDGE, area=a.area + b.area, coverage=share)
            )  # fmt: skip
    return out


def box_distance(a: Box, b: Box) -> float:
    """Pixels from edge to edge of two half-open boxes; 0 where they touch or overlap."""
    return math.hypot(max(0, a[0] - b[2], b[0] - a[2]), max(0, a[1] - b[3], b[1] - a[3]))


def union_box(a: Box, b: Box) -> Box:
    """The box around both."""
    return min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])


def padded(box: Box, offset: int, shape: tuple[int, ...]) -> Box:
    """The box with `offset` pixels around it, as far as the picture goes."""
    height, width = shape[:2]
    return max(0, box[0] - offset), max(0, box[1] - offset), min(width, box[2] + offset), min(height, box[3] + offset)


def at_border(box: Box, shape: tuple[int, ...]) -> bool:
    """Whether a tight box touches the border of the picture: what it holds may be cut off there."""
    return box[0] <= 0 or box[1] <= 0 or box[2] >= shape[1] or box[3] >= shape[0]


def coverage(labelled: U8, box: Box) -> float:
    """The share of `box` where `labelled` is not 0."""
    x0, y0, x1, y1 = box
    return cv2.countNonZero(labelled[y0:y1, x0:x1]) / max(1, (x1 - x0) * (y1 - y0))


def labelled_mask(semantic: U8, palette: Palette, ground: Sequence[str]) -> U8:
    """1 where anything but background and ground is labelled."""
    packed = pack(semantic)
    out = np.zeros(packed.shape, np.uint8)
    for red, green, blue in labelled_colours(palette, ground):
        out[packed == (red << 16 | green << 8 | blue)] = 1
    return out


def _labelled_and_kinds(semantic: U8, palette: Palette, config: CropConfig) -> tuple[U8, U8]:
    """1 where labelled; and 1 + the place in `config.classes` of the class that a pixel is wanted for."""
    packed = pack(semantic)
    labelled, kinds = np.zeros(packed.shape, np.uint8), np.zeros(packed.shape, np.uint8)
    for red, green, blue in labelled_colours(palette, config.ground_classes):
        here = packed == (red << 16 | green << 8 | blue)
        labelled[here] = 1
        names = palette[red, green, blue].names
        place = next((n for n, name in enumerate(config.classes, 1) if name in names), 0)
        if place:
            kinds[here] = place
    return labelled, kinds


def _closed(labelled: U8, radius: int) -> U8:
    if not radius:
        return labelled
    ellipse = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1,) * 2)
    return np.asarray(cv2.morphologyEx(labelled, cv2.MORPH_CLOSE, ellipse), dtype=np.uint8)


def _roi(
    number: int, stat: npt.NDArray[np.int32], votes: npt.NDArray[np.int64], labelled: U8, config: CropConfig
) -> Roi | str:
    """The region, or the reason why it is left out."""
    x, y, w, h, area = (int(v) for v in stat)
    tight = (x, y, x + w, y + h)
    if not votes[1:].any():
        return "no_target"
    if area < config.min_area:
        return "min_area"
    if config.max_area is not None and area > config.max_area:
        return "max_area"
    if config.edge_skip and at_border(tight, labelled.shape):
        return "edge"
    box = padded(tight, config.offset, labelled.shape)
    share = coverage(labelled, box)
    if share < config.min_coverage:
        return "low_coverage"
    kind = config.classes[int(votes[1:].argmax())]
    return Roi(
        tight=tight, box=box, kind=kind, material=config.material(kind), area=area, coverage=share, region=number
    )
