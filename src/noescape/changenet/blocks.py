"""Where each part of a golden lies on its test image: integer shifts per block of 8 pixels, for two-tone pairs.

Two bare boards of one layout never lie on each other exactly: the film stretches, the board bends, and the rest is a
shift of a few pixels that changes slowly over the image. So every integer shift is tried; what differs under it is
averaged around each block (72 px); the shift with the least difference wins. A window that wide holds far more layout
than any defect, so a defect does not pull its own block. A second pass with a window of 40 px may go on by one pixel,
which takes out the drift inside the first window (measured: a fifth fewer differing pixels outside of defects).
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

BLOCK = 8
REACH = 5  # px, the first pass
WINDOW = 9  # blocks, the first pass
FINE_WINDOW = 5  # blocks, the second pass, which reaches one pixel further
APART = 0.002  # share of differing pixels that one pixel away from the shift of the whole image must gain
FINE_APART = 0.005
_SUM_OF_BYTES, _TOP_BYTE = np.uint64(0x0101010101010101), np.uint64(56)
Bits = npt.NDArray[np.uint8]
Field = npt.NDArray[np.int8]


def block_shifts(golden: Bits, test: Bits, *, reach: int = REACH, fine: bool = True) -> Field:
    """Per block the shift (dy, dx) in pixels that lays `golden` on `test`: int8 `[ceil(H/8), ceil(W/8), 2]`.

    Both uint8 0/1 `[H, W]`, of one size; the last blocks of a row or column may be smaller. Ties go to the shift tried
    first (upwards, then to the left). Cost: about 18 ms for 640x640 on one thread, linear in pixels and in the number
    of shifts, (2 reach + 1)^2.
    """
    field = _best(golden, test, reach=reach, window=WINDOW, apart=APART, around_whole=True)
    if not fine:
        return field
    moved = shifted(golden, field)
    finer = _best(moved, test, reach=1, window=FINE_WINDOW, apart=FINE_APART, around_whole=False)
    return np.asarray(field + finer, np.int8)


def shifted(image: npt.NDArray[np.uint8], field: Field) -> npt.NDArray[np.uint8]:
    """`image` `[H, W]` or `[H, W, 3]` with each block taken from where its shift says; edges repeat outwards."""
    height, width = image.shape[:2]
    per_pixel = np.repeat(np.repeat(field, BLOCK, axis=0)[:height], BLOCK, axis=1)[:, :width].astype(np.int64)
    y = np.clip(np.arange(height)[:, None] - per_pixel[..., 0], 0, height - 1)
    x = np.clip(np.arange(width)[None, :] - per_pixel[..., 1], 0, width - 1)
    moved = image.reshape(height * width, -1).take((y * width + x).ravel(), axis=0)
    return np.asarray(moved.reshape(image.shape), np.uint8)


def _best(golden: Bits, test: Bits, *, reach: int, window: int, apart: float, around_whole: bool) -> Field:
    """One pass: the cheapest shift per block. `around_whole`: shifts are measured from that of the whole image."""
    shifts = [(dy, dx) for dy in range(-reach, reach + 1) for dx in range(-reach, reach + 1)]
    differing = _differing(golden, test, shifts, reach)
    home = shifts[int(np.argmin([layer.mean() for layer in differing]))] if around_whole else (0, 0)
    best: npt.NDArray[np.float32] | None = None
    chosen = np.zeros(differing[0].shape, np.uint8)
    for k, (dy, dx) in enumerate(shifts):
        cost = cv2.boxFilter(differing[k], -1, (window, window), borderType=cv2.BORDER_REFLECT)
        cost += np.float32(apart * (abs(dy - home[0]) + abs(dx - home[1])))
        if best is None:
            best = cost
            continue
        better = cost < best
        chosen[better] = k
        np.minimum(best, cost, out=best)
    return np.asarray(np.array(shifts, np.int8)[chosen])


def _differing(golden: Bits, test: Bits, shifts: list[tuple[int, int]], reach: int) -> list[npt.NDArray[np.float32]]:
    """For each shift, the share of pixels per block at which the shifted golden differs."""
    height, width = test.shape
    rows, columns = -(-height // BLOCK), -(-width // BLOCK)
    fill = (reach, reach + rows * BLOCK - height, reach, reach + columns * BLOCK - width)
    around = cv2.copyMakeBorder(golden, *fill, cv2.BORDER_REPLICATE)
    whole = cv2.copyMakeBorder(test, 0, fill[1] - reach, 0, fill[3] - reach, cv2.BORDER_REPLICATE)
    layers = []
    for dy, dx in shifts:
        y, x = reach - dy, reach - dx
        differs = cv2.bitwise_xor(whole, around[y : y + rows * BLOCK, x : x + columns * BLOCK])
        by_column = np.add.reduce(differs.reshape(rows, BLOCK, -1), axis=1, dtype=np.uint8)
        count = by_column.view(np.uint64) * _SUM_OF_BYTES >> _TOP_BYTE  # of the 8 columns of a block at once
        layers.append(count.astype(np.float32) / np.float32(BLOCK * BLOCK))
    return layers
