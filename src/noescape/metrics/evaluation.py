"""All figures of an evaluation as JSON-ready values: None where there is nothing to measure, never NaN."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from importlib import resources
from typing import Any

import numpy as np

from noescape.metrics.delong import auroc_bounds
from noescape.metrics.inputs import Labels, Scores, checked
from noescape.metrics.operating import RECALLS, OperatingPoint, false_alarm_at_recall, operating_point
from noescape.metrics.pixel import PixelScores
from noescape.metrics.ranking import BestF1, auroc, average_precision, best_f1
from noescape.records import Rate

# Counts up when a figure of the same name starts to mean something else.
EVALUATOR_VERSION = "1"

FORMULAS = {
    "false_alarm_rate": "FP/(FP+TN)",
    "miss_rate": "FN/(TP+FN)",
    "escape_rate": "FN/(TN+FN)",
    "detected": "TP/(TP+FN)",
}


def evaluate_images(
    labels: Labels,
    scores: Scores,
    types: Sequence[str],
    threshold: float,
    recalls: Sequence[float] = RECALLS,
) -> dict[str, Any]:
    """Every image figure: overall, at `threshold`, at each of `recalls`, and per defect type.

    `types` `[n]` names the kind of each image; the good ones' names are not used. A type is compared with all good
    images. Bounds are one-sided 95%. ValueError when the lists differ in length, and as `checked` raises.
    """
    is_defect, values = checked(labels, scores)
    if len(types) != len(values):
        raise ValueError(f"expected a type for each of {len(values)} images, got {len(types)}")
    kinds = np.asarray(types, dtype=object)
    names = sorted({str(kind) for kind in kinds[is_defect]})
    n_defect = int(is_defect.sum())
    per_type = {}
    for name in names:
        chosen = ~is_defect | (kinds == name)
        per_type[name] = _type_figures(is_defect[chosen], values[chosen], threshold)
    return {
        "image_auroc": auroc(labels, scores),
        "image_auroc_bounds": _pair(auroc_bounds(labels, scores)),
        "image_ap": average_precision(labels, scores),
        "image_best_f1": _best(best_f1(labels, scores)),
        "n": {"images": len(values), "good": len(values) - n_defect, "defect": n_defect},
        "at_threshold": _point(operating_point(labels, scores, threshold)),
        "false_alarm_rate_at_recall": [
            {
                "recall": at.recall,
                "threshold": at.threshold,
                **_rates(at, "false_alarm_rate", "miss_rate"),
            }
            for at in false_alarm_at_recall(labels, scores, recalls)
        ],
        "per_type": per_type,
    }


def pixel_summary(pixels: PixelScores) -> dict[str, Any]:
    """Every pixel figure; each is None where no mask, or nothing but defects, was counted."""
    n = pixels.n
    return {
        "pixel_auroc": pixels.pixel_auroc(),
        "pixel_ap": pixels.average_precision(),
        "pixel_aupro": pixels.aupro(),
        "pixel_best_f1": _best(pixels.best_f1()),
        "n": {"images": n.images, "pixels": n.pixels, "defect_pixels": n.defect_pixels, "regions": n.regions},
    }


def rate_fields(measured: Rate, formula: str | None = None) -> dict[str, Any]:
    """A rate as a JSON object: value (None if n = 0), events, n, lower, upper, and its formula if given."""
    fields: dict[str, Any] = {
        "value": measured.value,
        "events": measured.events,
        "n": measured.n,
        "lower": measured.lower,
        "upper": measured.upper,
    }
    return fields if formula is None else {**fields, "formula": formula}


@lru_cache(maxsize=1)
def evaluator_digest() -> str:
    """sha256 over the evaluator's version and the source of this room: figures of another ruler do not compare.

    The same from a wheel and from a checkout, whatever line ends the checkout uses.
    """
    digest = hashlib.sha256(f"noescape.metrics {EVALUATOR_VERSION}\n".encode())
    sources = sorted((f for f in resources.files("noescape.metrics").iterdir() if f.name.endswith(".py")), key=_name)
    if not sources:
        raise RuntimeError("the source of noescape.metrics is not installed: expected its .py files beside the package")
    for source in sources:
        text = source.read_bytes().replace(b"\r\n", b"\n")
        digest.update(f"{source.name} {len(text)}\n".encode())
        digest.update(text)
    return digest.hexdigest()


def _type_figures(is_defect: Labels, scores: Scores, threshold: float) -> dict[str, Any]:
    at = operating_point(is_defect, scores, threshold)
    return {
        "n": at.tp + at.fn,
        "image_auroc": auroc(is_defect, scores),
        "image_auroc_bounds": _pair(auroc_bounds(is_defect, scores)),
        "image_ap": average_precision(is_defect, scores),
        **_rates(at, "miss_rate", "detected"),
    }


def _point(at: OperatingPoint) -> dict[str, Any]:
    counts = {"threshold": at.threshold, "tp": at.tp, "fp": at.fp, "tn": at.tn, "fn": at.fn}
    return {**counts, **_rates(at, "false_alarm_rate", "miss_rate", "escape_rate")}


def _rates(at: object, *names: str) -> dict[str, Any]:
    return {name: rate_fields(getattr(at, name), FORMULAS[name]) for name in names}


def _best(best: BestF1 | None) -> dict[str, float | None]:
    return {name: getattr(best, name, None) for name in ("f1", "threshold", "precision", "recall")}


def _pair(bounds: tuple[float, float] | None) -> list[float] | None:
    return None if bounds is None else list(bounds)


def _name(source: Any) -> str:
    return str(source.name)
