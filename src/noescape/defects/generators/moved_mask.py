"""A mask after the moves that its test case still asks for, the same for every generator."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from noescape.defects.placement.testcase import TestCase
from noescape.records import ImageError

Bool = npt.NDArray[np.bool_]


def moved_mask(mask: Bool, case: TestCase) -> Bool:
    """The mask after the moves that its row still asks for: rotation about its middle, shift, 3 x 3 morphology."""
    out = mask.astype(np.uint8)
    if case.rotation_angle or case.shift != (0, 0):
        ys, xs = np.nonzero(mask)
        move = cv2.getRotationMatrix2D((float(xs.mean()), float(ys.mean())), case.rotation_angle or 0.0, 1.0)
        move[:, 2] += case.shift
        out = cv2.warpAffine(out, move, out.shape[::-1], flags=cv2.INTER_NEAREST).astype(np.uint8)
    if case.morph_operation not in (None, "none"):
        how = {"dilate": cv2.MORPH_DILATE, "erode": cv2.MORPH_ERODE, "open": cv2.MORPH_OPEN, "close": cv2.MORPH_CLOSE}
        out = cv2.morphologyEx(out, how[str(case.morph_operation)], np.ones((3, 3), np.uint8)).astype(np.uint8)
    if not out.any():
        raise ImageError(case.mask, "blank", "marks nothing after its shift, rotation and morph_operation")
    return out > 0
