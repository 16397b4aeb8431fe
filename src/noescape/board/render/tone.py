"""Linear colour to what a camera stores: an exposure, then 8-bit sRGB."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from noescape.board.model import Dome, Light

WHITE = 0.8  # linear value that a white sheet on the board gets


def exposure_for(lights: Sequence[Light]) -> float:
    """The factor that gives a white sheet, flat under the light, a mean of `WHITE`; 1 where no light is.

    From the lights alone, so that a frame's exposure does not hang on what stands in it.
    """
    level = sum(_irradiance(light) for light in lights) / math.pi
    return WHITE / level if level > 0 else 1.0


def to_srgb(color: npt.NDArray[np.float32], exposure: float = 1.0) -> npt.NDArray[np.uint8]:
    """8-bit sRGB of linear `color` [.., 3] times `exposure`; what is brighter than white is white."""
    linear = np.clip(np.nan_to_num(color.astype(np.float64) * exposure), 0, 1)
    curved = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055)
    return np.asarray(np.rint(curved * 255), np.uint8)


def _irradiance(light: Light) -> float:
    """Mean over the colours of the irradiance at the point that a ring faces."""
    radiance = sum(light.radiance) / 3
    if isinstance(light, Dome):
        return math.pi * radiance
    far = math.hypot(light.radius, light.z)
    return radiance * 2 * math.pi * light.radius * light.width * light.z / far**3
