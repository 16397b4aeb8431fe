"""Where each part lies in a picture of its board: boxes in pixels from a placement table, without any scene."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from noescape.board.cad.centroid import Placement
from noescape.board.cad.model import Side
from noescape.board.cad.package_sizes import UNKNOWN, package_size
from noescape.board.cad.shapes import turned
from noescape.board.cad.stage_facts import PartFacts, StageFacts
from noescape.records import DataError

FITS = 0.5  # mm by which tables and boards may differ in the middle
_ENOUGH = 3  # parts in common that a shift can be found from


@dataclass(frozen=True, kw_only=True)
class View:
    """A picture of a board: which side, its size in mm, pixels per mm, and where the table's origin lies from its
    lower left corner (seen from that side; the table's x runs to the left at the bottom)."""

    side: Side
    size: tuple[float, float]
    px_per_mm: float
    origin: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True, kw_only=True)
class Roi:
    """A part's box in pixels, `x0 <= x < x1`, rows downwards, not clipped. `x_mm`, `y_mm` from the lower left corner;
    `width_mm`, `height_mm` before turning by `angle`; `size_from`: board, sizes, name or guess."""

    placement: Placement
    box: tuple[int, int, int, int]
    x_mm: float
    y_mm: float
    width_mm: float
    height_mm: float
    angle: float
    size_from: str
    inside: bool


def rois(
    placements: Sequence[Placement],
    view: View,
    *,
    margin_mm: float = 0.25,
    sizes: Mapping[str, tuple[float, float]] | None = None,
    parts: Mapping[str, PartFacts] | None = None,
) -> list[Roi]:
    """One box for each part on the view's side, in the order of the table.

    Sizes come from the board's own parts (by refdes), else `sizes` (by package, any case), else the package's name,
    else 3 x 3 mm. The box holds the turned part and `margin_mm` all round.
    """
    known = {name.lower(): size for name, size in (sizes or {}).items()}
    found = []
    for item in placements:
        if item.side != view.side:
            continue
        part = (parts or {}).get(item.refdes)
        low, high, source = _extent(item, known, part)
        x = view.origin[0] + (item.x if view.side == "top" else -item.x)
        y = view.origin[1] + item.y
        corners = turned(np.array([(a, b) for a in (low[0], high[0]) for b in (low[1], high[1])]), item.angle) + (
            np.array([x, y])
        )
        (x0, y0), (x1, y1) = corners.min(axis=0) - margin_mm, corners.max(axis=0) + margin_mm
        k, height = view.px_per_mm, view.size[1]
        box = (math.floor(x0 * k + 1e-6), math.floor((height - y1) * k + 1e-6),
               math.ceil(x1 * k - 1e-6), math.ceil((height - y0) * k - 1e-6))  # fmt: skip
        inside = 0 <= x <= view.size[0] and 0 <= y <= view.size[1]
        found.append(Roi(placement=item, box=box, x_mm=x, y_mm=y, width_mm=high[0] - low[0], height_mm=high[1] - low[1],
                         angle=item.angle, size_from=source, inside=inside))  # fmt: skip
    return found


def fitted(placements: Sequence[Placement], stage: StageFacts) -> tuple[View, str]:
    """The view of a stage's own board, and how the table's origin was found: the page's corner, the auxiliary origin,
    or a shift by the parts that both know. DataError where none of them fits."""
    here = [(item, stage.parts[item.refdes]) for item in placements if item.refdes in stage.parts]
    here = [(item, part) for item, part in here if item.side == stage.side]
    sign = 1.0 if stage.side == "top" else -1.0
    if not here:
        raise DataError(
            f"no part of the table is on the board's {stage.side} side, which has {', '.join(list(stage.parts)[:5])} …"
        )
    shifts = [(part.x - sign * item.x, part.y - item.y) for item, part in here]

    def off(origin: tuple[float, float]) -> float:
        return median(math.dist(shift, origin) for shift in shifts)

    best = min(stage.origins, key=lambda name: off(stage.origins[name]), default="")
    if best and off(stage.origins[best]) <= FITS:
        origin, how = stage.origins[best], f"the CAD's {best} origin"
    else:
        origin = median(x for x, _ in shifts), median(y for _, y in shifts)
        how = f"a shift found from {len(shifts)} parts"
        if len(shifts) < _ENOUGH or off(origin) > FITS:
            raise DataError(
                f"the table does not fit this board: after the best shift its {len(shifts)} common parts are "
                f"{off(origin):.2f} mm off in the middle; is it the table of another revision or side?"
            )
    return View(side=stage.side, size=stage.size, px_per_mm=stage.px_per_mm, origin=origin), how


def disagreeing(found: Sequence[Roi], parts: Mapping[str, PartFacts], *, mm: float = FITS) -> list[str]:
    """Parts whose place or angle in the table is not the board's, in words; turned by 180 degrees counts."""
    words = []
    for roi in found:
        part = parts.get(roi.placement.refdes)
        if part is None:
            words.append(f"{roi.placement.refdes}: not on this side of the board")
            continue
        away = math.dist((part.x, part.y), (roi.x_mm, roi.y_mm))
        turn = (part.angle - roi.angle + 180.0) % 360.0 - 180.0
        if away > mm or abs(turn) > 1.0:
            words.append(f"{roi.placement.refdes}: {away:.2f} mm, {turn:+.0f} degrees")
    return words


def _extent(
    item: Placement, sizes: Mapping[str, tuple[float, float]], part: PartFacts | None
) -> tuple[tuple[float, float], tuple[float, float], str]:
    if part is not None:
        return part.box[:2], part.box[2:], "board"
    own = sizes.get(item.package.lower())
    size, source = (own, "sizes") if own is not None else (package_size(item.package, item.refdes), "name")
    if size is None:
        size, source = UNKNOWN, "guess"
    w, h = size
    return (-w / 2, -h / 2), (w / 2, h / 2), source
