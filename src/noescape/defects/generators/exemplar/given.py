"""Draw a defect into a mask that is given: the mask decides where and how far, the exemplar what is seen there.

The exemplar is laid over the mask as well as its shape allows; what the mask covers beyond it is continued from the
exemplar's own inside, from places as deep under the border. All work happens in a window around the mask, in the log
domain; outside of the slightly widened mask nothing is touched, to the bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from noescape.defects.generators.exemplar.exemplars import Exemplar, Traits
from noescape.defects.generators.exemplar.geometry import warp, warp_mask
from noescape.defects.generators.exemplar.grain import Grain
from noescape.defects.generators.exemplar.logdomain import Bool, Float, blur, disc, same_channels
from noescape.defects.generators.exemplar.shapes import Shape, lay

DEPTHS = 3  # levels of depth under the border, each continued from its own
Index = npt.NDArray[np.intp]


@dataclass(frozen=True, kw_only=True, eq=False)
class Stock:
    """All that is known of one type: exemplars with their shapes, traits, and the surface that it is drawn on."""

    exemplars: Sequence[Exemplar]
    shapes: Sequence[Shape]
    traits: Traits
    grain: Grain
    textures: Sequence[Float]


@dataclass(frozen=True, kw_only=True, eq=False)
class Layer:
    """A change of a window: the new picture (log), the weight [H, W, 1] that it gets, and where it comes from."""

    log: Float
    weight: Float
    exemplar: Exemplar | None
    fit: float


def transplant(stock: Stock, clean: Float, onto: Bool, u: float, strength: float, rng: np.random.Generator) -> Layer:
    """What the exemplar adds to its own surface, on the smoothed target surface (the texture there is replaced)."""
    number, move, fit = lay(stock.exemplars, stock.shapes, stock.traits, onto, rng)
    e = stock.exemplars[number]
    residual = _within(_laid(e.residual, e.mask, move, onto), onto)
    smoothed = blur(clean, 3 * u) if stock.traits.small else stock.grain.smooth(clean, u)
    log = smoothed + like(clean, residual) * np.float32(strength)
    return Layer(log=log, weight=soft(onto, 1.0 if stock.traits.small else 1.5, u), exemplar=e, fit=fit)


def cutpaste(stock: Stock, clean: Float, onto: Bool, u: float, strength: float, rng: np.random.Generator) -> Layer:
    """The exemplar's own pixels with every detail; its light is brought to that of the target as far as drawn."""
    number, move, fit = lay(stock.exemplars, stock.shapes, stock.traits, onto, rng)
    e = stock.exemplars[number]
    pixels = like(clean, _laid(e.log, e.mask, move, onto))
    residual = like(clean, _within(_laid(e.residual, e.mask, move, onto), onto))
    under = like(clean, (e.log - e.residual)[e.mask].mean(axis=0)[None, None])
    here = clean[onto].mean(axis=0)
    light = (here - under) * np.float32(rng.uniform(0.6, 1.0))
    contrast = np.float32(np.clip(strength, 0.6, 1.4))
    log = np.where(onto[..., None], (pixels - under) * contrast + under + light, clean + residual * contrast)
    return Layer(log=np.asarray(log, np.float32), weight=soft(onto, 0.8, u), exemplar=e, fit=fit)


def noise(stock: Stock, clean: Float, onto: Bool, u: float, strength: float, rng: np.random.Generator) -> Layer:
    """A filling of random texture as dark or bright, and as uneven, as the exemplars of the type are."""
    e = stock.exemplars[int(rng.integers(len(stock.exemplars)))]
    inside = like(clean, e.residual[e.mask][:, None, :])
    level, spread = inside.mean(axis=0)[None], float(inside.mean(axis=2).std())
    texture = stock.textures[int(rng.integers(len(stock.textures)))] if stock.textures else clean
    field = np.zeros(onto.shape, np.float32)
    for cells, share in ((3, 0.6), (8, 0.8)):
        coarse = rng.standard_normal((cells, cells)).astype(np.float32)
        field += np.float32(share) * cv2.resize(coarse, onto.shape[::-1], interpolation=cv2.INTER_CUBIC)
    grainy = _patch(texture, onto.shape, rng, upright=stock.grain.directed) * np.float32(rng.uniform(0.5, 1.5))
    change = level + field[..., None] * np.float32(0.45 * spread) + like(clean, grainy)
    kept = np.float32(rng.uniform(0.0, 0.6))
    surface = blur(clean, 3 * u) * (1 - kept) + clean * kept
    return Layer(log=surface + change * np.float32(strength), weight=soft(onto, 1.0, u), exemplar=None, fit=0.0)


def soft(mask: Bool, sigma: float, u: float) -> Float:
    """Weights [H, W, 1]: 1 inside, fading within `widening(sigma, u)` pixels outside, 0 beyond that to the bit."""
    wide = max(1, round(u))
    wider = cv2.dilate(mask.astype(np.uint8), disc(wide))
    faded = np.maximum(blur(wider.astype(np.float32), sigma * u), 0)
    limit = cv2.dilate(mask.astype(np.uint8), disc(wide + max(1, round(2 * sigma * u))))
    return np.where(limit > 0, faded, 0)[..., None].astype(np.float32)


def widening(u: float) -> int:
    """How far (pixels) beyond its mask any of these may change the picture."""
    return max(1, round(u)) + max(1, round(3 * u))


