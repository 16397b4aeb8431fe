"""New thresholds from scores of good images, and in words what their number proves."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from noescape.anomaly.thresholds import GoodScores, map_scale
from noescape.metrics import cases_needed, percent, rate, rate_fields

Scores = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """How thresholds are chosen. `target`: share of good scores that may lie over the image threshold (None: the
    percentile); `image` and `pixel`: values set by hand; `band` (low, high): of review, in scores, or with
    `band_percentiles` in percentiles of good scores; `keep_old`: old good scores count too."""

    image_percentile: float
    pixel_percentile: float
    target: Fraction | None = None
    image: float | None = None
    pixel: float | None = None
    band: tuple[float, float] | None = None
    band_percentiles: tuple[float, float] | None = None
    keep_old: bool = False


def smallest_threshold(scores: Scores, target: Fraction) -> float:
    """The smallest threshold with at most the share `target` of `scores` strictly over it: one of the scores."""
    allowed = math.floor(target * len(scores))
    return float(np.sort(scores)[::-1][allowed])


def apply_rule(old: dict[str, Any], new: GoodScores | None, rule: Rule) -> dict[str, Any]:
    """The content of thresholds.json after `rule`; without `new` good scores only what is set by hand changes.

    `*_train` and `*_heldout` stay what they were: they describe the fitted model.
    """
    old_scores = np.array(old.get("good_scores") or [], np.float64)
    scores = old_scores
    if new is not None:
        scores = np.concatenate([new.image, old_scores]) if rule.keep_old else new.image
    out = {**old, "source": "tune", "n_good": len(scores), "good_scores": [float(s) for s in np.sort(scores)]}
    done: dict[str, Any] = {"image": "unchanged", "pixel": "unchanged", "review_band": "unchanged"}
    if rule.image is not None:
        out |= {"image_threshold": rule.image, "image_percentile": None}
        done["image"] = "set by hand"
    elif new is not None and rule.target is not None:
        out |= {"image_threshold": smallest_threshold(scores, rule.target), "image_percentile": None}
        done["image"] = f"at most {percent(float(rule.target))} of good scores over it"
    elif new is not None:
        value = float(np.percentile(scores, rule.image_percentile))
        out |= {"image_threshold": value, "image_percentile": rule.image_percentile}
        done["image"] = f"{rule.image_percentile:g}th percentile of good scores"
    if done["image"] != "unchanged":
        out["without_unusual"] = None  # it was about the threshold that this one replaces
    _pixel(out, old, new, rule, done)
    _band(out, scores, rule, done)
    out["tuned"] = {**done, "old_scores_counted": len(old_scores) if rule.keep_old and new is not None else 0}
    return out


def _pixel(out: dict[str, Any], old: dict[str, Any], new: GoodScores | None, rule: Rule, done: dict[str, Any]) -> None:
    """The pixel threshold, and the fixed scale of heat that goes with it."""
    if new is not None:
        found = float(np.percentile(new.pixels.astype(np.float64), rule.pixel_percentile))
        if rule.keep_old and old["pixel_threshold"] > found:
            # Pixel scores of old images are not stored. The percentile of all lies between that of the old and that
            # of the new ones, so the larger one never marks more good pixels than was asked for.
            done["pixel"] = "unchanged: the old one is the larger"
        else:
            out |= {"pixel_threshold": found, "pixel_percentile": rule.pixel_percentile}
            out["map_scale"] = map_scale(new.pixels, rule.pixel_percentile)
            done["pixel"] = f"{rule.pixel_percentile:g}th percentile of good pixel scores"
    if rule.pixel is not None:
        middle = _middle(out)
        width = max(rule.pixel - middle, 1e-6)
        out |= {"pixel_threshold": rule.pixel, "pixel_percentile": None}
        out["map_scale"] = [rule.pixel - 0.25 * width, rule.pixel + 1.5 * width]
        done["pixel"] = "set by hand"


def _middle(limits: dict[str, Any]) -> float:
    """The median good pixel score, which `map_scale` put at four times the way from the threshold to its low end."""
    limit = float(limits["pixel_threshold"])
    return limit - 4 * (limit - float(limits["map_scale"][0]))


def _band(out: dict[str, Any], scores: Scores, rule: Rule, done: dict[str, Any]) -> None:
    if rule.band is not None:
        out["review_band"] = sorted(rule.band)
        done["review_band"] = "set by hand"
    elif rule.band_percentiles is not None and len(scores):
        low, high = sorted(rule.band_percentiles)
        out["review_band"] = [float(np.percentile(scores, p)) for p in (low, high)]
        done["review_band"] = f"{low:g}th to {high:g}th percentile of good scores"


def proof(limits: dict[str, Any], target: Fraction | None) -> dict[str, Any]:
    """What the good scores behind a threshold say about false alarms: the counted rate, and `text` in words.

    The bound holds although the threshold was chosen on these very scores: the chance that a new good part scores
    over the (k + 1)th highest of n scores has exactly the distribution that the bound of k events in n describes.
    """
    scores = np.array(limits["good_scores"], np.float64)
    over, n = int((scores > limits["image_threshold"]).sum()), len(scores)
    measured = rate(over, n)
    fields = rate_fields(measured, "FP/(FP+TN)")
    if not n:
        return {**fields, "text": "no good scores are stored: nothing is known about false alarms"}
    text = (
        f"{over} of {n} good images {'lies' if over == 1 else 'lie'} over it, which proves with 95% confidence "
        f"a false alarm rate of at most {percent(measured.upper)}"
    )
    if target is not None:
        goal = float(target)
        if measured.upper < goal:
            text += f": under the {percent(goal)} asked for"
        else:
            needed = cases_needed(goal, events=over)
            rest = "without one over it" if not over else f"with no more than {over} over it"
            text += f", not that it is under {percent(goal)}: that takes {needed:,} good images {rest}"
    return {**fields, "text": text}
