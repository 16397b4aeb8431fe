"""From a mask to the shapes that annotation files hold: run lengths, and polygons that keep holes."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Mask = npt.NDArray[np.uint8]
Points = npt.NDArray[np.int64]


def run_lengths(mask: Mask) -> str:
    """COCO's compressed run lengths of a mask (columns first, background first), as `masks.draw_run_lengths` reads."""
    flat = np.concatenate([[0], (mask > 0).T.ravel().astype(np.int8), [2]])
    ends = np.flatnonzero(np.diff(flat))
    runs = np.diff(np.concatenate([[0], ends])).tolist()
    text = []
    for i, run in enumerate(runs):
        value = run - runs[i - 2] if i > 2 else run
        more = True
        while more:
            bits = value & 31
            value >>= 5
            more = value != (-1 if bits & 16 else 0)
            text.append(chr((bits | 32 if more else bits) + 48))
    return "".join(text)


def polygon(mask: Mask) -> list[tuple[float, float]]:
    """One closed outline of a connected mask, as pixel centres (x + .5, y + .5).

    Holes stay holes: the outline runs along a bridge of no width to the border of each hole, around it and back, which
    is how one polygon can say so. Filled again (border pixels included) it gives the mask, but for bridges that cross
    a hole's neighbour. A part of one or two pixels becomes a small square, since a polygon needs three points.
    """
    contours, tree = cv2.findContours((mask > 0).astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    if not contours:
        raise ValueError("an empty mask has no outline")
    outer = max((i for i in range(len(contours)) if tree[0, i, 3] < 0), key=lambda i: cv2.contourArea(contours[i]))
    ring = contours[outer][:, 0].astype(np.int64)
    if len(ring) < 3:
        (x0, y0), (x1, y1) = ring.min(axis=0), ring.max(axis=0)
        corners = ((x0 + 0.1, y0 + 0.1), (x1 + 0.9, y0 + 0.1), (x1 + 0.9, y1 + 0.9), (x0 + 0.1, y1 + 0.9))
        return [(float(x), float(y)) for x, y in corners]
    holes = [contours[i][:, 0].astype(np.int64) for i in range(len(contours)) if tree[0, i, 3] == outer]
    for hole in sorted(holes, key=lambda h: (int(h[:, 0].min()), int(h[:, 1].min()))):
        ring = _bridged(ring, hole)
    return [(float(x) + 0.5, float(y) + 0.5) for x, y in ring]


def hole_count(mask: Mask) -> int:
    """How many holes a mask has."""
    _, tree = cv2.findContours((mask > 0).astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    return 0 if tree is None else int((tree[0, :, 3] >= 0).sum())


def _bridged(ring: Points, hole: Points) -> Points:
    """The ring with a walk to the nearest point of the hole, around it, and back the same way."""
    gaps = ((ring[:, None] - hole[None]) ** 2).sum(axis=2)
    a, b = np.unravel_index(int(gaps.argmin()), gaps.shape)
    around = np.concatenate([hole[b:], hole[: b + 1]])
    return np.concatenate([ring[: a + 1], around, ring[a:]])