def _laid(picture: Float, mask: Bool, move: npt.NDArray[np.float64], onto: Bool) -> Float:
    """`picture` moved onto the window, continued over all of `onto`, and faded out of the exemplar beyond it."""
    size = onto.shape
    moved = warp(picture, move, size)
    inside = warp_mask(mask, move, size)
    if not inside.any():  # shrunk to less than a pixel
        ys, xs = np.nonzero(onto)
        inside[int(ys.mean()), int(xs.mean())] = True
    ys, xs = continued(inside, onto)
    out = moved.copy()
    out[onto] = moved[ys, xs]
    made_up = onto & ~inside
    if made_up.any():
        out[made_up] = blur(out, 0.7)[made_up]  # neighbours there come from places that are no neighbours
    spill = inside & ~onto  # the exemplar's defect where none is asked for: only the soft border shows it
    if spill.any():
        there = blur(onto.astype(np.float32), 2.0)
        mean = blur(out * onto[..., None].astype(np.float32), 2.0) / (there + 1e-3)[..., None]
        out[spill] = mean[spill]
    return out


def _within(residual: Float, onto: Bool) -> Float:
    """Less of what the exemplar shows around its mask (rims, glints): it is not marked, the label will not hold it."""
    return residual * np.where(onto, np.float32(1), np.float32(0.5))[..., None]


def continued(inside: Bool, onto: Bool) -> tuple[Index, Index]:
    """For each pixel of `onto` (row by row) the pixel (y, x) of `inside` that it takes its content from.

    Where both overlap, itself. Elsewhere the nearest pixel of `inside` as deep under its border as this one is under
    that of `onto`, mirrored at it, so that texture goes on instead of being drawn out to streaks.
    """
    ys, xs = np.nonzero(onto)
    ys, xs = ys.astype(np.intp), xs.astype(np.intp)
    missing = ~inside[ys, xs]
    if not missing.any():
        return ys, xs
    have, want = _depths(inside), _depths(onto)
    level_of = want[ys, xs]
    reach = max(2.0, 1.5 * float(cv2.distanceTransform(inside.astype(np.uint8), cv2.DIST_L2, 3).max()))
    out_y, out_x = ys.copy(), xs.copy()
    for level in range(1, DEPTHS + 1):
        here = missing & (level_of == level)
        if not here.any():
            continue
        seeds = have == level
        seeds = seeds if seeds.any() else inside
        near_y, near_x = _nearest(seeds, ys[here], xs[here])
        dy, dx = ys[here] - near_y, xs[here] - near_x
        far = np.maximum(np.hypot(dy, dx), 1e-6)
        back = reach - np.abs(far % (2 * reach) - reach)  # to and fro between the border and `reach`
        my = np.rint(near_y - dy / far * back).astype(np.intp)
        mx = np.rint(near_x - dx / far * back).astype(np.intp)
        ok = (my >= 0) & (my < inside.shape[0]) & (mx >= 0) & (mx < inside.shape[1])
        my, mx = np.where(ok, my, near_y), np.where(ok, mx, near_x)
        ok = inside[my, mx] & (np.abs(have[my, mx] - level) <= 1)
        out_y[here], out_x[here] = np.where(ok, my, near_y), np.where(ok, mx, near_x)
    return out_y, out_x


def _depths(mask: Bool) -> npt.NDArray[np.int32]:
    """Depth under the border in levels 1..DEPTHS, relative to the deepest place; 0 outside."""
    depth = cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, 3)[1:-1, 1:-1]
    level = np.ceil(depth / max(float(depth.max()), 1e-6) * DEPTHS).astype(np.int32)
    return np.where(mask, np.clip(level, 1, DEPTHS), 0)


def _nearest(seeds: Bool, ys: Index, xs: Index) -> tuple[Index, Index]:
    _, labels = cv2.distanceTransformWithLabels(
        (~seeds).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    sy, sx = np.nonzero(seeds)
    place = np.zeros((int(labels.max()) + 1, 2), np.intp)
    place[labels[sy, sx]] = np.stack([sy, sx], axis=1)
    found = place[labels[ys, xs]]
    return found[:, 0], found[:, 1]


def _patch(texture: Float, size: tuple[int, int], rng: np.random.Generator, *, upright: bool) -> Float:
    """A random, turned piece of a surface without its large shades, of the size asked for (mirrored as needed)."""
    texture = np.rot90(texture, int(rng.integers(2)) * 2 if upright else int(rng.integers(4)))
    texture = texture - blur(np.ascontiguousarray(texture), 8.0)
    h, w = texture.shape[:2]
    if h < size[0] or w < size[1]:
        texture = np.pad(texture, ((0, max(0, size[0] - h)), (0, max(0, size[1] - w)), (0, 0)), mode="symmetric")
    y = int(rng.integers(texture.shape[0] - size[0] + 1))
    x = int(rng.integers(texture.shape[1] - size[1] + 1))
    return np.ascontiguousarray(texture[y : y + size[0], x : x + size[1]])


def like(clean: Float, picture: Float) -> Float:
    """`picture` with as many channels as the target: a grey part stays grey."""
    if picture.shape[2] > clean.shape[2]:
        return np.asarray(picture.mean(axis=2, keepdims=True), np.float32)
    return same_channels(picture, clean)[0] if picture.shape[2] < clean.shape[2] else picture
