"""The gap between two regions that face each other: what lies between them along the line of their centres."""

from __future__ import annotations

import numpy as np

from noescape.defects.placement.submask import Bool


def gap_between(a: Bool, b: Bool) -> Bool:
    """Pixels strictly between `a` and `b` [H, W] on parallels of the line through their centres.

    Only parallels that meet both count, from the middle one outwards as far as they are unbroken: where one region
    ends, so does the gap. Empty if the regions do not face each other, or overlap.
    """
    ay, ax = np.nonzero(a)
    by, bx = np.nonzero(b)
    out = np.zeros_like(a)
    way = np.array([bx.mean() - ax.mean(), by.mean() - ay.mean()])
    length = float(np.linalg.norm(way))
    if length < 1:
        return out
    ux, uy = way / length
    middle_x, middle_y = (ax.mean() + bx.mean()) / 2, (ay.mean() + by.mean()) / 2

    def along_and_lane(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        dx, dy = x - middle_x, y - middle_y
        return dx * ux + dy * uy, np.floor(dy * ux - dx * uy + 1e-6).astype(np.int64)

    u_a, lane_a = along_and_lane(ax, ay)
    u_b, lane_b = along_and_lane(bx, by)
    low = int(min(lane_a.min(), lane_b.min()))
    lanes = int(max(lane_a.max(), lane_b.max())) - low + 1
    end_of_a, start_of_b = np.full(lanes, -np.inf), np.full(lanes, np.inf)
    np.maximum.at(end_of_a, lane_a - low, u_a)
    np.minimum.at(start_of_b, lane_b - low, u_b)
    both = np.isfinite(end_of_a) & np.isfinite(start_of_b)
    if not 0 <= -low < lanes or not both[-low]:
        return out
    open_lane = np.zeros(lanes, bool)
    for step in (1, -1):
        lane = -low
        while 0 <= lane < lanes and both[lane]:
            open_lane[lane] = True
            lane += step
    y0, y1 = int(min(ay.min(), by.min())), int(max(ay.max(), by.max())) + 1
    x0, x1 = int(min(ax.min(), bx.min())), int(max(ax.max(), bx.max())) + 1
    ys, xs = np.mgrid[y0:y1, x0:x1]
    u, lane_of = along_and_lane(xs, ys)
    at = np.clip(lane_of - low, 0, lanes - 1)
    inside = (lane_of >= low) & (lane_of < low + lanes) & open_lane[at] & (u > end_of_a[at]) & (u < start_of_b[at])
    out[y0:y1, x0:x1] = inside
    return out
