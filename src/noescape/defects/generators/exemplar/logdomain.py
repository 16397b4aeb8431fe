"""Images as logarithms of light, where a shadow, a stain or a brighter lamp is a sum and not a product."""

from __future__ import annotations

from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

Rgb: TypeAlias = npt.NDArray[np.uint8]
Bool: TypeAlias = npt.NDArray[np.bool_]
Float: TypeAlias = npt.NDArray[np.float32]

REFERENCE_SIDE = 256.0  # lengths in this folder are pixels of a picture of 256 x 256; others are scaled by their area


def to_log(rgb: Rgb) -> Float:
    """`log(1 + value)` [H, W, C]; C is 1 for a grey picture (three equal channels), else 3."""
    grey = bool((rgb[..., 0] == rgb[..., 1]).all() and (rgb[..., 0] == rgb[..., 2]).all())
    out: Float = np.log1p((rgb[..., :1] if grey else rgb).astype(np.float32))
    return out


def to_rgb(log: Float) -> Rgb:
    """Back to RGB uint8 [H, W, 3], rounded and clipped to 0..255."""
    values = np.clip(np.rint(np.expm1(log)), 0, 255).astype(np.uint8)
    return np.repeat(values, 3, axis=2) if values.shape[2] == 1 else values


def same_channels(a: Float, b: Float) -> tuple[Float, Float]:
    """Both pictures with as many channels as the richer one."""
    count = max(a.shape[2], b.shape[2])
    return tuple(np.repeat(x, count, axis=2) if x.shape[2] < count else x for x in (a, b))  # type: ignore[return-value]


def unit(shape: tuple[int, ...]) -> float:
    """How many pixels of a picture of this height and width are one pixel of the reference picture."""
    return float(np.sqrt(shape[0] * shape[1]) / REFERENCE_SIDE)


def blur(picture: Float, sigma_x: float, sigma_y: float | None = None) -> Float:
    """Gaussian blur in pixels that keeps a last axis of one channel."""
    out = cv2.GaussianBlur(picture, (0, 0), sigmaX=sigma_x, sigmaY=sigma_y or sigma_x, borderType=cv2.BORDER_REFLECT)
    return out.reshape(picture.shape)  # type: ignore[no-any-return]


def disc(radius: int) -> npt.NDArray[np.uint8]:
    """A round structuring element."""
    out: npt.NDArray[np.uint8] = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return out
