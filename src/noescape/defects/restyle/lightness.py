"""Pictures in Lab: lightness 0..100 that goes with what the eye sees, and two axes of colour."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Rgb = npt.NDArray[np.uint8]
Float = npt.NDArray[np.float32]
BANDS = 4  # scales of texture: Gaussian sigmas 1, 2, 4, 8 pixels
# Blind to constants, slopes and straight edges: what is left on plain surface is noise.
NOISE_FILTER = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32) / 6


def to_lab(rgb: Rgb) -> Float:
    """RGB uint8 [H, W, 3] to Lab float32 [H, W, 3]: L 0..100, a and b about -100..100."""
    out: Float = cv2.cvtColor(rgb.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    return out


def to_rgb(lab: Float, *, grey: bool) -> Rgb:
    """Back to RGB uint8, rounded; `grey` gives three equal channels."""
    if grey:
        lab = np.dstack([lab[..., 0], np.zeros_like(lab[..., :2])])
    rgb = cv2.cvtColor(np.ascontiguousarray(lab, dtype=np.float32), cv2.COLOR_LAB2RGB)
    out: Rgb = np.clip(np.rint(rgb * 255), 0, 255).astype(np.uint8)
    return np.repeat(out[..., 1:2], 3, axis=2) if grey else out


def is_grey(rgb: Rgb) -> bool:
    """Whether all three channels are equal everywhere."""
    return bool((rgb[..., 0] == rgb[..., 1]).all() and (rgb[..., 0] == rgb[..., 2]).all())


def blurred(picture: Float, sigma: float) -> Float:
    """Gaussian blur in pixels, edges mirrored: symmetric, so that nothing moves."""
    if sigma < 0.05:
        return picture
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma, borderType=cv2.BORDER_REFLECT), dtype=np.float32)


def bands(lightness: Float) -> list[Float]:
    """The texture of a picture by scale, finest first: differences of Gaussian blurs at full size (a Laplacian pyramid
    that is not thinned out). Their sum is the picture less its blur by 8 pixels."""
    out, last = [], lightness
    for sigma in (1.0, 2.0, 4.0, 8.0):
        smooth = blurred(lightness, sigma)
        out.append(last - smooth)
        last = smooth
    return out


def spread(values: Float) -> float:
    """Standard deviation by the median absolute deviation: edges and defects hardly count."""
    return float(1.4826 * np.median(np.abs(values)))
