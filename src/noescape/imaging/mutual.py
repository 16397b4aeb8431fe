"""Mutual information of two grey pictures of one size: how much one says about the other, whatever the contrast."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Grey = npt.NDArray[np.float32]
Bool = npt.NDArray[np.bool_]
LEAST_COVERAGE = 0.05


def levels(grey: Grey, bins: int) -> Grey:
    """A picture of 0..255 as positions 0..bins-1 on the axis of a histogram."""
    out: Grey = np.clip(grey * ((bins - 1) / 255), 0, bins - 1).astype(np.float32)
    return out


def mutual_information(a: Grey, b: Grey, inside: Bool, bins: int) -> float:
    """Sum of p log(p / (pa pb)) over the pixels `inside`, natural logarithm, times the share of pixels inside.

    `a` and `b` are positions on a histogram's axis (see `levels`). Each pixel of `b` counts for its two neighbouring
    bins in proportion, so that the measure changes smoothly as `b` moves. Minus infinity where less than 5% is inside.
    Cost: about 25 ns per pixel.
    """
    coverage = float(np.count_nonzero(inside)) / inside.size
    if coverage < LEAST_COVERAGE:
        return -np.inf
    whole = coverage == 1
    row = (a if whole else a[inside]).ravel()
    at = (b if whole else b[inside]).ravel()
    low = np.minimum(at.astype(np.int32), bins - 2)
    share = at - low
    flat = (row + np.float32(0.5)).astype(np.int32) * bins + low
    upper = np.bincount(flat, weights=share, minlength=bins * bins)
    count = np.bincount(flat, minlength=bins * bins)
    joint = (count - upper).reshape(bins, bins)
    joint[:, 1:] += upper.reshape(bins, bins)[:, :-1]
    return _of_joint(joint / joint.sum()) * coverage


def _of_joint(p: npt.NDArray[np.float64]) -> float:
    product = p.sum(axis=1, keepdims=True) * p.sum(axis=0, keepdims=True)
    some = p > 0
    return float((p[some] * np.log(p[some] / product[some])).sum())


def halved(grey: Grey) -> Grey:
    """The mean of 2 x 2 pixels; an odd last row or column is left out."""
    h, w = grey.shape[0] // 2, grey.shape[1] // 2
    return np.asarray(cv2.resize(grey[: 2 * h, : 2 * w], (w, h), interpolation=cv2.INTER_AREA), dtype=np.float32)
