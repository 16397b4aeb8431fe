"""A 64-bit perceptual fingerprint: re-encoded, resized or slightly re-lit copies differ in few bits."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt


def perceptual_hash(rgb: npt.NDArray[np.uint8]) -> int:
    """DCT hash (pHash): signs of the 8x8 low frequencies of a 32x32 grey copy against their median, as 64 bits."""
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32)
    low = cv2.dct(small)[:8, :8].ravel()
    bits = low > np.median(low[1:])
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def hamming(a: int, b: int) -> int:
    """Number of bits in which two fingerprints differ, 0..64."""
    return (a ^ b).bit_count()
