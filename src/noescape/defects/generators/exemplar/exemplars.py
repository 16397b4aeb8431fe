"""An example defect taken apart: the surface under it, what the defect adds to it, and the shape of its mask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from noescape.defects.generators.exemplar.logdomain import Bool, Float, Rgb, blur, disc, to_log, unit

SMALL = 0.03  # share of the picture up to which a type of defect is small
WIDE = 0.15  # share from which on it is a change of the surface rather than a spot
BLOB = 2.5  # length over width up to which a defect has no direction


@dataclass(frozen=True, kw_only=True)
class Touch:
    """Which borders of the picture a mask reaches: what grows from the edge of a part must stay there."""

    top: bool
    bottom: bool
    left: bool
    right: bool

    @property
    def any(self) -> bool:
        """At least one."""
        return self.top or self.bottom or self.left or self.right


@dataclass(frozen=True, kw_only=True, eq=False)
class Exemplar:
    """`log` [H, W, C], `mask` [H, W], `residual` = log minus the surface as it would be without the defect."""

    name: str
    log: Float
    mask: Bool
    residual: Float
    box: tuple[int, int, int, int]
    touch: Touch
    share: float
    elongation: float


@dataclass(frozen=True, kw_only=True)
class Traits:
    """What the exemplars of one type have in common (medians), and so how the type may be moved and drawn."""

    share: float
    elongation: float

    @property
    def small(self) -> bool:
        """A spot or a line: several may stand on one part."""
        return self.share <= SMALL

    @property
    def wide(self) -> bool:
        """A change of a whole region."""
        return self.share >= WIDE

    @property
    def size(self) -> str:
        """ "small", "middle" or "wide"."""
        return "small" if self.small else "wide" if self.wide else "middle"

    @property
    def blob(self) -> bool:
        """Looks alike from every side: may be turned freely."""
        return self.small and self.elongation <= BLOB


def take_apart(name: str, rgb: Rgb, mask: Bool) -> Exemplar:
    """Split one real defect picture. ValueError where the mask is empty. About 60 CPU-ms for 512 x 512."""
    if not mask.any():
        raise ValueError(f"{name}: the mask marks nothing")
    log = to_log(rgb)
    ys, xs = np.nonzero(mask)
    box = (int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1)
    height, width = mask.shape
    near = round(7 * unit(mask.shape))
    touch = Touch(top=box[1] < near, bottom=box[3] > height - near, left=box[0] < near, right=box[2] > width - near)
    return Exemplar(
        name=name, log=log, mask=mask, residual=log - surface_under(log, mask), box=box, touch=touch,
        share=float(mask.mean()), elongation=_elongation(mask),
    )  # fmt: skip


def traits(exemplars: Sequence[Exemplar]) -> Traits:
    """The medians over the exemplars of a type."""
    return Traits(
        share=float(np.median([e.share for e in exemplars])),
        elongation=float(np.median([e.elongation for e in exemplars])),
    )


def surface_under(log: Float, mask: Bool) -> Float:
    """The picture with what is under the mask filled from around it, coarse to fine (normalised convolution).

    Each finer blur takes over where enough unmasked pixels lie in its reach; far inside a large mask only the coarse
    ones speak, and where there is nothing else the mean.
    """
    u = unit(log.shape)
    weight = 1 - cv2.dilate(mask.astype(np.uint8), disc(max(1, round(3 * u)))).astype(np.float32)
    if not weight.any():
        return np.broadcast_to(log.mean(axis=(0, 1)), log.shape).astype(np.float32)
    filled = np.broadcast_to(log[weight > 0].mean(axis=0), log.shape)  # beyond every reach: the mean of what is seen
    for sx, sy, soon in ((60, 60, 1e3), (20, 40, 6), (5, 14, 6), (2, 8, 6)):
        there = blur(weight, sx * u, sy * u)
        value = blur(log * weight[..., None], sx * u, sy * u) / (there + 1e-4)[..., None]
        trust = np.clip(there * soon, 0, 1)[..., None]
        filled = filled * (1 - trust) + value * trust
    return filled.astype(np.float32)


def _elongation(mask: Bool) -> float:
    """Length over width of the largest connected part, from the second moments."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    largest = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax()) if count > 1 else 0
    ys, xs = np.nonzero(labels == largest)
    if len(xs) < 3:
        return 1.0
    small, large = np.linalg.eigvalsh(np.cov(np.stack([xs, ys]).astype(np.float64)) + np.eye(2) / 12)
    return float(np.sqrt(large / small))
