"""Defects are the 8-connected regions over the threshold, measured right: two roads to one answer."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy import ndimage

from noescape.imaging import find_defects, label_regions

Map = npt.NDArray[np.float32]
LEVELS = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])
MAPS = arrays(np.float32, array_shapes(min_dims=2, max_dims=2, max_side=14), elements=LEVELS)


def measured(values: Map, threshold: float, min_area: int) -> tuple[npt.NDArray[np.bool_], list[tuple[object, ...]]]:
    """The kept pixels and (-peak, top, left, area, box, centroid, mean) per region, by scipy and plain numpy."""
    labels, count = ndimage.label(values > threshold, structure=np.ones((3, 3)))
    kept, rows = np.zeros(values.shape, bool), []
    for number in range(1, count + 1):
        ys, xs = np.nonzero(labels == number)
        if len(ys) < min_area:
            continue
        kept[ys, xs] = True
        inside = values[ys, xs].astype(np.float64)
        box = (int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1)
        centre = (round(float(xs.mean()), 2), round(float(ys.mean()), 2))
        rows.append((-float(inside.max()), box[1], box[0], len(ys), box, centre, float(inside.mean())))
    return kept, sorted(rows)


@given(MAPS, LEVELS, st.integers(0, 5))
def test_defects_agree_with_scipy(values: Map, threshold: float, min_area: int) -> None:
    """Areas, half-open boxes, centroids, values, order and the mask, against scipy's 8-connected labels."""
    mask, defects = find_defects(values, threshold, min_area=min_area)
    kept, rows = measured(values, threshold, min_area)
    assert mask.dtype == np.uint8 and np.array_equal(mask, kept * np.uint8(255))
    assert [d.component_id for d in defects] == [*range(1, len(rows) + 1)]
    got = [(-d.max_anomaly_value, d.bbox[1], d.bbox[0]) for d in defects]
    assert got == [row[:3] for row in rows], "strongest first; ties from the top, then from the left"
    pool = list(rows)  # regions may share peak, top and left: then any pairing that fits
    for d in defects:
        fits = [row for row in pool if row[:5] == (-d.max_anomaly_value, d.bbox[1], d.bbox[0], d.area, d.bbox)]
        assert fits
        best = min(fits, key=lambda row: abs(row[6] - d.mean_anomaly_value) + abs(row[5][0] - d.centroid[0]))
        assert d.mean_anomaly_value == pytest.approx(best[6]) and d.centroid == pytest.approx(best[5], abs=0.011)
        pool.remove(best)


def test_the_threshold_itself_is_not_a_defect() -> None:
    """NG is strictly over the threshold."""
    values = np.array([[0.5, 0.50001]], np.float32)
    mask, defects = find_defects(values, 0.5)
    assert mask.tolist() == [[0, 255]] and len(defects) == 1 and defects[0].bbox == (1, 0, 2, 1)


def test_corners_connect() -> None:
    """Two pixels that touch at a corner are one defect."""
    _, defects = find_defects(np.eye(4, dtype=np.float32), 0.5)
    assert [(d.area, d.bbox, d.centroid) for d in defects] == [(4, (0, 0, 4, 4), (1.5, 1.5))]


@pytest.mark.parametrize("fill", [0.0, 1.0])
def test_nothing_and_everything(fill: float) -> None:
    mask, defects = find_defects(np.full((3, 5), fill, np.float32), 0.5)
    assert mask.shape == (3, 5) and set(mask.ravel()) == {np.uint8(255 * fill)}
    assert [d.bbox for d in defects] == ([(0, 0, 5, 3)] if fill else [])


@given(arrays(np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.sampled_from([0, 1, 255])))
def test_regions_of_a_mask_agree_with_scipy(mask: npt.NDArray[np.uint8]) -> None:
    labels = label_regions(mask)
    expected, count = ndimage.label(mask > 0, structure=np.ones((3, 3)))
    assert labels.max() == count and np.array_equal(labels > 0, expected > 0)
    pairs = {*zip(labels.ravel().tolist(), expected.ravel().tolist(), strict=True)}
    assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})
