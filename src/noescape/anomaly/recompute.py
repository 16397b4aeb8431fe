"""Thresholds again, for a run that is fitted: the same scores of good images, another rule."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from noescape.anomaly.bundle import Bundle, change
from noescape.anomaly.features_cache import FeatureCache
from noescape.anomaly.learn import gather, score_good, score_heldout
from noescape.anomaly.progress import Tell, silent
from noescape.anomaly.run_data import learnt_data
from noescape.anomaly.thresholds import thresholds
from noescape.datasets import data_digest
from noescape.files import dump_json
from noescape.imaging import read_picture
from noescape.imaging.parallel import worker_count
from noescape.records import DataError, UsageError


def recompute_thresholds(
    run: Path, *, source: str | None = None, root: Path | None = None, tell: Tell = silent
) -> dict[str, Any]:
    """Score the good training images anew (train and held out) and write thresholds.json; returns its content.

    DataError if the good images are not those that the run was fitted on.
    """
    bundle = Bundle(run)
    config = bundle.config
    if bundle.meta.get("plain_folder"):
        raise UsageError(
            f"{run} learnt from a plain folder of good images (fit --good): for another rule fit again with "
            "--threshold-source or --image-percentile, for other good images use `noescape tune`"
        )
    dataset = learnt_data(config, root)
    if data_digest(dataset.train) != bundle.meta["train_digest"]:
        raise DataError(
            f"{dataset.root}: the good images are not those that {run} learnt from; use `noescape tune` for new ones"
        )
    workers = worker_count(config.data.num_workers)
    cache = FeatureCache(run / "cache" / "features", f"{bundle.digest} thresholds")
    read = partial(read_picture, max_pixels=config.data.max_pixels, white_level=bundle.meta["white_level"])
    view, embedder = bundle.view, bundle.embedder(workers, None, "cpu")
    cache.fill(dataset.train, read, view, embedder, workers=workers, tell=tell)
    readable = np.array([image.error is None for image in cache.images])
    heldout = score_heldout(cache, dataset.train, view, config, tell)
    trained = gather(score_good(cache, readable, view, bundle.model))
    rule = config.thresholds.model_copy(update={"source": source} if source else {})
    limits = thresholds(trained, heldout, rule, [s for s, ok in zip(dataset.train, readable, strict=True) if ok])
    change(run, {"thresholds.json": dump_json(limits).encode()})
    shutil.rmtree(run / "cache")
    return limits
