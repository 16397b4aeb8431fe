"""The few frozen records that travel between rooms.

Frames and units, everywhere: boxes are `(x0, y0, x1, y1)` in pixels, half-open; centroids `(x, y)` in pixels;
images RGB uint8 `[H, W, 3]`; masks uint8 0/255 `[H, W]`; scores: higher = more anomalous; label 1 = defect.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

GOOD_TYPE = "good"
UNCERTAIN_TYPE = "uncertain"

Box = tuple[int, int, int, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """One image of a data set with what is known about it.

    `label` is 0 for good, 1 for defective, None where nobody says. `mask` is the path of the pixel truth
    (uint8, non-zero = defect) or None. `group` names what must never be split between training and test
    (the physical part, panel or module); None where unknown. `key` identifies the image inside its data set:
    its posix path relative to the data set's folder.
    """

    key: str
    image: Path
    label: int | None
    defect_type: str
    mask: Path | None = None
    group: str | None = None

    def __post_init__(self) -> None:
        if self.label not in (0, 1, None):
            raise ValueError(f"label of {self.key!r}: expected 0, 1 or None, got {self.label!r}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Defect:
    """One connected region of an anomaly map over the pixel threshold (8-connected), in source pixels."""

    component_id: int
    area: int
    bbox: Box
    centroid: tuple[float, float]
    max_anomaly_value: float
    mean_anomaly_value: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Rate:
    """`events` of `n`, with the one-sided 95% exact bounds. `value` is None when n = 0.

    `lower` and `upper` are each a one-sided bound: "at most `upper`, with 95% confidence".
    """

    events: int
    n: int
    lower: float
    upper: float

    @property
    def value(self) -> float | None:
        """The observed share, or None without any case."""
        return self.events / self.n if self.n else None
