"""Thresholds from scores of good images: percentiles, held out by folds, and what n allows to say about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from noescape.anomaly.config import ThresholdConfig
from noescape.anomaly.unusual_good import unusual_good, without_unusual
from noescape.records import Sample

Float = npt.NDArray[np.float32]
PIXELS_PER_IMAGE = 4096  # kept of each map: maps are blurred, so a regular grid of their pixels loses nothing


@dataclass(frozen=True, kw_only=True)
class GoodScores:
    """Scores of good images: one `image` score each, and `pixels` sampled from their maps, all in one array."""

    image: npt.NDArray[np.float64]
    pixels: Float


def sample_pixels(anomaly_map: Float) -> Float:
    """At most `PIXELS_PER_IMAGE` values of a map, on a regular grid, plus its maximum is left to the image score."""
    step = max(1, int(np.ceil(np.sqrt(anomaly_map.size / PIXELS_PER_IMAGE))))
    return anomaly_map[step // 2 :: step, step // 2 :: step].ravel()


def fold_of(samples: Sequence[Sample], folds: int, seed: int) -> npt.NDArray[np.int64]:
    """The fold of each sample: whole groups where groups are known, spread evenly; deterministic.

    Groups (or single images) are shuffled by `seed` and dealt, largest first, to the fold with the fewest images.
    With fewer groups than folds some folds stay empty.
    """
    names = [s.group if s.group is not None else s.key for s in samples]
    unique, counts = np.unique(names, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(unique))
    order = order[np.argsort(-counts[order], kind="stable")]
    load = np.zeros(folds, np.int64)
    home = {}
    for i in order:
        fold = int(load.argmin())
        home[str(unique[i])] = fold
        load[fold] += counts[i]
    return np.array([home[name] for name in names], np.int64)


def thresholds(
    train: GoodScores, heldout: GoodScores | None, config: ThresholdConfig, samples: Sequence[Sample]
) -> dict[str, Any]:
    """The content of thresholds.json, from scores of the good images `samples`.

    `heldout` None (a single group or image): the train rule is all there is. `image_threshold` and `pixel_threshold`
    follow `source`; `map_scale` is the fixed range of overlays, from just under the pixel threshold (so that good
    parts look calm) to well over it; `unusual_good` names the good images that a high percentile follows, and
    `without_unusual` says what it would be without them, where that matters.
    """
    chosen = heldout if heldout is not None and config.source == "heldout" else train
    out: dict[str, Any] = {
        "image_threshold": _percentile(chosen.image, config.image_percentile),
        "pixel_threshold": _percentile(chosen.pixels, config.pixel_percentile),
        "source": "heldout" if chosen is heldout else "train",
        "image_percentile": config.image_percentile,
        "pixel_percentile": config.pixel_percentile,
        "image_threshold_train": _percentile(train.image, config.image_percentile),
        "pixel_threshold_train": _percentile(train.pixels, config.pixel_percentile),
        "image_threshold_heldout": heldout and _percentile(heldout.image, config.image_percentile),
        "pixel_threshold_heldout": heldout and _percentile(heldout.pixels, config.pixel_percentile),
        "review_band": None,
        "n_good": len(chosen.image),
        "map_scale": map_scale(chosen.pixels, config.pixel_percentile),
        "good_scores": [float(s) for s in np.sort(chosen.image)],
    }
    out["unusual_good"] = unusual_good(samples, heldout.image) if heldout is not None else []
    out["without_unusual"] = (
        without_unusual(samples, chosen.image, config.image_percentile) if chosen is heldout else None
    )
    if config.review_band:
        out["review_band"] = [_percentile(chosen.image, p) for p in sorted(config.review_band)]
    return out


def map_scale(pixels: Float, percentile: float) -> list[float]:
    """The range of scores shown as heat: from 3/4 of the way between the median and the threshold to as far again
    and a half over the threshold."""
    middle, limit = float(np.median(pixels)), _percentile(pixels, percentile)
    return [limit - 0.25 * (limit - middle), limit + 1.5 * max(limit - middle, 1e-6)]


def _percentile(values: npt.NDArray[np.floating[Any]], percentile: float) -> float:
    return float(np.percentile(values.astype(np.float64), percentile))
