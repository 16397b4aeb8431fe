"""Heat over a photograph on a scale that stays the same for a whole run, so that good parts look calm."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

U8 = npt.NDArray[np.uint8]

# Control points of the heat ramp (RGB) at 0, 1/3, 2/3, 1: yellow, orange, red, dark magenta. Ordered in
# lightness, so that it also reads in grey and for colour-blind eyes.
_RAMP = np.array([[255, 237, 120], [253, 160, 60], [227, 50, 30], [125, 0, 80]], dtype=np.float32)
OUTLINE = (0, 229, 255)  # cyan: absent from the ramp


def heat_colours(level: npt.NDArray[np.float32]) -> U8:
    """Colours `[…, 3]` for levels 0..1 along the ramp."""
    at = np.clip(level, 0, 1) * (len(_RAMP) - 1)
    low = np.minimum(at.astype(np.int32), len(_RAMP) - 2)
    share = (at - low)[..., None]
    return np.asarray(_RAMP[low] * (1 - share) + _RAMP[low + 1] * share + 0.5, dtype=np.uint8)


_LEVELS = np.linspace(0, 1, 256, dtype=np.float32)
_ALPHA = np.float32(0.65) * np.sqrt(_LEVELS)[:, None]
_KEPT = 1 - _ALPHA
_ADDED = heat_colours(_LEVELS) * _ALPHA + np.float32(0.5)


def heat_overlay(
    rgb: U8, anomaly_map: npt.NDArray[np.float32], scale: tuple[float, float], mask: U8 | None = None
) -> U8:
    """`rgb` with heat where `anomaly_map` (same height and width) rises over `scale[0]`, full at `scale[1]`.

    `scale` is fixed per run in raw score units: nothing is stretched to the image's own range, so a good part
    shows no colour. The outline of `mask` is drawn in cyan.
    """
    low, high = scale
    level = np.clip((anomaly_map - low) * (255 / max(high - low, 1e-12)), 0, 255).astype(np.uint8)
    out = rgb.copy()
    hot = np.flatnonzero(level)
    if hot.size:  # most pixels of most images are cold: only the hot ones are blended
        steps = level.ravel()[hot]
        flat = out.reshape(-1, 3)
        flat[hot] = (flat[hot] * _KEPT[steps] + _ADDED[steps]).astype(np.uint8)
    if mask is not None and mask.any():
        outlines, _ = cv2.findContours((mask > 0).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        thickness = max(1, round(min(rgb.shape[:2]) / 300))
        out = np.ascontiguousarray(out)
        cv2.drawContours(out, outlines, -1, OUTLINE, thickness)
    return np.asarray(out, dtype=np.uint8)
