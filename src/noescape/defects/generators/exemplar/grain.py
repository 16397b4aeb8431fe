"""The direction of a surface: brushed or ground metal has stripes, and what is drawn into it must follow them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np

from noescape.defects.generators.exemplar.logdomain import Float, blur, unit

COHERENT = 0.25  # magnetic tiles, ground lengthwise: .5 to .8; cast and painted surfaces: under .1


@dataclass(frozen=True, kw_only=True)
class Grain:
    """`axis` is "x" or "y" where stripes run along that axis, None for a surface without direction.

    `coherence` in 0..1 is the structure tensor's (l1 - l2) / (l1 + l2), averaged over pictures.
    """

    axis: str | None = None
    coherence: float = 0.0

    @property
    def directed(self) -> bool:
        """Whether the surface has a direction at all."""
        return self.axis is not None

    def smooth(self, log: Float, u: float | None = None) -> Float:
        """The surface without its texture: a blur that runs along the stripes (3 x 10 pixels of 256).

        `u` is the `unit` of the whole picture where `log` is a part of it.
        """
        u = u or unit(log.shape)
        long, across = 10 * u, 3 * u
        if self.axis == "y":
            return blur(log, across, long)
        if self.axis == "x":
            return blur(log, long, across)
        return blur(log, 5 * u)


def measure_grain(pictures: Iterable[Float]) -> Grain:
    """The grain common to good pictures (log domain): the mean structure tensor of their gradients."""
    total = np.zeros(3)
    for log in pictures:
        grey = blur(np.ascontiguousarray(log.mean(axis=2)), unit(log.shape))
        gx, gy = cv2.Scharr(grey, cv2.CV_32F, 1, 0), cv2.Scharr(grey, cv2.CV_32F, 0, 1)
        power = float((gx * gx + gy * gy).mean()) + 1e-12
        total += np.array([(gx * gx).mean(), (gy * gy).mean(), (gx * gy).mean()]) / power
    xx, yy, xy = total
    if xx + yy == 0:
        return Grain()
    coherence = float(np.hypot(xx - yy, 2 * xy) / (xx + yy))
    if coherence < COHERENT or abs(xy) * 2 > abs(xx - yy):  # none, or slanted: no axis to follow
        return Grain(coherence=coherence)
    return Grain(axis="y" if xx > yy else "x", coherence=coherence)  # gradients stand across the stripes
