"""Where the score comes from: the scale that heat is drawn in, boxes around it, and pictures for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from noescape.changenet.images import LoadedPair
from noescape.changenet.rows import Row
from noescape.imaging import find_defects, fit_within, heat_overlay, resize_map, resize_rgb
from noescape.records import Box, WorkError

if TYPE_CHECKING:
    from noescape.changenet.scorer import Scorer

Float = npt.NDArray[np.float32]
U8 = npt.NDArray[np.uint8]
LOOKED_AT = 16  # rows of either class that set the scale
CALM = 0.95  # share of PASS rows whose heat stays under the scale
HOT = 0.2  # share of the scale that a box must rise over
LONGEST = 512  # px of one part of a picture
GAP = 6  # px between parts


def heat_scale(scorer: Scorer, rows: Sequence[Row]) -> list[float]:
    """(low, high): under low lies the hottest place of 95% of PASS rows, at high that of the middle NO_PASS row.

    Taken on rows spread over the list; high is at least half as much again as low.
    """
    good = _hottest(scorer, _spread([row for row in rows if not row.is_defect]))
    bad = _hottest(scorer, _spread([row for row in rows if row.is_defect]))
    low = float(np.quantile(good, CALM)) if good else 0.0
    high = float(np.median(bad)) if bad else low
    return [low, max(high, 1.5 * low if low > 0 else low + 1e-6)]


def boxes_of(heat: Float, scorer: Scorer, shape: tuple[int, int]) -> list[tuple[Box, float]]:
    """Boxes around hot places, in pixels of an image of `shape`, the hottest first; none where all is calm.

    Hot is what lies over the scale's low end by a fifth of the scale, and by more than `heat_share` of what the
    image's hottest place does: the heat of features spreads, and half of its peak is about as wide as what caused it.
    """
    (low, high), peak = scorer.heat_scale, float(heat.max())
    threshold = low + max(HOT * (high - low), scorer.heat_share * (peak - low))
    _, found = find_defects(np.ascontiguousarray(heat, np.float32), threshold)
    down, across = shape[0] / heat.shape[0], shape[1] / heat.shape[1]
    out = []
    for region in found:
        x0, y0, x1, y1 = region.bbox
        box = (int(x0 * across), int(y0 * down), int(np.ceil(x1 * across)), int(np.ceil(y1 * down)))
        out.append(((box[0], box[1], min(box[2], shape[1]), min(box[3], shape[0])), region.max_anomaly_value))
    return out


def picture(pair: LoadedPair, heat: Float, scorer: Scorer) -> U8:
    """Input, golden and heat side by side, as the model saw them; boxes drawn where it is hot."""
    image = pair.input
    height, width = image.shape[:2]
    grown = resize_map(heat, height, width)
    hot = heat_overlay(image, grown, scorer.heat_scale)
    for (x0, y0, x1, y1), _ in boxes_of(heat, scorer, (height, width)):
        cv2.rectangle(hot, (x0, y0), (max(x0, x1 - 1), max(y0, y1 - 1)), (0, 229, 255), max(1, height // 200))
    gap = np.full((height, max(1, GAP * max(height, width) // LONGEST), 3), 255, np.uint8)
    whole = np.concatenate([image, gap, pair.goldens[0], gap, hot], axis=1)
    if width < 128:
        times = -(-128 // width)
        whole = resize_rgb(whole, times * whole.shape[0], times * whole.shape[1])
    return fit_within(whole, 3 * LONGEST)


def _hottest(scorer: Scorer, rows: Sequence[Row]) -> list[float]:
    out = []
    for row in rows:
        try:
            out.append(float(scorer.heat(scorer.load(row)).max()))
        except (WorkError, OSError):
            continue  # reported where rows are read for training
    return out


def _spread(rows: Sequence[Row]) -> list[Row]:
    if len(rows) <= LOOKED_AT:
        return list(rows)
    return [rows[i * len(rows) // LOOKED_AT] for i in range(LOOKED_AT)]
