"""Which mask goes on which clean image: every pair once before any a second time, masks and images used evenly."""

from __future__ import annotations

from collections.abc import Iterator
from math import gcd

import numpy as np


def pairs(masks: int, images: int, rng: np.random.Generator) -> Iterator[tuple[int, int, int]]:
    """Endless (mask, image, round), indices into two lists; each round holds all `masks` x `images` pairs in a new
    order in which any n neighbours hold each mask and each image nearly equally often.

    Step k of a round takes mask k modulo `masks` and image k modulo `images`; when the two have met in step again
    (after their least common multiple), the images move on by one.
    """
    if masks < 1 or images < 1:
        raise ValueError("there must be a mask and an image")
    common = masks * images // gcd(masks, images)
    number = 0
    while True:
        mask_order, image_order = rng.permutation(masks), rng.permutation(images)
        for k in range(masks * images):
            yield int(mask_order[k % masks]), int(image_order[(k + k // common) % images]), number
        number += 1
