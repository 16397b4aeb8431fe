"""Facts of a pair of pictures that tell a wrong label or a bad picture from a hard case; nothing here knows scores."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from noescape.files import sha256_file
from noescape.imaging import read_picture, resize_rgb
from noescape.records import ImageError

SAME_LEVELS = 8  # grey levels: what coding and resizing leave of no difference at all
BLURRED = 0.25  # sharpness of the input over that of its golden
DARK, BRIGHT = 0.4, 2.5  # mean level over that of the golden
BLACK = 12  # mean level under which a picture shows nothing
FLAT = 2.0  # standard deviation of levels under which a picture has no content
CLIPPED = 0.5  # more clipped pixels than the golden, as a share of all

U8 = npt.NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True, eq=False)
class Look:
    """What one pair shows. `trouble`: why the picture is no good, or empty. `same`: no pixel differs from the golden.

    `largest`: the largest difference in grey levels after a light blur, or None where there is nothing to compare.
    """

    trouble: str
    same: bool
    largest: float | None
    rgb: U8 | None
    golden: U8 | None


def look(image: Path, golden: Path) -> Look:
    """Read a pair and say what is to be seen; what cannot be read is trouble, not an error. Two decodes."""
    try:
        rgb = read_picture(image).rgb
    except ImageError as error:
        return Look(trouble=f"the picture {error.reason}", same=False, largest=None, rgb=None, golden=None)
    try:
        twin = read_picture(golden).rgb
    except ImageError as error:
        return Look(trouble=f"its golden {error.reason}", same=False, largest=None, rgb=rgb, golden=None)
    fitted = twin if twin.shape == rgb.shape else resize_rgb(twin, rgb.shape[0], rgb.shape[1])
    grey, other = _grey(rgb), _grey(fitted)
    difference = np.abs(cv2.blur(grey, (3, 3)) - cv2.blur(other, (3, 3)))
    largest = float(difference.max())
    return Look(trouble=_trouble(grey, other), same=largest <= SAME_LEVELS, largest=largest, rgb=rgb, golden=twin)


def _trouble(grey: npt.NDArray[np.float32], golden: npt.NDArray[np.float32]) -> str:
    mean, twin_mean = float(grey.mean()), float(golden.mean())
    spread, twin_spread = float(grey.std()), float(golden.std())
    if twin_mean >= BLACK and (mean < BLACK or mean < DARK * twin_mean):
        return f"it is dark: mean level {mean:.0f}, its golden {twin_mean:.0f}"
    if mean > BRIGHT * max(twin_mean, 1.0) or _clipped(grey) - _clipped(golden) > CLIPPED:
        return f"it is overexposed: mean level {mean:.0f}, its golden {twin_mean:.0f}"
    if spread < FLAT <= twin_spread:
        return f"it shows nothing: levels spread by {spread:.1f}, those of its golden by {twin_spread:.1f}"
    if twin_spread >= FLAT and _sharpness(grey) < BLURRED * _sharpness(golden):
        return f"it is blurred: {_sharpness(grey) / _sharpness(golden):.0%} of the sharpness of its golden"
    return ""


def _sharpness(grey: npt.NDArray[np.float32]) -> float:
    """Variance of the Laplacian over the variance of levels: does not change with light and contrast."""
    return float(cv2.Laplacian(grey, cv2.CV_32F).var() / max(float(grey.var()), 1e-6))


def _clipped(grey: npt.NDArray[np.float32]) -> float:
    return float((grey >= 254).mean())


def _grey(rgb: U8) -> npt.NDArray[np.float32]:
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.float32)


def pair_digest(image: Path, golden: Path) -> str | None:
    """What a pair is, by content; None where a file cannot be read."""
    try:
        return f"{sha256_file(image)} {sha256_file(golden)}"
    except OSError:
        return None


def pair_size(image: Path, golden: Path) -> tuple[int, int] | None:
    """Bytes of both files: pairs of other sizes cannot be the same, so most need no digest."""
    try:
        return image.stat().st_size, golden.stat().st_size
    except OSError:
        return None
