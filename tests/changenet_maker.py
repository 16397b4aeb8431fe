"""Bare boards drawn by numpy: traces and pads, a golden that lies a little off, planted opens, shorts and spots."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from noescape.changenet.pairs import Pair
from noescape.records import Box

Image = npt.NDArray[np.uint8]
PITCH = 24  # px between traces
WIDE = 8  # px


def board(rng: np.random.Generator, height: int = 256, width: int = 256) -> Image:
    """Copper 255 on 0: horizontal traces with jogs, and pads with holes between some of them."""
    image = np.zeros((height, width), np.uint8)
    for y in range(PITCH // 2, height - WIDE, PITCH):
        x, now = 0, y
        while x < width:
            stop = min(width, x + int(rng.integers(30, 90)))
            image[now : now + WIDE, x:stop] = 255
            if rng.random() < 0.4 and stop + 6 < width:
                now = y + int(rng.integers(0, 2)) * 4
                image[y : y + WIDE + 4, stop - 6 : stop] = 255
            x = stop
        if rng.random() < 0.6:
            at = int(rng.integers(20, width - 20))
            cv2.circle(image, (at, y + WIDE // 2), 9, 255, -1)
            cv2.circle(image, (at, y + WIDE // 2), 4, 0, -1)
    return image


def moved(image: Image, rng: np.random.Generator, *, most: float = 3.0) -> Image:
    """The board as another camera saw it: a smooth shift of up to `most` pixels, and a ragged edge."""
    height, width = image.shape
    knots = rng.uniform(-most, most, (2, 2, 2)).astype(np.float32)
    off = [cv2.resize(k, (width, height), interpolation=cv2.INTER_LINEAR) for k in knots]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    seen = cv2.remap(image, x + off[0], y + off[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    noisy = cv2.GaussianBlur(seen, (0, 0), 1.0) + rng.normal(0, 18, seen.shape)
    return np.where(noisy > 127, 255, 0).astype(np.uint8)


def plant(image: Image, rng: np.random.Generator, kind: str) -> Box:
    """Change `image` by one defect, away from its edges; the box around it, with the usual 10 px of air."""
    height, width = image.shape
    row = PITCH // 2 + PITCH * int(rng.integers(1, height // PITCH - 2))
    x = int(rng.integers(30, width - 40))
    if kind == "open":
        y0, y1, x1 = row - 1, row + WIDE + 5, x + 6
        image[y0:y1, x:x1] = 0
    elif kind == "short":
        y0, y1, x1 = row + WIDE - 1, row + PITCH + 1, x + 6
        image[y0:y1, x:x1] = 255
    else:  # a spot of copper on bare ground, or the other way round
        y0, y1, x1 = row + WIDE, row + WIDE + 7, x + 8
        image[y0:y1, x:x1] = 255 - image[y0:y1, x:x1]
    return x - 10, y0 - 10, x1 + 10, y1 + 10


def pair(number: int, *, defects: tuple[str, ...] = ("open", "short", "spot"), side: int = 256) -> Pair:
    """A golden and a test image with these defects, on different rows; a number gives the same pair each time."""
    rng = np.random.default_rng([7, number])
    golden = board(rng, side, side)
    test = golden.copy()
    boxes: list[Box] = []
    for kind in defects:
        while True:
            trial = test.copy()
            box = plant(trial, rng, kind)
            if not any(_near(box, other) for other in boxes):
                break
        test = trial
        boxes.append(box)
    return Pair(
        key=f"made/{number}",
        golden=golden,
        test=moved(test, rng),
        boxes=tuple(boxes),
        types=tuple(defects),
        group=f"panel{number % 3}",
    )


def _near(a: Box, b: Box) -> bool:
    return a[0] - 30 < b[2] and b[0] - 30 < a[2] and a[1] - 30 < b[3] and b[1] - 30 < a[3]
