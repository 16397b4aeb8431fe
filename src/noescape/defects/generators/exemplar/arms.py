"""Four ways to make a defect picture with its mask. Each has its own blind spot; their mix beats every one alone.

Measured on magnetic tiles (docs/results.md): copies add poses, transplants add places, pasted crops keep every detail,
random shapes keep a detector from learning the few outlines that it has seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from noescape.defects.generators.exemplar.exemplars import Exemplar, Traits
from noescape.defects.generators.exemplar.geometry import draw_move, warp, warp_mask
from noescape.defects.generators.exemplar.grain import Grain
from noescape.defects.generators.exemplar.logdomain import Bool, Float, blur, disc, same_channels, unit

CUT = 0.5  # share of pictures of large types that show a part of the defect only


@dataclass(frozen=True, kw_only=True, eq=False)
class Drawn:
    """A picture (log domain [H, W, C]), its mask [H, W], and the names of the exemplars that it is made from."""

    log: Float
    mask: Bool
    exemplars: tuple[str, ...] = ()


def classical(e: Exemplar, rng: np.random.Generator) -> Drawn:
    """The real picture itself turned a little, scaled, shifted and flipped; its mask likewise."""
    height, width = e.mask.shape
    move = cv2.getRotationMatrix2D((width / 2, height / 2), rng.uniform(-10, 10), rng.uniform(0.85, 1.2))
    move[:, 2] += rng.uniform(-12, 12, 2) * unit(e.mask.shape)
    log, mask = warp(e.log, move, e.mask.shape), warp_mask(e.mask, move, e.mask.shape, mirrored=True)
    return Drawn(log=log, mask=mask, exemplars=(e.name,))


def cutpaste(e: Exemplar, traits: Traits, clean: Float, rng: np.random.Generator) -> Drawn:
    """The defect's pixels, cut out along its mask and pasted, with a border one pixel soft."""
    size = clean.shape[:2]
    move = draw_move(e, traits, size, rng)
    mask = warp_mask(e.mask, move, size)
    pasted, clean = same_channels(warp(e.log, move, size), clean)
    weight = soft(mask, 1.0)
    return Drawn(log=clean * (1 - weight) + pasted * weight, mask=mask, exemplars=(e.name,))


def perlin(clean: Float, textures: Sequence[Float], rng: np.random.Generator) -> Drawn:
    """A random shape filled with another surface, turned, shifted, darker or brighter, more or less see-through."""
    size = clean.shape[:2]
    mask = random_shape(size, rng)
    filling = np.expm1(textures[int(rng.integers(len(textures)))])
    filling = np.rot90(filling, int(rng.integers(4)))
    filling = np.roll(filling, tuple(int(rng.integers(0, s)) for s in filling.shape[:2]), (0, 1))
    filling = cv2.resize(np.ascontiguousarray(filling), size[::-1]).reshape(*size, -1) * rng.uniform(0.4, 1.4)
    base, filling = same_channels(np.expm1(clean), filling)
    weight = mask[..., None].astype(np.float32) * np.float32(rng.uniform(0.2, 1))
    return Drawn(log=np.log1p(np.clip(base * (1 - weight) + filling * weight, 0, 255)), mask=mask)


def transplant(
    exemplars: Sequence[Exemplar], traits: Traits, clean: Float, grain: Grain, rng: np.random.Generator
) -> Drawn:
    """What the defect adds to its own surface, laid on the smoothed target surface, where the mask is.

    Inside the mask the target's texture is replaced, not added to: a break or a fray has none of the ground surface's
    stripes. Poisson blending would wash the defect's contrast out. The light under it is the target's, the exemplar's
    own (as in a pasted crop), or anything between. Small types get one to three instances; of large ones every second
    picture shows a part only, cut off straight: more outlines than the few that were seen.
    """
    size = clean.shape[:2]
    log, mask, used = clean, np.zeros(size, np.bool_), []
    smoothed = blur(clean, 3 * unit(size)) if traits.small else grain.smooth(clean)
    for _ in range(int(rng.integers(1, 4)) if traits.small else 1):
        e = exemplars[int(rng.integers(len(exemplars)))]
        move = draw_move(e, traits, size, rng)
        here = warp_mask(e.mask, move, size)
        if not traits.small and rng.random() < CUT:
            here = cut_off(here, rng)
        residual, log = same_channels(warp(e.residual, move, size), log)
        under, log = same_channels(warp(e.log - e.residual, move, size), log)
        smoothed, log = same_channels(smoothed, log)
        light, strength = np.float32(rng.uniform()), np.float32(rng.uniform(0.7, 1.3))
        weight = soft(here, 1.0 if traits.small else 1.5)
        log = log * (1 - weight) + weight * (smoothed * (1 - light) + under * light + residual * strength)
        mask |= here
        used.append(e.name)
    return Drawn(log=log, mask=mask, exemplars=tuple(used))


def cut_off(mask: Bool, rng: np.random.Generator) -> Bool:
    """What of a mask lies on one side of a straight line in any direction: .35 to .9 of its pixels."""
    ys, xs = np.nonzero(mask)
    if not len(xs):
        return mask
    angle = rng.uniform(0, 2 * np.pi)
    along = xs * np.cos(angle) + ys * np.sin(angle)
    kept = along <= np.quantile(along, rng.uniform(0.35, 0.9))
    out = np.zeros_like(mask)
    out[ys[kept], xs[kept]] = True
    return out


def jitter(drawn: Drawn, rng: np.random.Generator) -> Drawn:
    """Other light (gain and contrast) and both flips: what a lamp and a fixture do to every picture."""
    log, mask = drawn.log, drawn.mask
    for axis in (1, 0):
        if rng.random() < 0.5:
            log, mask = np.flip(log, axis), np.flip(mask, axis)
    mean = log.mean()
    log = (log - mean) * np.float32(rng.uniform(0.85, 1.15)) + mean + np.float32(rng.uniform(-0.35, 0.30))
    return Drawn(log=np.ascontiguousarray(log), mask=np.ascontiguousarray(mask), exemplars=drawn.exemplars)


def soft(mask: Bool, sigma: float) -> Float:
    """Weights [H, W, 1] of a mask one pixel wider, with a border that fades over about `sigma` (pixels of 256)."""
    u = unit(mask.shape)
    wider = cv2.dilate(mask.astype(np.uint8), disc(max(1, round(u)))).astype(np.float32)
    return blur(wider, sigma * u)[..., None]


def random_shape(size: tuple[int, int], rng: np.random.Generator) -> Bool:
    """A smooth random outline (thresholded noise of a random coarseness) of at least 20 pixels."""
    while True:
        coarse = rng.standard_normal((rng.integers(3, 14), rng.integers(3, 14))).astype(np.float32)
        mask = cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC) > rng.uniform(1.1, 1.8)
        if mask.sum() > 20:
            return mask  # type: ignore[no-any-return]
