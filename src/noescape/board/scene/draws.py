"""Randomness of frames: each draw from a stream of its own, so that frames may be made in any order or again."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from noescape.board.scene.config import MotionBlur


def frame_rng(seed: int, frame: int, what: str) -> np.random.Generator:
    """The stream of one thing (`lights`, `poses`, `blur` …) of one frame or trigger; the same for the same three."""
    return np.random.default_rng([seed, frame, zlib.crc32(what.encode())])


@dataclass(frozen=True, kw_only=True)
class Blur:
    """Picture := (1 - alpha) picture + alpha of it smeared along a line of `kernel` px at `angle` degrees.

    `alpha` 0 is no blur. The angle is in the picture, counter-clockwise from its right.
    """

    alpha: float = 0.0
    kernel: int = 1
    angle: float = 0.0

    def record(self) -> dict[str, Any]:
        """For the metadata of a frame."""
        if self.alpha == 0:
            return {"applied": False}
        return {
            "applied": True,
            "type": "MotionBlur",
            "strength": self.alpha,
            "kernelSize": self.kernel,
            "angle": self.angle,
        }


def draw_blur(config: MotionBlur, rng: np.random.Generator) -> Blur:
    """Whether a frame is blurred, how much and which way. Always takes the same number of values from `rng`."""
    chance, alpha, angle = rng.random(), rng.uniform(*config.alpha_range), rng.uniform(0, 360)
    kernel = int(config.kernel_choices[int(rng.integers(len(config.kernel_choices)))])
    if chance >= config.probability:
        return Blur()
    return Blur(alpha=round(float(alpha), 6), kernel=kernel, angle=round(float(angle), 4))
