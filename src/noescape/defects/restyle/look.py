"""The look of a set of pictures in a few numbers: tone, colour, texture by scale, sharpness, sensor noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from noescape.defects.restyle.lightness import NOISE_FILTER, Float, Rgb, bands, blurred, is_grey, spread, to_lab

Vector = npt.NDArray[np.float64]
QUANTILES = 129
NOISE_BINS = 8
MAX_SIDE = 768  # of the middle of a picture that is measured
_SAMPLE = 20_000  # pixels per picture for tone and colour
_NOISE_IN_FINEST = 0.761  # share of the variance of white noise that the finest scale holds


@dataclass(frozen=True, kw_only=True)
class Look:
    """Measured over `count` pictures, each with the same weight.

    `tone`: quantiles of lightness (0..100); `tint` [QUANTILES, 2]: mean colour at each of them; `colour` [2, 2]:
    covariance of colour around that. `texture`: spread of lightness per scale (see `bands`). `sharpness`: how steep
    edges are (see `sharpness_of`). `noise` [NOISE_BINS]: standard deviation of
    pixel noise by lightness (NaN where nothing was plain enough to tell).
    """

    count: int
    grey: bool
    tone: Vector
    tint: Vector
    colour: Vector
    texture: Vector
    sharpness: float
    noise: Vector


def measure(pictures: Sequence[Rgb]) -> Look:
    """Measure RGB uint8 pictures of any sizes; of large ones the middle. About 60 ms per 512 x 512."""
    samples, texture, sharp, noise = [], [], [], []
    for rgb in pictures:
        lab = to_lab(_middle(rgb))
        flat = lab.reshape(-1, 3)
        samples.append(flat[:: max(1, len(flat) // _SAMPLE)][:_SAMPLE])
        scales = bands(lab[..., 0])
        texture.append([spread(band) for band in scales])
        sharp.append(sharpness_of(lab[..., 0]))
        noise.append(noise_by_lightness(lab[..., 0]))
    tone, tint, colour = _tone_and_colour(samples)
    return Look(
        count=len(pictures),
        grey=all(is_grey(rgb) for rgb in pictures),
        tone=tone,
        tint=tint,
        colour=colour,
        texture=np.sqrt(np.mean(np.square(texture), axis=0)),
        sharpness=float(np.median(known)) if (known := [v for v in sharp if np.isfinite(v)]) else np.nan,
        noise=_mean_of_known(np.array(noise)),
    )


def _middle(rgb: Rgb) -> Rgb:
    h, w = rgb.shape[:2]
    top, left = max(0, (h - MAX_SIDE) // 2), max(0, (w - MAX_SIDE) // 2)
    return np.ascontiguousarray(rgb[top : top + MAX_SIDE, left : left + MAX_SIDE])


def _tone_and_colour(samples: list[Float]) -> tuple[Vector, Vector, Vector]:
    grid = np.linspace(0, 1, QUANTILES)
    pooled = np.concatenate([np.resize(s, (min(len(s), _SAMPLE), 3)) for s in samples]).astype(np.float64)
    weight = np.concatenate([np.full(len(s), 1 / len(s)) for s in samples])
    order = np.argsort(pooled[:, 0], kind="stable")
    pooled, weight = pooled[order], weight[order]
    rank = (np.cumsum(weight) - weight / 2) / weight.sum()
    tone = np.interp(grid, rank, pooled[:, 0])
    owner = np.minimum((rank * (QUANTILES - 1) + 0.5).astype(int), QUANTILES - 1)
    mass = np.bincount(owner, weights=weight, minlength=QUANTILES)
    tint = np.stack(
        [_smooth(np.bincount(owner, weights=weight * pooled[:, c], minlength=QUANTILES), mass) for c in (1, 2)], 1
    )
    rest = pooled[:, 1:] - tint[owner]
    return tone, tint, (rest * weight[:, None]).T @ rest / weight.sum()


def _smooth(total: npt.NDArray[Any], mass: npt.NDArray[Any]) -> Vector:
    """Means over neighbouring quantiles: single ones hold too few pixels to trust their colour."""
    window = np.hanning(17)
    return np.convolve(total, window, "same") / np.maximum(np.convolve(mass, window, "same"), 1e-12)


def sharpness_of(lightness: Float) -> float:
    """Energy at the finest scale over that at the third, around the steepest 1% of the picture, noise taken out.

    NaN where no edges stand out of the texture.
    """
    scales = bands(lightness)
    smooth = blurred(lightness, 2.0)
    slope = cv2.magnitude(cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1))
    steep = (slope >= max(np.quantile(slope, 0.99), 1e-3)).astype(np.uint8)
    near = cv2.dilate(steep, np.ones((5, 5), np.uint8)) > 0
    coarse = float(np.square(scales[2][near]).mean()) if near.any() else 0.0
    if coarse <= max(1.0, (3 * spread(scales[2])) ** 2):
        return np.nan
    noise = spread(cv2.filter2D(lightness, cv2.CV_32F, NOISE_FILTER, borderType=cv2.BORDER_REFLECT))
    fine = float(np.square(scales[0][near]).mean()) - _NOISE_IN_FINEST * noise**2
    return float(np.sqrt(max(fine, 0) / coarse))


def noise_by_lightness(lightness: Float) -> Vector:
    """Standard deviation of noise at the plainest 20% of the pixels of each of NOISE_BINS steps of lightness."""
    high = cv2.filter2D(lightness, cv2.CV_32F, NOISE_FILTER, borderType=cv2.BORDER_REFLECT)
    smooth = cv2.GaussianBlur(lightness, (0, 0), 2, borderType=cv2.BORDER_REFLECT)
    slope = cv2.magnitude(cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1))
    which = np.clip((smooth * (NOISE_BINS / 100)).astype(int), 0, NOISE_BINS - 1)
    out = np.full(NOISE_BINS, np.nan)
    for step in range(NOISE_BINS):
        here = which == step
        if np.count_nonzero(here) < 200:
            continue
        plain = here & (slope <= np.quantile(slope[here], 0.2))
        out[step] = spread(high[plain])
    return out


def _mean_of_known(values: Vector) -> Vector:
    known = np.isfinite(values)
    total = np.where(known, values, 0).sum(axis=0)
    return np.where(known.any(axis=0), total / np.maximum(known.sum(axis=0), 1), np.nan)


def tone_distance(one: Look, other: Look) -> float:
    """Earth mover's distance of two lightness distributions, in steps of L (0..100)."""
    return float(np.abs(one.tone - other.tone).mean())
