"""From a CAD mask in colours to the places where solder defects can be: by rules of geometry, nothing learnt.

Classes: `capacitor` and `ic` (components), `solder`, `pad`; others are ignored. A candidate is one region of interest:
  missing         a component with its solder; the region is the mask of the defect
  excess_solder   pads and solder that hang together
  less_solder     one pad
  bridge          two or three neighbouring groups of pads and solder with the gap between, less component and solder
                  (but for the edges along the gap of groups that solder covers there)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
import numpy.typing as npt

from noescape.datasets.anomalygen_spec import Colour
from noescape.defects.placement.cad_gap import gap_between
from noescape.defects.placement.submask import Bool, box_of, largest_part, parts

COMPONENTS = ("capacitor", "ic")
MIN_AREA = 5
MIN_SHARE = 0.1  # of the largest region of its class
MAX_COMPONENT_IN_GAP = 0.25
MAX_GAP = 3.0  # times the larger side of the larger group
MAX_CHAIN = 3
WET_EDGE = 7  # pixels across: three into a group
ENOUGH = 400  # candidates of one image


@dataclass(frozen=True, kw_only=True, eq=False)
class Candidate:
    """A region [H, W] for one defect. `groups` are those that a bridge must touch."""

    region: Bool
    groups: tuple[Bool, ...] = ()

    @property
    def area(self) -> int:
        """Pixels."""
        return int(self.region.sum())


Classes = Mapping[str, Bool]


def read_classes(rgb: npt.NDArray[np.uint8], labels: Mapping[Colour, str]) -> dict[str, Bool]:
    """One mask per class: each pixel belongs to the nearest colour of `labels` or of black, which is nothing.

    Regions under 5 pixels, or under a tenth of the largest of their class, are left out as crumbs.
    """
    palette = np.array([(0, 0, 0), *labels], np.int64)
    names = ["", *labels.values()]
    packed = rgb.astype(np.int64) @ np.array([65536, 256, 1])
    seen, index = np.unique(packed, return_inverse=True)
    colours = np.stack([seen >> 16, seen >> 8 & 255, seen & 255], axis=1)
    nearest = ((colours[:, None] - palette[None]) ** 2).sum(axis=2).argmin(axis=1)
    which = nearest[index].reshape(rgb.shape[:2])
    out: dict[str, Bool] = {}
    for number, name in enumerate(names):
        for part in name.split(",") if name else ():
            out[part] = out.get(part, np.zeros(which.shape, bool)) | (which == number)
    return {name: _without_crumbs(mask) for name, mask in out.items()}


def candidates(defect: str, classes: Classes, shape: tuple[int, int]) -> list[Candidate]:
    """The places for a defect named `missing`, `excess_solder`, `less_solder` or `bridge`, from top left; [] if none.

    Cost: about 1 ms per candidate at 512 x 512.
    """
    rules = {"missing": _missing, "excess_solder": _excess, "less_solder": _less, "bridge": _bridges}
    return rules[defect](classes, shape)


def union(classes: Classes, names: Iterable[str], shape: tuple[int, int]) -> Bool:
    """Where any of the classes is."""
    out = np.zeros(shape, bool)
    for name in names:
        if name in classes:
            out |= classes[name]
    return out


def regions(mask: Bool, min_area: int = MIN_AREA) -> list[Bool]:
    """Its 8-connected parts of at least `min_area` pixels, by the row and column of their boxes."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    keep = [i for i in range(1, count) if stats[i, cv2.CC_STAT_AREA] >= min_area]
    keep.sort(key=lambda i: (stats[i, cv2.CC_STAT_TOP], stats[i, cv2.CC_STAT_LEFT]))
    return [labels == i for i in keep]


def dilated(mask: Bool, size: int) -> Bool:
    """Grown by a square of `size` pixels."""
    out: Bool = cv2.dilate(mask.astype(np.uint8), np.ones((size, size), np.uint8)) > 0
    return out


def closed(mask: Bool, size: int) -> Bool:
    """Gaps up to `size` pixels closed."""
    out: Bool = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((size, size), np.uint8)) > 0
    return out


def _without_crumbs(mask: Bool) -> Bool:
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    area = stats[:, cv2.CC_STAT_AREA]
    least = max(MIN_AREA, MIN_SHARE * float(area[1:].max())) if count > 1 else 0
    keep = area >= least
    keep[0] = False
    out: Bool = keep[labels]
    return out


