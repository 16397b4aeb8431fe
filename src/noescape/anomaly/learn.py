"""From features of good images to a model and to honest scores of good images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from noescape.anomaly.config import InspectorConfig
from noescape.anomaly.detector import Model, PadimScorer, PatchCoreScorer, View, judge_features
from noescape.anomaly.features_cache import FeatureCache, load_arrays
from noescape.anomaly.padim import Padim, choose_channels, fit_padim
from noescape.anomaly.patchcore import PatchCore, fit_patchcore
from noescape.anomaly.progress import Tell
from noescape.anomaly.thresholds import GoodScores, fold_of, sample_pixels
from noescape.files import write_with
from noescape.records import DataError, Sample

Float = npt.NDArray[np.float32]
Chosen = npt.NDArray[np.bool_]


def learn(
    cache: FeatureCache, wanted: Chosen, view: View, config: InspectorConfig, tell: Tell
) -> PadimScorer | PatchCoreScorer:
    """Fit the configured model on the wanted images of the cache."""
    usable = [image for image, take in zip(cache.images, wanted, strict=True) if take and image.error is None]
    if len(usable) < 2:
        raise DataError(f"learning needs at least 2 readable good images, got {len(usable)}")
    if config.model.name == "padim":
        return PadimScorer(padim=_padim(cache, wanted, config, [image.rows for image in usable]))
    return PatchCoreScorer(core=_patchcore(cache, wanted, view, config, tell))


def _padim(cache: FeatureCache, wanted: Chosen, config: InspectorConfig, rows: list[int]) -> Padim:
    if len(set(rows)) > 1:
        raise DataError("PaDiM with tiles needs images of one size; these differ (PatchCore has no such limit)")
    dims = next(cache.batches(wanted)).shape[1]
    channels = choose_channels(dims, config.model.n_features, config.seed)
    return fit_padim(cache.stacks(wanted), channels, config.model.regularization, config.model.rank)


def _patchcore(cache: FeatureCache, wanted: Chosen, view: View, config: InspectorConfig, tell: Tell) -> PatchCore:
    def kept(index: int, features: Float) -> Float:
        seen = cache.images[index].seen
        assert seen is not None  # noqa: S101 - `each` yields readable images only
        patches = view.kept_patches(seen.height, seen.width)
        return features if patches is None else features[patches]

    if view.roi is None:
        batches = cache.batches(wanted)
        total = sum(image.rows for image, take in zip(cache.images, wanted, strict=True) if take)
    else:
        batches = (kept(i, f) for i, f in cache.each(wanted))
        total = sum(len(kept(i, f)) for i, f in cache.each(wanted))
    if not total:
        raise DataError("the region of interest covers no patch of any good image")
    count = max(1, int(total * config.model.coreset_sampling_ratio))
    step = tell("choosing the coreset", count)
    return fit_patchcore(
        batches,
        total=total,
        ratio=config.model.coreset_sampling_ratio,
        num_neighbors=config.model.num_neighbors,
        memory_budget_mb=config.model.memory_budget_mb,
        on_step=lambda done, _: step(done),
    )


def score_good(cache: FeatureCache, wanted: Chosen, view: View, model: Model) -> dict[int, tuple[float, Float]]:
    """Image score and sampled pixels of each wanted image of the cache, by index."""
    out = {}
    for index, features in cache.each(wanted):
        seen = cache.images[index].seen
        if seen is None:
            continue
        score, finished = judge_features(view, model, features, seen.height, seen.width)
        out[index] = (score, sample_pixels(finished))
    return out


def score_heldout(
    cache: FeatureCache, samples: Sequence[Sample], view: View, config: InspectorConfig, tell: Tell
) -> GoodScores | None:
    """Score every good image with a model that has not seen its fold; each finished fold is kept on disk.

    Returns scores in the order of the readable images; None where no split exists (all of one group) or where one
    leaves fewer than two images to learn from.
    """
    readable = np.array([image.error is None for image in cache.images])
    fold = fold_of(samples, min(config.thresholds.folds, int(readable.sum())), config.seed)
    used = [int(f) for f in np.unique(fold[readable])]
    if len(used) < 2 or any((readable & (fold != f)).sum() < 2 for f in used):
        return None
    step = tell("scoring good images held out", len(used))
    image_scores = np.full(len(samples), np.nan)
    pixels = []
    for done, f in enumerate(used, 1):
        path = cache.folder / f"heldout-{f}.npz"
        if not path.is_file():
            model = learn(cache, readable & (fold != f), view, config, lambda *_: lambda __: None)
            _save_scores(path, score_good(cache, readable & (fold == f), view, model))
        saved = load_arrays(path, ("index", "score", "pixels"))
        image_scores[saved["index"]] = saved["score"]
        pixels.append(saved["pixels"])
        step(done)
    return GoodScores(image=image_scores[readable], pixels=np.concatenate(pixels))


def gather(scores: dict[int, tuple[float, Float]]) -> GoodScores:
    """The scores of `score_good` as one record, by index."""
    ordered = [scores[i] for i in sorted(scores)]
    return GoodScores(image=np.array([s for s, _ in ordered]), pixels=np.concatenate([p for _, p in ordered]))


def _save_scores(path: Path, scores: dict[int, tuple[float, Float]]) -> None:
    index = sorted(scores)

    def save(part: Path) -> None:
        with part.open("wb") as f:
            np.savez(
                f,
                index=np.array(index),
                score=np.array([scores[i][0] for i in index]),
                pixels=np.concatenate([scores[i][1] for i in index]) if index else np.zeros(0, np.float32),
            )

    write_with(path, save)
