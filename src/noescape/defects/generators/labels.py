"""From a label mask to its instances."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from noescape.records import Box


def instances_of(mask: npt.NDArray[np.uint8], kind: str) -> tuple[tuple[Box, str], ...]:
    """The 8-connected parts of a mask as (box, type), largest first, then from the top left."""
    count, _, stats, _ = cv2.connectedComponentsWithStats((mask > 0).astype(np.uint8), connectivity=8)
    rows = [tuple(int(v) for v in stats[i]) for i in range(1, count)]
    rows.sort(key=lambda r: (-r[4], r[1], r[0]))
    return tuple(((x, y, x + w, y + h), kind) for x, y, w, h, _ in rows)
