"""Is this image like those the model learnt from? Flags for one image, a drift score for a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from noescape.anomaly.detector import View
from noescape.imaging import Appearance, Picture, appearance

# A measure is unusual when it lies outside the training range widened on both sides by this share of its width …
MARGIN = 0.5
# … or by this much, whichever is more (grey levels; log units): a perfectly even training set has no width.
LEAST = {"brightness": 8.0, "contrast": 5.0, "sharpness": 0.25}
SIZE_MARGIN = 1.1
# What was measured, as the bundle states it; a bundle that states nothing measured whole images.
WHOLE, REGION = "whole image", "region of interest"
WATCH, DRIFTED = 1.0, 2.0  # drift scores, in training standard deviations


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What one training image looked like."""

    height: int
    width: int
    bits: int
    appearance: Appearance

    @classmethod
    def of(cls, picture: Picture, view: View | None) -> Seen:
        """Measure a picture: size and depth of the whole, the rest inside the region of interest of `view`."""
        height, width = picture.height, picture.width
        inside = None if view is None or view.roi is None else view.source_roi(height, width)
        return cls(height=height, width=width, bits=picture.bits, appearance=appearance(picture.rgb, inside))


def summarise(seen: Sequence[Seen], of: str = WHOLE) -> dict[str, Any]:
    """The training images in a few numbers, as stored in the bundle: sizes, depths, range, mean and spread.

    `of` says what the measures were taken of (`WHOLE` or `REGION`); sizes and depths are those of whole images.
    """
    out: dict[str, Any] = {
        "of": of,
        "sizes": {
            "height": _extent([s.height for s in seen]),
            "width": _extent([s.width for s in seen]),
            "aspect": _extent([float(f"{s.width / s.height:.6g}") for s in seen]),
        },
        "bits": sorted({s.bits for s in seen}),
        "measures": {},
    }
    for field in fields(Appearance):
        values = np.array([getattr(s.appearance, field.name) for s in seen])
        out["measures"][field.name] = {
            "low": round(float(values.min()), 4),
            "high": round(float(values.max()), 4),
            "mean": round(float(values.mean()), 4),
            "std": round(float(values.std()), 4),
        }
    return out


def _extent(values: Sequence[float]) -> list[float]:
    return [min(values), max(values)]


def flags(training: dict[str, Any], one: Seen) -> list[str]:
    """Names of what is unusual about an image: any of size, depth, brightness, contrast, sharpness.

    A size is unusual when height, width or aspect ratio lie outside the training range widened by `SIZE_MARGIN`: one
    fixed camera gives a narrow range, hand-cut crops a wide one.
    """
    out = []
    sizes = training["sizes"]
    extents = {"height": one.height, "width": one.width, "aspect": one.width / one.height}
    if any(not sizes[k][0] / SIZE_MARGIN <= v <= sizes[k][1] * SIZE_MARGIN for k, v in extents.items()):
        out.append("size")
    if one.bits not in training["bits"]:
        out.append("depth")
    for name, value in asdict(one.appearance).items():
        known = training["measures"][name]
        slack = max(MARGIN * (known["high"] - known["low"]), LEAST[name])
        if not known["low"] - slack <= value <= known["high"] + slack:
            out.append(name)
    return out


def drift(training: dict[str, Any], seen: Sequence[Appearance]) -> dict[str, Any] | None:
    """How far a run as a whole lies from the training images; None without images.

    For each measure: |mean of the run - mean of training| / standard deviation of training (not under the least
    spread of `LEAST` / 4). `score` is the largest; under 1 "as learnt", under 2 "watch", else "drifted".
    """
    if not seen:
        return None
    per: dict[str, Any] = {}
    for field in fields(Appearance):
        known = training["measures"][field.name]
        mean = float(np.mean([getattr(a, field.name) for a in seen]))
        spread = max(known["std"], LEAST[field.name] / 4)
        per[field.name] = {
            "training_mean": known["mean"],
            "run_mean": round(mean, 4),
            "standard_deviations": round(abs(mean - known["mean"]) / spread, 3),
        }
    score = max(row["standard_deviations"] for row in per.values())
    verdict = "as learnt" if score < WATCH else "watch" if score < DRIFTED else "drifted"
    return {"score": score, "verdict": verdict, "n": len(seen), "per_measure": per}
