"""Training pairs as they are kept in memory: registered, two-tone, packed to bits; 0.17 MB for a pair of 640x640."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from noescape.changenet.mapnet.channels import Bits, tolerant_difference
from noescape.changenet.mapnet.net import STRIDE
from noescape.changenet.pairs import Image
from noescape.changenet.register import bits, register
from noescape.records import Box

CROP = 128  # px, the side of a training crop
MARGIN = 8  # px around a crop, so that channels and augmentation see past its edge
SHRINK = 5  # px: boxes are drawn that much larger than the defect, on either side
LEAST_HALF = 6  # px: half the side of the smallest target
JOIN = 8  # px: differences nearer than twice this are one candidate
LEAST_AREA = 3  # px of tolerant difference that make a candidate
POSITIVE, NEGATIVE, IGNORED = 1, 0, -1


@dataclass(frozen=True, kw_only=True, eq=False)
class Prepared:
    """One pair ready for training.

    `packed` uint8 `[3, H + 16, (W + 16) / 8]`: golden, placed golden and test as bits, edges repeated by 8 px, H and W
    filled up to multiples of 8 of at least 128. `target` int8 `[H/8, W/8]`. `wanted` are the centres (y, x) of boxes;
    `tempting` those of differences outside of boxes with their area: `[n, 2]`, `[m, 2]`, `[m]`.
    """

    packed: npt.NDArray[np.uint8]
    target: npt.NDArray[np.int8]
    wanted: npt.NDArray[np.int32]
    tempting: npt.NDArray[np.int32]
    area: npt.NDArray[np.int32]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels, filled up."""
        return self.target.shape[0] * STRIDE, self.target.shape[1] * STRIDE

    def crop(self, y: int, x: int) -> tuple[Bits, Bits, Bits]:
        """Golden, placed and test around the crop whose corner is (y, x), multiples of 8: each `[144, 144]`."""
        side, byte = CROP + 2 * MARGIN, x // 8
        part = np.unpackbits(self.packed[:, y : y + side, byte : byte + side // 8], axis=-1)
        return part[0], part[1], part[2]


def prepare(golden: Image, test: Image, boxes: Sequence[Box], *, level: int, registration: str) -> Prepared:
    """Register the pair and say what is to be learnt from it. Cost: about 40 ms for 640x640."""
    placed = bits(register(golden, test, kind=registration, level=level).golden, level)
    layers = [_filled(image) for image in (bits(golden, level), placed, bits(test, level))]
    height, width = layers[0].shape
    around = [cv2.copyMakeBorder(image, *(MARGIN,) * 4, cv2.BORDER_REPLICATE) for image in layers]
    tempting, area = _tempting(tolerant_difference(layers[1], layers[2]), boxes)
    centres = [((y0 + y1) // 2, (x0 + x1) // 2) for x0, y0, x1, y1 in boxes]
    return Prepared(
        packed=np.packbits(np.stack(around), axis=-1),
        target=target_map(boxes, (height, width)),
        wanted=np.array(centres, np.int32).reshape(-1, 2),
        tempting=tempting,
        area=area,
    )


def target_map(boxes: Sequence[Box], shape: tuple[int, int]) -> npt.NDArray[np.int8]:
    """What the map should say: 1 inside a box shrunk by 5 px, -1 (ignored) on its rim, 0 elsewhere; int8 `[H/8, W/8]`.

    The whole box is the target, not its middle, for a long defect may lie in two cells with its middle in one.
    """
    target = np.full((shape[0] // STRIDE, shape[1] // STRIDE), NEGATIVE, np.int8)
    ys, xs = (np.arange(n) * STRIDE + (STRIDE - 1) / 2 for n in target.shape)
    for x0, y0, x1, y1 in boxes:
        touched = np.ix_((ys > y0 - 1) & (ys < y1 + 1), (xs > x0 - 1) & (xs < x1 + 1))
        target[touched] = np.where(target[touched] == POSITIVE, POSITIVE, IGNORED)
        half_y, half_x = (max(LEAST_HALF, side / 2 - SHRINK) for side in (y1 - y0, x1 - x0))
        core = np.ix_(np.abs(ys - (y0 + y1) / 2) <= half_y, np.abs(xs - (x0 + x1) / 2) <= half_x)
        target[core] = POSITIVE
    return target


def _tempting(differs: Bits, boxes: Sequence[Box]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Centres (y, x) and areas of differences away from every box: what could be taken for a defect."""
    differs = differs.copy()
    for x0, y0, x1, y1 in boxes:
        differs[max(0, y0 - 6) : y1 + 6, max(0, x0 - 6) : x1 + 6] = 0
    near = cv2.dilate(differs, np.ones((2 * JOIN + 1, 2 * JOIN + 1), np.uint8))
    count, labels, _, centres = cv2.connectedComponentsWithStats(near, connectivity=8)
    area = np.bincount(labels.ravel(), weights=differs.ravel(), minlength=count).astype(np.int32)
    kept = np.flatnonzero(area >= LEAST_AREA)
    kept = kept[kept > 0]
    return centres[kept][:, ::-1].astype(np.int32).reshape(-1, 2), area[kept]


def _filled(image: Bits) -> Bits:
    height, width = (max(CROP, -(-n // STRIDE) * STRIDE) for n in image.shape)
    fill = (0, height - image.shape[0], 0, width - image.shape[1])
    return np.asarray(cv2.copyMakeBorder(image, *fill, cv2.BORDER_REPLICATE), np.uint8)
