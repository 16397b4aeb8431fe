"""From one look to another: a map of tone and colour, gains per scale of texture, blur, noise. It moves no pixel.

Tone: lightness by its quantiles (optimal transport in one dimension) with bounded steepness; colour: the mean at each
lightness, and the linear map between the two covariances that moves colours least; texture: each scale scaled to the
spread of the reference, edges left alone; blur: a Gaussian until edges are as soft as the reference's; noise: what
is missing at each lightness.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from noescape.defects.restyle.config import LocalConfig
from noescape.defects.restyle.lightness import BANDS, Float, Rgb, bands, blurred, is_grey, spread, to_lab, to_rgb
from noescape.defects.restyle.look import NOISE_BINS, Look, Vector, measure, noise_by_lightness, sharpness_of

STEEPEST, FLATTEST = 4.0, 0.25  # of the tone curve
COLOUR_GAIN = (0.25, 4.0)
BAND_GAIN = (0.5, 2.0)
MAX_BLUR = 2.0
GENERIC_BLUR, GENERIC_NOISE = 0.6, 0.6  # a plain camera, where no photo says what camera it is


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """Everything that is done to a picture; plain numbers, so that it can be written down and read again.

    `tone_from`, `tone_to`: knots of the lightness curve; `tint_from`, `tint_to` [knots][2]: mean colour at the knots of
    `tone_from`; `colour` [2][2]: map of what deviates from it; `gains` per scale; `blur` in pixels; `noise` wanted per
    step of lightness; `grey`: the result is grey where the picture is.
    """

    tone_from: tuple[float, ...]
    tone_to: tuple[float, ...]
    tint_from: tuple[tuple[float, float], ...]
    tint_to: tuple[tuple[float, float], ...]
    colour: tuple[tuple[float, float], ...]
    gains: tuple[float, ...] = (1.0,) * BANDS
    blur: float = 0.0
    noise: tuple[float, ...] = (0.0,) * NOISE_BINS
    grey: bool = True

    def to_json(self) -> dict[str, Any]:
        """Plain lists and numbers, rounded to what matters."""
        return {key: _rounded(value) for key, value in asdict(self).items()}


def generic_transfer() -> Transfer:
    """A plain camera: slightly soft, some noise; tone and colour stay."""
    same, none = (0.0, 100.0), ((0.0, 0.0),) * 2
    return Transfer(
        tone_from=same, tone_to=same, tint_from=none, tint_to=none, colour=((1.0, 0.0), (0.0, 1.0)),
        blur=GENERIC_BLUR, noise=(GENERIC_NOISE,) * NOISE_BINS, grey=True,
    )  # fmt: skip


def fit_transfer(pictures: list[Rgb], reference: Look, config: LocalConfig) -> Transfer:
    """The transfer that gives `pictures` (a sample of the set, or one) the look of `reference`."""
    own, s = measure(pictures), config.strength
    tone_from, tone_to = _curve(own.tone, own.tone + s * (reference.tone - own.tone))
    tint_from = _at(own.tone, own.tint, tone_from)
    tint_to = _at(own.tone, own.tint + s * (reference.tint - own.tint), tone_from)
    colour = (1 - s) * np.eye(2) + s * _least_move(own.colour, reference.colour)
    toned = Transfer(
        tone_from=_tuple(tone_from), tone_to=_tuple(tone_to), tint_from=_rows(tint_from), tint_to=_rows(tint_to),
        colour=_rows(colour), grey=own.grey and reference.grey,
    )  # fmt: skip
    # Contrast has changed every scale: what is still missing is measured after that.
    return _with_texture(toned, [_tone(to_lab(p), toned) for p in pictures], reference, config)


def _with_texture(toned: Transfer, labs: list[Float], reference: Look, config: LocalConfig) -> Transfer:
    lightness = [lab[..., 0] for lab in labs]
    blur = _blur_until_as_soft(lightness, reference.sharpness) if config.blur else 0.0
    gains = np.ones(BANDS)
    if config.bands:
        rows = [[spread(band) for band in bands(blurred(plane, blur))] for plane in lightness]
        own = np.sqrt(np.mean(np.square(rows), axis=0))
        gains = np.clip(reference.texture / np.maximum(own, 1e-3), *BAND_GAIN)
        if config.noise:
            gains[0] = min(gains[0], 1.0)  # what the finest scale lacks is noise, added below
    noise = _filled(reference.noise) if config.noise else np.zeros(NOISE_BINS)
    return Transfer(**{**_fields(toned), "gains": _tuple(gains), "blur": float(blur), "noise": _tuple(noise)})


def apply_transfer(rgb: Rgb, transfer: Transfer, rng: np.random.Generator) -> Rgb:
    """The picture with the other look, same size; `rng` draws the noise. About 60 ms for 512 x 512."""
    lab = _tone(to_lab(rgb), transfer)
    plane = blurred(lab[..., 0], transfer.blur)
    if any(abs(gain - 1) > 0.02 for gain in transfer.gains):
        for band, gain in zip(bands(plane), transfer.gains, strict=True):
            plane = plane + _changed(band, gain)
    if any(transfer.noise):
        plane = plane + _missing_noise(plane, transfer) * rng.standard_normal(plane.shape, np.float32)
    lab[..., 0] = np.clip(plane, 0, 100)
    if transfer.blur and not (transfer.grey and is_grey(rgb)):
        lab[..., 1:] = blurred(np.ascontiguousarray(lab[..., 1:]), transfer.blur)
    return to_rgb(lab, grey=transfer.grey and is_grey(rgb))


def _tone(lab: Float, t: Transfer) -> Float:
    plane, out = lab[..., 0], np.empty_like(lab)
    out[..., 0] = _through(plane, t.tone_from, t.tone_to)
    rest = [lab[..., c + 1] - _through(plane, t.tone_from, [row[c] for row in t.tint_from], flat=True) for c in (0, 1)]
    for c in (0, 1):
        tint = _through(plane, t.tone_from, [row[c] for row in t.tint_to], flat=True)
        out[..., c + 1] = tint + t.colour[c][0] * rest[0] + t.colour[c][1] * rest[1]
    return out


def _through(values: Float, knots: Any, to: Any, *, flat: bool = False) -> Float:
    """Piecewise linear by a fine table; beyond the ends straight on with slope 1, or `flat`."""
    table = np.linspace(0, 100, 4097)
    curve = np.interp(table, knots, to)
    if not flat:
        curve += np.minimum(table - knots[0], 0) + np.maximum(table - knots[-1], 0)
    at = np.clip(values * np.float32(40.96), 0, 4096)
    low = np.minimum(at.astype(np.int32), 4095)
    table32 = curve.astype(np.float32)
    left = table32[low]
    return np.asarray(left + (table32[low + 1] - left) * (at - low), dtype=np.float32)


def _curve(x: Vector, y: Vector) -> tuple[Vector, Vector]:
    """Knots of a strictly rising curve from quantiles: neighbours closer than half a step merged, slopes bounded."""
    step = np.floor(x / 0.5)
    keep = np.unique(step, return_inverse=True)[1]
    count = np.bincount(keep)
    xs, ys = np.bincount(keep, weights=x) / count, np.bincount(keep, weights=y) / count
    if len(xs) == 1:
        return np.array([xs[0], xs[0] + 1]), np.array([ys[0], ys[0] + 1])
    rise = np.clip(np.diff(ys) / np.diff(xs), FLATTEST, STEEPEST) * np.diff(xs)
    bounded = np.concatenate([[0], np.cumsum(rise)])
    offset = np.average(ys - bounded, weights=count)  # on average where the reference is
    return xs, np.maximum.accumulate(bounded + offset)


def _at(x: Vector, rows: Vector, knots: Vector) -> Vector:
    return np.stack([np.interp(knots, x, rows[:, c]) for c in (0, 1)], axis=1)


def _least_move(own: Vector, wanted: Vector) -> Vector:
    """The symmetric map that turns one covariance into another (optimal transport of Gaussians), gains bounded."""
    a, b = own + 0.05 * np.eye(2), wanted + 0.05 * np.eye(2)
    root = _root(a)
    back = np.linalg.inv(root)
    values, vectors = np.linalg.eigh(back @ _root(root @ b @ root) @ back)
    return np.asarray((vectors * np.clip(values, *COLOUR_GAIN)) @ vectors.T)


def _root(matrix: Vector) -> Vector:
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T)


def _blur_until_as_soft(planes: list[Float], wanted: float) -> float:
    """The sigma that makes edges as soft as the reference's; 0 where they are, or where nothing has edges."""

    def sharpness(sigma: float) -> float:
        found = [sharpness_of(blurred(plane, sigma)) for plane in planes]
        known = [value for value in found if np.isfinite(value)]
        return float(np.median(known)) if known else np.nan

    low, high = 0.0, MAX_BLUR
    if not np.isfinite(wanted) or not sharpness(0.0) > wanted * 1.05:
        return 0.0
    for _ in range(6):
        middle = (low + high) / 2
        low, high = (middle, high) if sharpness(middle) > wanted else (low, middle)
    return round((low + high) / 2, 3)


