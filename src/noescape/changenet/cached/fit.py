"""Train the light head: a path of falling penalty strengths, each a checkpoint, chosen on held-out rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from noescape.changenet.cached.features import Described, FeatureBook, LazyDescriber, describe_spec
from noescape.changenet.cached.head import Head, HeadPath, weighted_loss
from noescape.changenet.cached.scorer import CachedScorer, head_of, head_tensors
from noescape.changenet.checkpoint import checkpoint_name, read_checkpoint, write_checkpoint
from noescape.changenet.heat import heat_scale
from noescape.changenet.images import Loader
from noescape.changenet.input_card import input_card
from noescape.changenet.sampler import row_weights
from noescape.changenet.spec import Spec
from noescape.changenet.trained import Epoch, best_of
from noescape.changenet.training import Job
from noescape.records import BundleError, DataError

Array = npt.NDArray[Any]


def fit_cached(job: Job) -> list[Epoch]:
    """Train on `job`; the checkpoints in order of falling strength. DataError where a class is left without rows.

    Cost: features of new pairs (35 ms each at 224 px), then a second for each 1,000 rows and less.
    """
    spec, data = job.spec, job.spec.dataset.classify
    size = data.size
    descriptor = describe_spec(spec.backbone, spec.weights, size)
    folder = Path(spec.noescape.cache_dir) if spec.noescape.cache_dir else job.out / "features"
    lazy = LazyDescriber(descriptor, spec.weights, data.workers)
    books = [
        FeatureBook(folder, lazy, Loader.of(data, part.images_dir, spec.noescape.registration)) for part in job.parts
    ]
    train, val = (book.describe(part.rows, job.on_line) for book, part in zip(books, job.parts, strict=True))
    job.skip(job.train, train.errors)
    job.skip(job.validation, val.errors)
    defect = np.array([job.train.rows[p].is_defect for p in train.kept], np.bool_)
    if not defect.any() or defect.all():
        raise DataError(f"{job.train.csv}: PASS and NO_PASS rows are both needed, {len(defect)} rows are usable")
    weights = row_weights(defect, data.fpratio_sampling) * _class_weights(spec, defect)
    path, start = HeadPath(train.rows, defect, weights), _start(spec, train.rows.dims)
    epochs: list[Epoch] = []
    heads: dict[str, tuple[Head, dict[str, object]]] = {}
    for number, strength in enumerate(sorted(spec.noescape.strengths, reverse=True)):
        head = path.fit(strength, start)
        start = None
        losses = (_loss(head, train, defect, weights), _val_loss(head, val, job))
        name = checkpoint_name(number, head.steps)
        card = {**_card(spec, descriptor.weights_sha256, train.rows.dims), "strength": strength}
        _write(job, name, head, card)
        heads[name] = (head, card)
        epochs.append(
            Epoch(epoch=number, step=head.steps, file=name, train_loss=losses[0], val_loss=losses[1],
                  note=f"strength {strength:g}")
        )  # fmt: skip
        job.epoch_done(epochs[-1], len(spec.noescape.strengths))
    for name in sorted({best_of(epochs).file, epochs[-1].file}):
        head, card = heads[name]
        scorer = CachedScorer(job.out / name, *read_checkpoint(job.out / name), spec, job.train.images_dir)
        scorer.lazy = lazy
        _write(job, name, head, {**card, "heat_scale": heat_scale(scorer, job.train.rows)})
    return epochs


def _write(job: Job, name: str, head: Head, card: dict[str, object]) -> None:
    write_checkpoint(job.out / name, "cached", head_tensors(head), card)


def _class_weights(spec: Spec, defect: Array) -> Array:
    good, bad = spec.train.classify.cls_weight
    return np.where(defect, bad, good)


def _loss(head: Head, rows: Described, defect: Array, weights: Array) -> float:
    logits = np.concatenate([head.logits(rows.rows.block(i, i + 4096)) for i in range(0, len(rows.rows), 4096)])
    return weighted_loss(logits, defect, weights)


def _val_loss(head: Head, val: Described, job: Job) -> float | None:
    if not val.kept:
        return None
    defect = np.array([job.validation.rows[p].is_defect for p in val.kept], np.bool_)
    weights = row_weights(defect, job.spec.dataset.classify.fpratio_sampling) * _class_weights(job.spec, defect)
    return _loss(head, val, defect, weights)


def _start(spec: Spec, dims: int) -> Head | None:
    """The head of train.pretrained_model_path: weights only."""
    if spec.train.pretrained_model_path is None:
        return None
    path = Path(spec.train.pretrained_model_path)
    tensors, card = read_checkpoint(path)
    if card["kind"] != "cached" or card.get("backbone") != spec.backbone:
        raise BundleError(f"{path}: expected a cached model on {spec.backbone} to start from, got {card['kind']}")
    head = head_of(tensors, path)
    if len(head.weights) != dims:
        raise BundleError(f"{path}: its head has {len(head.weights)} weights, {dims} are expected")
    return head


def _card(spec: Spec, weights_sha256: str, dims: int) -> dict[str, object]:
    return {
        **input_card(spec),
        "backbone": spec.backbone,
        "weights_sha256": weights_sha256,
        "dims": dims,
        "heat_scale": [0.0, 1.0],
    }