def _missing(classes: Classes, shape: tuple[int, int]) -> list[Candidate]:
    component = union(classes, COMPONENTS, shape)
    both = component | union(classes, ("solder",), shape)
    units = [unit for unit in regions(dilated(both, 5)) if (unit & component).any()]
    return [Candidate(region=closed(unit & both, 7)) for unit in units]


def _groups(classes: Classes, shape: tuple[int, int]) -> list[Bool]:
    return regions(union(classes, ("pad", "solder"), shape))


def _excess(classes: Classes, shape: tuple[int, int]) -> list[Candidate]:
    return [Candidate(region=group) for group in _groups(classes, shape)]


def _less(classes: Classes, shape: tuple[int, int]) -> list[Candidate]:
    return [Candidate(region=pad) for pad in regions(union(classes, ("pad",), shape))]


def _bridges(classes: Classes, shape: tuple[int, int]) -> list[Candidate]:
    groups = _groups(classes, shape)
    found: dict[tuple[int, ...], Candidate] = {}
    near = [(i, j) for i in range(len(groups)) for j in range(i + 1, len(groups)) if _near(groups[i], groups[j])]
    for pair in near:
        if len(found) < ENOUGH and (candidate := _bridge(groups, pair, classes, shape)):
            found[pair] = candidate
    linked = list(found)
    for (a, b), (c, d) in ((p, q) for p in linked for q in linked if p < q):
        chain = tuple(sorted({a, b, c, d}))
        if len(chain) == MAX_CHAIN and chain not in found and len(found) < ENOUGH:
            candidate = _bridge(groups, chain, classes, shape)
            if candidate:
                found[chain] = candidate
    return list(found.values())


def _near(a: Bool, b: Bool) -> bool:
    """Whether a gap between the boxes can pass at all."""
    (ax0, ay0, ax1, ay1), (bx0, by0, bx1, by1) = box_of(a), box_of(b)
    gap = max(bx0 - ax1, ax0 - bx1, by0 - ay1, ay0 - by1)
    return gap <= MAX_GAP * max(ax1 - ax0, ay1 - ay0, bx1 - bx0, by1 - by0)


def _bridge(every: list[Bool], which: tuple[int, ...], classes: Classes, shape: tuple[int, int]) -> Candidate | None:
    groups = [every[i] for i in which]
    component, solder = union(classes, COMPONENTS, shape), union(classes, ("solder",), shape)
    together = np.logical_or.reduce(groups)
    centres = np.array([_centre(group) for group in groups])
    spread = centres - centres.mean(axis=0)
    along = spread @ np.linalg.svd(spread, full_matrices=False)[2][0]
    chain = [groups[i] for i in np.argsort(along, kind="stable")]
    strip = np.logical_or.reduce([gap_between(a, b) for a, b in pairwise(chain)]) & ~together
    if not strip.any() or float((strip & component).sum()) > MAX_COMPONENT_IN_GAP * float(strip.sum()):
        return None
    if any((strip & every[i]).any() for i in range(len(every)) if i not in which):
        return None  # they are no neighbours: another group lies between
    open_way = largest_part((together | strip) & ~dilated(component, 5))
    if not all((open_way & group).any() for group in groups):
        return None
    smooth = cv2.GaussianBlur(closed(together | strip, 11).astype(np.float32), (7, 7), 0) > 0.5
    region = smooth & ~component & (~solder | _wet_edges(groups, strip, solder | component))
    bare = region & ~together
    if not region.any() or not (region & together).any() or not bare.any():
        return None
    x0, y0, x1, y1 = box_of(bare)
    largest = max(max(b[2] - b[0], b[3] - b[1]) for b in map(box_of, groups))
    if max(x1 - x0, y1 - y0) > MAX_GAP * largest:
        return None
    return Candidate(region=region, groups=tuple(groups))


def _wet_edges(groups: list[Bool], strip: Bool, covered: Bool) -> Bool:
    """The edges along the gap of groups whose pads solder covers there: a bridge lies on their solder, as there is no
    bare pad for it to hold on to."""
    edge = dilated(strip, WET_EDGE)
    out = np.zeros_like(strip)
    for group in groups:
        mine = edge & group
        if (mine & ~covered).sum() < 0.5 * mine.sum():
            out |= mine
    return out


def bridges_groups(mask: Bool, groups: Iterable[Bool]) -> bool:
    """In one part, and on at least two of the groups."""
    return parts(mask) == 1 and sum(bool((mask & group).any()) for group in groups) >= 2


def _centre(mask: Bool) -> tuple[float, float]:
    ys, xs = np.nonzero(mask)
    return float(xs.mean()), float(ys.mean())
