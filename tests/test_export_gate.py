"""The gate of an export: the stated tolerance, and no label may flip."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from noescape.anomaly.parity import SHARE, compare, gate
from noescape.records import WorkError


def plain(score: float, value: float = 1.0) -> Any:
    return lambda rgb: (score, np.full((2, 2), value, np.float32))


LIMITS = {"image_threshold": 2.0, "pixel_threshold": 1.0}
PROBES = np.zeros((3, 4, 4, 3), np.uint8)


@pytest.mark.parametrize(
    ("copy", "holds"),
    [
        (plain(1.0), True),
        (plain(1.0 + 1.9 * SHARE), True),
        (plain(1.0 + 2.1 * SHARE), False),
        (plain(1.0, 1 + 0.9 * SHARE), True),
        (plain(1.0, 1 + 1.1 * SHARE), False),
        (plain(float("nan")), False),
        (plain(1.0, float("nan")), False),
        (plain(1.0, float("inf")), False),
        (lambda rgb: (1.0, np.ones((2, 3), np.float32)), False),
    ],
)
def test_the_gate_holds_the_stated_tolerance(copy: Any, holds: bool) -> None:
    """A thousandth of the image threshold for scores and of the pixel threshold for maps; NaN never passes."""
    parity = compare(plain(1.0), copy, PROBES, LIMITS, lambda done: None)
    assert parity.holds is holds
    json.dumps(parity.to_json(), allow_nan=False)
    if holds:
        gate(parity, "a copy")
    else:
        with pytest.raises(WorkError, match="does not agree"):
            gate(parity, "a copy")


def test_a_flipped_label_is_refused_however_small_the_difference() -> None:
    parity = compare(plain(2.0), plain(np.nextafter(2.0, 3)), PROBES, LIMITS, lambda done: None)
    assert parity.flipped == (0, 1, 2) and parity.score_max_difference < parity.score_allowed
    with pytest.raises(WorkError, match="labels flipped on probes 0, 1, 2"):
        gate(parity, "a copy")


def test_a_threshold_of_zero_is_no_scale() -> None:
    zero = {"image_threshold": 0.0, "pixel_threshold": 0.0}
    assert compare(plain(1.0), plain(1.0005, 1.0005), PROBES, zero, lambda done: None).holds
    assert not compare(plain(1.0), plain(1.01), PROBES, zero, lambda done: None).holds
