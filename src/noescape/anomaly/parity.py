"""Does a copy of a detector say the same? Scores, maps and labels on the stored probe set, and the gate on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from noescape.records import WorkError

Float = npt.NDArray[np.float32]
U8 = npt.NDArray[np.uint8]
Judgement = Callable[[U8], tuple[float, Float]]
# Differences up to this share of the thresholds are rounding: copies measured so far stay under a hundredth of it.
SHARE = 1e-3


@dataclass(frozen=True, kw_only=True)
class Parity:
    """What the probe set showed. Differences are absolute, in units of scores; `*_allowed` is `SHARE` of the image
    threshold and of the pixel threshold. `flipped` are the probes (from 0) whose label changed; `native_ng` of
    `probes` are NG. `*_at_worst` name the probe with the largest difference."""

    probes: int
    native_ng: int
    score_max_difference: float
    score_allowed: float
    score_at_worst: int
    map_max_difference: float
    map_allowed: float
    map_at_worst: int
    flipped: tuple[int, ...]

    @property
    def holds(self) -> bool:
        """Whether nothing exceeds its tolerance (a value that is no number does) and no label flipped."""
        scores, maps = self.score_max_difference <= self.score_allowed, self.map_max_difference <= self.map_allowed
        return scores and maps and not self.flipped

    def to_json(self) -> dict[str, Any]:
        """As plain JSON types; differences that are no finite number as None."""
        out = {**asdict(self), "flipped": list(self.flipped), "tolerance_share_of_threshold": SHARE}
        return {k: None if isinstance(v, float) and not np.isfinite(v) else v for k, v in out.items()}

    def sentence(self) -> str:
        """The figures for people."""
        flips = f"labels flipped on probes {', '.join(map(str, self.flipped))}" if self.flipped else "no label flips"
        return (
            f"{self.probes} stored probes ({self.native_ng} NG): scores differ by at most "
            f"{self.score_max_difference:.2g} (allowed {self.score_allowed:.2g}), maps by at most "
            f"{self.map_max_difference:.2g} (allowed {self.map_allowed:.2g}), {flips}"
        )


def compare(
    native: Judgement, copy: Judgement, probes: U8, thresholds: dict[str, Any], step: Callable[[int], None]
) -> Parity:
    """Judge each of `probes` uint8 `[N, H, W, 3]` twice. A map of another shape counts as an endless difference."""
    limit = float(thresholds["image_threshold"])
    scores, maps, flipped, tops = [], [], [], []
    for number, rgb in enumerate(probes):
        (score, finished), (copied, other) = native(rgb), copy(rgb)
        scores.append(abs(score - copied))
        maps.append(float(np.abs(finished - other).max()) if finished.shape == other.shape else float("inf"))
        tops.append((score, float(np.abs(finished).max())))
        if (score > limit) != (copied > limit):
            flipped.append(number)
        step(number + 1)
    score_scale = _scale(limit, [abs(s) for s, _ in tops])
    map_scale = _scale(float(thresholds["pixel_threshold"]), [m for _, m in tops])
    return Parity(
        probes=len(probes),
        native_ng=sum(s > limit for s, _ in tops),
        score_max_difference=float(np.max(scores)),
        score_allowed=SHARE * score_scale,
        score_at_worst=int(np.argmax(scores)),
        map_max_difference=float(np.max(maps)),
        map_allowed=SHARE * map_scale,
        map_at_worst=int(np.argmax(maps)),
        flipped=tuple(flipped),
    )


def gate(parity: Parity, what: str) -> None:
    """WorkError with the figures unless parity holds."""
    if not parity.holds:
        raise WorkError(
            f"{what} does not agree with the native detector and was thrown away: {parity.sentence()}; largest "
            f"differences on probes {parity.score_at_worst} (score) and {parity.map_at_worst} (map), counted from 0"
        )


def _scale(threshold: float, native: list[float]) -> float:
    """The threshold; where it is no scale (0 or less), the largest native value."""
    return threshold if threshold > 0 else max(native)
