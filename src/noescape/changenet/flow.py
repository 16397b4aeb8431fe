"""Where each part of a golden photograph lies on its test photograph: a smooth dense field of sub-pixel shifts.

Light differs between two photographs, so both are first brought to the same local mean and contrast. Dense inverse
search (Kroeger et al. 2016, as OpenCV has it) then gives a shift per pixel, which is averaged over a window that is
wider than a defect. Pixels have a say by how much there is to see, for a plain surface tells nothing about where it
lies, and by how well they agree with those around, for a defect must not pull the golden to itself.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

SMOOTH = 0.06  # of the shorter side: the Gaussian over which shifts are averaged
FARTHEST = 0.1  # of the shorter side: a longer shift is no registration
AGREEING = 1.0  # px: what lies this far from the average around it loses most of its say
ROUNDS = 3
COARSE = 4  # averages are taken on a grid this much coarser
Grey = npt.NDArray[np.uint8]
Flow = npt.NDArray[np.float32]


def flow_shifts(golden: Grey, test: Grey) -> Flow:
    """Per pixel the shift (dy, dx) that lays `golden` on `test`, float32 `[H, W, 2]`; both uint8 `[H, W]`.

    Cost: about 45 ms for 640x640 on one thread.
    """
    side = min(test.shape)
    ground, moved = _even(test), _even(golden)
    search = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)  # type: ignore[attr-defined]
    found = search.calc(ground, moved, None)  # test[y, x] is golden[y + v, x + u]
    found = np.clip(found, -FARTHEST * side, FARTHEST * side)
    size = (max(8, test.shape[1] // COARSE), max(8, test.shape[0] // COARSE))
    seen = cv2.resize(_texture(ground), size, interpolation=cv2.INTER_AREA)
    coarse = cv2.resize(found, size, interpolation=cv2.INTER_AREA)
    sigma = SMOOTH * min(size)
    smooth, say = coarse, seen
    for _ in range(ROUNDS):
        smooth = cv2.GaussianBlur(coarse * say[..., None], (0, 0), sigma)
        smooth /= cv2.GaussianBlur(say, (0, 0), sigma)[..., None] + np.float32(1e-6)
        off = np.square(coarse - smooth).sum(-1)
        say = np.asarray(seen / np.square(1 + off / np.float32(AGREEING**2)), np.float32)
    whole = cv2.resize(smooth, test.shape[::-1], interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(-whole[..., ::-1], np.float32)


def flowed(image: npt.NDArray[np.uint8], field: Flow) -> npt.NDArray[np.uint8]:
    """`image` `[H, W]` or `[H, W, 3]` moved by the field, bilinear; edges repeat outwards."""
    height, width = image.shape[:2]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    moved = cv2.remap(image, x - field[..., 1], y - field[..., 0], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved, np.uint8)


def evened_difference(golden: Grey, test: Grey) -> float:
    """How much two photographs differ once light is evened out: the mean, with the strongest tenth left out.

    So a defect, which no shift should remove, has no say in whether a shift is right.
    """
    counts = np.bincount(cv2.absdiff(_even(golden), _even(test)).ravel(), minlength=256)
    kept = np.minimum(np.cumsum(counts), max(1, int(0.9 * counts.sum())))
    return float(np.diff(kept, prepend=0) @ np.arange(256) / kept[-1])


def _even(grey: Grey) -> Grey:
    """The same local mean (128) and contrast (32) everywhere."""
    value = grey.astype(np.float32)
    window = (max(5, min(grey.shape) // 8),) * 2
    mean = cv2.blur(value, window)
    spread = np.sqrt(np.maximum(cv2.blur(value * value, window) - mean * mean, 0)) + np.float32(4)
    return np.asarray(np.clip(128 + 32 * (value - mean) / spread, 0, 255), np.uint8)


def _texture(grey: Grey) -> npt.NDArray[np.float32]:
    """How much there is to see: the squared gradient."""
    dx = cv2.Sobel(grey, cv2.CV_32F, 1, 0)
    dy = cv2.Sobel(grey, cv2.CV_32F, 0, 1)
    return np.asarray(dx * dx + dy * dy, np.float32)
