"""Other light and both flips for a finished picture, its clean twin and its label alike."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from noescape.defects.generators.exemplar.logdomain import to_log, to_rgb

U8 = npt.NDArray[np.uint8]


def jitter_all(image: U8, clean: U8, label: U8, rng: np.random.Generator) -> tuple[U8, U8, U8]:
    """The three, changed by the same draw: gain and contrast in the log domain, flips. The ranges of `arms.jitter`."""
    flips = tuple(axis for axis in (1, 0) if rng.random() < 0.5)
    contrast, gain = np.float32(rng.uniform(0.85, 1.15)), np.float32(rng.uniform(-0.35, 0.30))
    middle = to_log(clean).mean()
    lit = [to_rgb((to_log(p) - middle) * contrast + middle + gain) for p in (image, clean)]
    a, b, c = (np.ascontiguousarray(np.flip(p, flips)) if flips else p for p in (*lit, label))
    return a, b, c
