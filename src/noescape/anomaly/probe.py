"""The probe set: a few network inputs stored with the model, on which an exported copy must give the same answers.

Good training inputs (most and least ordinary) and the same with a patch painted over, so that both OK and NG occur.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from noescape.anomaly.detector import Detector
from noescape.imaging import Picture

PROBES = 8


def make_probes(
    detector: Detector,
    paths: Sequence[Path],
    scores: Sequence[float],
    read: Callable[[Path], Picture],
    seed: int,
) -> dict[str, npt.NDArray[np.generic]]:
    """`probe_inputs` uint8 `[N, H, W, 3]`: up to 8 good inputs across the range of scores and 8 painted ones."""
    order = np.argsort(scores, kind="stable")
    chosen = sorted({int(order[round(i)]) for i in np.linspace(0, len(order) - 1, PROBES)})
    rng = np.random.default_rng(seed)
    inputs = []
    for index in chosen:
        good = detector.view.inputs(read(paths[index]).rgb)[0]
        inputs += [good, _painted(good, rng)]
    return {"probe_inputs": np.stack(inputs)}


def _painted(rgb: npt.NDArray[np.uint8], rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """A copy with one rectangle, a twelfth to a third of each side, of inverted and noisy content."""
    height, width = rgb.shape[:2]
    h, w = (int(rng.integers(side // 12, side // 3)) for side in (height, width))
    y, x = int(rng.integers(0, height - h)), int(rng.integers(0, width - w))
    out = rgb.copy()
    noise = rng.integers(0, 120, (h, w, 1))
    out[y : y + h, x : x + w] = np.clip(255 - out[y : y + h, x : x + w].astype(np.int64) - noise, 0, 255)
    return out
