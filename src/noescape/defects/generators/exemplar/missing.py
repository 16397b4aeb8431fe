"""A missing component of which no example shows a like place: filled with the bare board around it."""

from __future__ import annotations

import cv2
import numpy as np

from noescape.defects.generators.exemplar.given import Layer, continued, soft
from noescape.defects.generators.exemplar.logdomain import Bool, Float, blur, disc
from noescape.records import DataError

RING = 14  # pixels of 256 around the component in which bare board is looked for
COMMON = 0.5  # share of the ring, the part of the most usual colour, that is taken for bare board without a CAD mask
TAILS = 3.5  # the brightness of that part, this much wider, is still board: its texture has lights and darks
LEAST = 12  # pixels


def missing(clean: Float, onto: Bool, board: Bool | None, u: float) -> Layer:
    """Fill `onto` in the window `clean` (log) with the surface near it.

    `board` marks what is bare board (from the CAD mask); None takes the most usual colour near the component. The
    shade is carried in from the border, the texture is that of the nearest board, mirrored. DataError where there is
    no board near it.
    """
    block = onto.astype(np.uint8)
    gap = cv2.dilate(block, disc(max(1, round(1.5 * u)))) > 0
    ring = (cv2.dilate(block, disc(max(2, round(RING * u)))) > 0) & ~gap
    source = ring & board if board is not None else _usual(clean, ring)
    if source.sum() < LEAST:
        raise DataError("no bare board around the component to fill its place with")
    weight = source.astype(np.float32)
    base = np.broadcast_to(clean[source].mean(axis=0), clean.shape)
    for sigma in (24, 8):
        there = blur(weight, sigma * u)
        near = blur(clean * weight[..., None], sigma * u) / (there + 1e-4)[..., None]
        trust = np.clip(there * 8, 0, 1)[..., None]
        base = base * (1 - trust) + near * trust
    ys, xs = continued(source, onto)
    log = np.asarray(base, np.float32).copy()
    log[onto] += np.clip((clean - log)[ys, xs], -0.25, 0.25)  # glints at the border of a pad are no texture
    return Layer(log=log, weight=soft(onto, 1.0, u), exemplar=None, fit=1.0)


def _usual(clean: Float, ring: Bool) -> Bool:
    """The pixels of the ring that are about as bright as most of it (the narrowest range that holds half of it)."""
    grey = clean.mean(axis=2)
    values = np.sort(grey[ring])
    if not len(values):
        return ring
    count = max(1, int(len(values) * COMMON))
    spans = values[count - 1 :] - values[: len(values) - count + 1]
    first = int(np.argmin(spans))
    low, high = values[first], values[first + count - 1]
    middle, reach = (low + high) / 2, (high - low) / 2 * TAILS
    return np.asarray(ring & (np.abs(grey - middle) <= reach), np.bool_)