def _changed(band: Float, gain: float) -> Float:
    """What a gain adds to a band. Above 1 only texture grows: an edge that grows would ring."""
    if gain <= 1:
        return band * np.float32(gain - 1)
    scale = 3 * max(spread(band), 1e-3)
    return np.asarray(band * (np.float32(gain - 1) * np.exp(-np.square(band / np.float32(scale)))), dtype=np.float32)


def _missing_noise(plane: Float, transfer: Transfer) -> Float:
    """Standard deviation of the noise to add at each pixel, so that its step of lightness has what it should."""
    there = _filled(noise_by_lightness(plane))
    missing = np.sqrt(np.maximum(np.square(transfer.noise) - np.square(there), 0))
    middle = (np.arange(NOISE_BINS) + 0.5) * (100 / NOISE_BINS)
    return _through(blurred(plane, 1.0), middle, missing, flat=True)


def _filled(noise: Vector) -> Vector:
    """Steps of lightness that no plain surface showed get what their neighbours have."""
    known = np.isfinite(noise)
    if not known.any():
        return np.zeros(len(noise))
    # Where nothing is plain, texture passes for noise: a step far off from the others is not believed.
    trusted = np.minimum(noise[known], 2 * np.median(noise[known]))
    return np.interp(np.arange(len(noise)), np.flatnonzero(known), trusted)


def _fields(t: Transfer) -> dict[str, Any]:
    return {key: getattr(t, key) for key in t.__dataclass_fields__}


def _tuple(values: Vector) -> tuple[float, ...]:
    return tuple(float(v) for v in values)


def _rows(values: Vector) -> tuple[tuple[float, float], ...]:
    return tuple((float(a), float(b)) for a, b in values)


def _rounded(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return [_rounded(v) for v in value]
    return round(value, 4) if isinstance(value, float) else value
