"""Augmentation: drawn once, then done to an input and to its goldens alike, so that it never looks like a change."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from noescape.changenet.spec_data import Augmentation, Switch

U8 = npt.NDArray[np.uint8]
CROP_SCALE = (0.8, 1.0)  # of the area; the originals draw up to 1.2, where no crop fits and the whole image is taken
BLUR_RADIUS = 1.0  # px, the most


@dataclass(frozen=True, kw_only=True)
class Draw:
    """One draw: mirror, quarter turns, factors of colour, a crop in shares of the image, a blur radius in px."""

    upside_down: bool = False
    mirrored: bool = False
    turns: int = 0
    brightness: float = 1.0
    contrast: float = 1.0
    saturation: float = 1.0
    hue: float = 0.0
    crop: tuple[float, float, float] | None = None
    blur: float = 0.0


def draw(config: Augmentation, rng: np.random.Generator, *, square: bool = True) -> Draw:
    """What happens to one pair. Always takes the same numbers from `rng`, whatever is switched on; quarter turns by odd
    multiples only for `square` images, which keep their shape."""
    u = rng.random(12)
    if not config.augment:
        return Draw()
    flip, rotate, colour = config.random_flip, config.random_rotate, config.random_color
    angles = [int(a // 90) % 4 for a in rotate.angle_list if square or a % 180 == 0]
    turned = rotate.enable and angles and u[2] < rotate.rotate_probability
    coloured = colour.enable and u[4] > colour.color_probability
    share = CROP_SCALE[0] + (1.2 - CROP_SCALE[0]) * u[9]
    cropped = _on(config.with_random_crop) and share < CROP_SCALE[1]
    return Draw(
        upside_down=bool(flip.enable and u[0] < flip.vflip_probability),
        mirrored=bool(flip.enable and u[1] < flip.hflip_probability),
        turns=angles[int(u[3] * len(angles))] if turned else 0,
        brightness=_factor(u[5], colour.brightness) if coloured else 1.0,
        contrast=_factor(u[6], colour.contrast) if coloured else 1.0,
        saturation=_factor(u[7], colour.saturation) if coloured else 1.0,
        hue=float((2 * u[8] - 1) * colour.hue) if coloured else 0.0,
        crop=(float(np.sqrt(share)), float(u[10]), float(u[11])) if cropped else None,
        blur=float(rng.random() * BLUR_RADIUS) if _on(config.with_random_blur) else 0.0,
    )


def apply(drawn: Draw, rgb: U8) -> U8:
    """An image `[H, W, 3]` after the draw; its shape is kept (odd quarter turns swap height and width)."""
    out = rgb
    if drawn.crop is not None:
        out = _cropped(out, *drawn.crop)
    if drawn.upside_down:
        out = out[::-1]
    if drawn.mirrored:
        out = out[:, ::-1]
    if drawn.turns:
        out = np.rot90(out, drawn.turns)
    out = _coloured(np.ascontiguousarray(out), drawn)
    if drawn.blur > 0:
        out = np.asarray(Image.fromarray(out).filter(ImageFilter.GaussianBlur(drawn.blur)), np.uint8)
    return out


def _cropped(rgb: U8, side: float, across: float, down: float) -> U8:
    height, width = rgb.shape[:2]
    h, w = max(1, round(side * height)), max(1, round(side * width))
    y, x = round(down * (height - h)), round(across * (width - w))
    part = rgb[y : y + h, x : x + w]
    return np.asarray(cv2.resize(part, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def _coloured(rgb: U8, drawn: Draw) -> U8:
    if drawn.brightness == drawn.contrast == drawn.saturation == 1.0 and drawn.hue == 0.0:
        return rgb
    x = rgb.astype(np.float32) * np.float32(drawn.brightness)
    # Contrast is about mid-grey, not about the image's own mean: the same arithmetic for an input and its golden.
    x = (x - 128) * np.float32(drawn.contrast) + 128
    grey = x @ np.array([0.299, 0.587, 0.114], np.float32)
    x = (x - grey[..., None]) * np.float32(drawn.saturation) + grey[..., None]
    out = np.clip(x + 0.5, 0, 255).astype(np.uint8)
    if drawn.hue:
        hsv = cv2.cvtColor(out, cv2.COLOR_RGB2HSV)
        hsv[..., 0] = ((hsv[..., 0].astype(np.int16) + round(drawn.hue * 180)) % 180).astype(np.uint8)
        return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), np.uint8)
    return np.asarray(out, np.uint8)


def _factor(u: float, most: float) -> float:
    return float(1 + (2 * u - 1) * most)


def _on(value: bool | Switch) -> bool:
    return value.enable if isinstance(value, Switch) else value
