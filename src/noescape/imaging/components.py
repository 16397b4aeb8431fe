"""8-connected components: from an anomaly map to a list of defects, from a truth mask to its regions."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from noescape.records import Defect


def find_defects(
    anomaly_map: npt.NDArray[np.float32], threshold: float, *, min_area: int = 0
) -> tuple[npt.NDArray[np.uint8], list[Defect]]:
    """Regions of `anomaly_map` strictly over `threshold`, and the mask (0/255) of those that were kept.

    Regions under `min_area` pixels are left out of both. Order: highest maximum first (ties: top, then left),
    `component_id` counts from 1 in that order. The centroid is the mean pixel position, `(x, y)`.
    Cost: one pass over the map and one over its labels.
    """
    over = (anomaly_map > threshold).astype(np.uint8)
    count, labels, stats, centroids = cv2.connectedComponentsWithStats(over, connectivity=8)
    if count <= 1:
        return over * np.uint8(255), []
    values = anomaly_map[over > 0].astype(np.float64)
    ids = labels[over > 0]
    sums = np.bincount(ids, weights=values, minlength=count)
    peaks = np.full(count, -np.inf)
    np.maximum.at(peaks, ids, values)
    area = stats[:, cv2.CC_STAT_AREA]
    keep = [i for i in range(1, count) if area[i] >= max(1, min_area)]
    keep.sort(key=lambda i: (-peaks[i], stats[i, cv2.CC_STAT_TOP], stats[i, cv2.CC_STAT_LEFT]))
    kept = np.zeros(count, np.uint8)
    kept[keep] = 255
    return np.asarray(kept[labels], dtype=np.uint8), [
        Defect(
            component_id=number,
            area=int(area[i]),
            bbox=_half_open(stats[i]),
            centroid=(round(float(centroids[i, 0]), 2), round(float(centroids[i, 1]), 2)),
            max_anomaly_value=float(peaks[i]),
            mean_anomaly_value=float(sums[i] / area[i]),
        )
        for number, i in enumerate(keep, 1)
    ]


def label_regions(mask: npt.NDArray[np.uint8]) -> npt.NDArray[np.int32]:
    """Number the 8-connected regions of a mask `[H, W]` (non-zero = inside) from 1; 0 is the background."""
    _, labels = cv2.connectedComponents((mask > 0).astype(np.uint8), connectivity=8, ltype=cv2.CV_32S)
    return np.asarray(labels, dtype=np.int32)


def _half_open(stat: npt.NDArray[np.int32]) -> tuple[int, int, int, int]:
    x, y, w, h = (int(v) for v in stat[:4])
    return x, y, x + w, y + h
