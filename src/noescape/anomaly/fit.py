"""Fit: good images in, a run folder out. Killed anywhere and started again it ends with the same bytes.

runs/<model>/<category>/<run_id>/
    cache/            features and held-out scores while fitting; removed at the end
    config.yaml meta.json thresholds.json manifest.json weights/    the bundle (see `bundle`)
    preds_train.jsonl preds_test.jsonl metrics.json                 scores and figures
    unusual_good.txt  good images to look at, if there are any such
    logs/events.jsonl timing.json
"""

from __future__ import annotations

import hashlib
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from noescape.anomaly.bundle import FORMAT, Bundle, sign
from noescape.anomaly.config import InspectorConfig
from noescape.anomaly.detector import Detector, View
from noescape.anomaly.embedder import embedding_spec, torch_embedding, view_of
from noescape.anomaly.evaluate import evaluate_test
from noescape.anomaly.events import Events
from noescape.anomaly.features_cache import FeatureCache
from noescape.anomaly.learn import gather, learn, score_good, score_heldout
from noescape.anomaly.probe import make_probes
from noescape.anomaly.progress import Tell, silent
from noescape.anomaly.run_data import learnt_data
from noescape.anomaly.thresholds import thresholds
from noescape.anomaly.unlike import REGION, WHOLE, summarise
from noescape.anomaly.unusual_good import NAME, list_of_names
from noescape.datasets import Dataset, data_digest, read_folder
from noescape.features.embedding import EmbeddingSpec
from noescape.features.runtime import (
    Embedder,
    OpenVinoEmbedder,
    TorchEmbedder,
    convert_to_openvino,
    cpu_precision,
    resolve_device,
    save_openvino,
)
from noescape.features.weights import find_weights
from noescape.files import (
    dump_json,
    remove_parts,
    safe_name,
    sha256_file,
    utc_stamp,
    write_bytes,
    write_json,
    write_jsonl,
    write_text,
)
from noescape.imaging import Picture, read_picture
from noescape.imaging.parallel import worker_count
from noescape.records import DataError, ImageError, UsageError

RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
WHITE_LEVELS = (1023, 4095, 16383, 65535)


def fit(config: InspectorConfig, *, tell: Tell = silent, data: Dataset | None = None) -> Path:
    """Learn from the good images of the configured data set and write the run folder; returns it.

    A finished run of the same configuration and data is returned as it is; an unfinished one goes on. `data`
    replaces what `config.data` names (the Python door). Raises UsageError where another run has that name.
    """
    dataset = learnt_data(config, data=data)
    run = run_folder(config, dataset.category)
    device = resolve_device(config.device)
    weights = find_weights(config.model.backbone, config.model.weights)
    digests = {"train": data_digest(dataset.train), "weights": sha256_file(weights)}
    identity = _digest({"config": config.identity(), "roi": _roi_digest(config), **digests})
    learnt = _learnt_already(run, identity)
    if run.is_dir() and (not learnt or (run / "cache").is_dir()):
        remove_parts(run)
    if not learnt:
        run.mkdir(parents=True, exist_ok=True)
        write_text(run / "config.yaml", config.to_yaml())
        with Events(run / "logs", tensorboard=config.tensorboard) as events:
            events.write("fit_started", identity=identity, good_images=len(dataset.train))
            start = (time.monotonic(), time.process_time())
            with threadpool_limits(limits=1):
                _fit(run, config, dataset, identity, digests, device, events.telling(tell))
            spent = {
                "fit_wall_s": round(time.monotonic() - start[0], 3),
                "fit_cpu_s": round(time.process_time() - start[1], 3),
            }
            write_json(run / "timing.json", spent)
            events.write("fit_done", **spent)
    if (run / "cache").is_dir():  # removed last, so it tells what a kill left to do
        if dataset.test:
            evaluate_test(run, dataset, tell=tell)
        shutil.rmtree(run / "cache")
    return run


def run_folder(config: InspectorConfig, category: str) -> Path:
    """Where the run lives; its id is `run_id` or, without one, the time stamp."""
    run_id = config.run_id or re.sub(r"[^0-9TZ]", "", utc_stamp())
    if not RUN_ID.fullmatch(run_id) or ".." in run_id:
        raise UsageError(f"run id {run_id!r}: letters, digits, '.', '_' and '-' only, at most 100")
    return config.output_dir / config.model.name / category / run_id


def _learnt_already(run: Path, identity: str) -> bool:
    """Whether the bundle of this identity is whole; UsageError where the folder belongs to something else."""
    if (run / "manifest.json").is_file():
        if Bundle(run).meta.get("identity") != identity:
            raise UsageError(f"{run} holds a run with another configuration or data: choose another --run-id")
        return True
    # A fit that was killed before its first whole file left at most a part of that one.
    others = run.is_dir() and any(not p.name.startswith(".config.yaml.") for p in run.iterdir())
    if others and not (run / "config.yaml").is_file():
        raise UsageError(f"{run} exists and is no run of noescape: choose another --run-id")
    return False


@dataclass(frozen=True, kw_only=True)
class _Tools:
    """What fitting works with: how images are read, shown and embedded."""

    spec: EmbeddingSpec
    view: View
    embedder: Embedder
    read: Callable[[Path], Picture]
    white_level: int
    workers: int


def _tools(run: Path, config: InspectorConfig, dataset: Dataset, identity: str, device: str) -> _Tools:
    """Convert the backbone (once per identity, into the bundle) and set everything up."""
    workers = worker_count(config.data.num_workers)
    white = config.data.white_level or _white_level(dataset, config.data.max_pixels)
    spec, module = embedding_spec(config), torch_embedding(config)
    ir = run / "weights" / "embedding.xml"
    whole = run / "cache" / "embedding.done"
    if not whole.is_file() or whole.read_text("utf-8") != identity:  # a killed fit of another configuration, perhaps
        whole.unlink(missing_ok=True)
        save_openvino(convert_to_openvino(module, spec.image_size), ir)
        write_text(whole, identity)
    return _Tools(
        spec=spec,
        view=view_of(config, module.grid, _roi(config)),
        embedder=OpenVinoEmbedder(ir, precision=config.precision, streams=workers)
        if device == "cpu"
        else TorchEmbedder(module, device),
        read=partial(read_picture, max_pixels=config.data.max_pixels, white_level=white),
        white_level=white,
        workers=workers,
    )


def _fit(
    run: Path,
    config: InspectorConfig,
    dataset: Dataset,
    identity: str,
    digests: dict[str, str],
    device: str,
    tell: Tell,
) -> None:
    """Embed, score held out, learn, and write the bundle; meta.json and the manifest come last."""
    samples = dataset.train
    tools = _tools(run, config, dataset, identity, device)
    view = tools.view
    cache = FeatureCache(run / "cache" / "features", identity)
    cache.fill(samples, tools.read, view, tools.embedder, workers=tools.workers, tell=tell)
    readable = np.array([image.error is None for image in cache.images])
    if readable.sum() < 2:
        raise DataError(f"{dataset.root}: learning needs at least 2 readable good images, got {int(readable.sum())}")
    heldout = score_heldout(cache, samples, view, config, tell)
    model = learn(cache, readable, view, config, tell)
    trained = score_good(cache, readable, view, model)
    tensors = model.tensors()
    if view.roi is not None:
        tensors["roi"] = view.roi
    detector = Detector(view=view, embedder=tools.embedder, model=model)
    scores = [trained[i][0] for i in sorted(trained)]
    tensors |= make_probes(detector, [samples[i].image for i in sorted(trained)], scores, tools.read, config.seed)
    _save_tensors(run / "weights" / "model.safetensors", tensors)
    write_jsonl(run / "preds_train.jsonl", _train_rows(cache, samples, trained, heldout))
    learnt = [samples[i] for i in sorted(trained)]
    limits = thresholds(gather(trained), heldout, config.thresholds, learnt)
    if limits["without_unusual"]:
        write_text(run / NAME, list_of_names(limits["without_unusual"]["images"]))
    write_json(run / "thresholds.json", limits)
    meta = {
        "format": FORMAT,
        "model": config.model.name,
        "category": dataset.category,
        "run_id": run.name,
        "created_at": utc_stamp(),
        "identity": identity,
        "embedding": tools.spec.to_json(),
        "view": view.to_json(),
        "precision": cpu_precision(config.precision) if device == "cpu" else "f32",
        "white_level": tools.white_level,
        "good_images": int(readable.sum()),
        "unreadable_good_images": int((~readable).sum()),
        "patches": sum(image.rows for image in cache.images),
        "learnt": {name: list(array.shape) for name, array in tensors.items() if not name.startswith("probe")},
        "training_appearance": summarise(
            [image.seen for image in cache.images if image.seen is not None], WHOLE if view.roi is None else REGION
        ),
        "train_digest": digests["train"],
        "plain_folder": dataset.plain,
        "backbone_weights_sha256": digests["weights"],
        "terms": dataset.terms,
        "versions": {name: metadata.version(name) for name in ("noescape", "numpy", "openvino", "torch")},
    }
    write_json(run / "meta.json", meta)
    sign(run)


def _train_rows(
    cache: FeatureCache, samples: Any, trained: dict[int, tuple[float, Any]], heldout: Any
) -> list[dict[str, Any]]:
    held = iter(heldout.image if heldout is not None else [])
    rows: list[dict[str, Any]] = []
    for i, (sample, image) in enumerate(zip(samples, cache.images, strict=True)):
        row: dict[str, Any] = {"image_path": sample.key, "gt_label": 0, "group": sample.group}
        if image.error is not None:
            row["error"] = {"code": image.error[0], "reason": image.error[1]}
        else:
            row |= {"pred_score": trained[i][0], "heldout_score": float(next(held)) if heldout is not None else None}
        rows.append(row)
    return rows


def _save_tensors(path: Path, tensors: dict[str, npt.NDArray[np.generic]]) -> None:
    from safetensors.numpy import save

    contiguous = {name: np.ascontiguousarray(tensors[name]) for name in sorted(tensors)}
    write_bytes(path, save(contiguous))


def _white_level(dataset: Dataset, max_pixels: int) -> int:
    """The least usual full scale that holds every value of the first 16-bit good images; 65535 without any."""
    peak = 0
    for sample in dataset.train[:32]:
        try:
            picture = read_picture(sample.image, max_pixels=max_pixels)
        except ImageError:
            continue
        if picture.bits == 16:
            peak = max(peak, picture.peak)
    return next((level for level in WHITE_LEVELS if 0 < peak <= level), 65535)


def _roi(config: InspectorConfig) -> npt.NDArray[np.uint8] | None:
    if config.data.roi is None:
        return None
    mask: Picture = read_picture(config.data.roi, max_pixels=config.data.max_pixels)
    grey: npt.NDArray[np.uint8] = mask.rgb.max(2)
    if not grey.any():
        raise UsageError(f"{config.data.roi}: the region of interest is empty (white = inspect)")
    return grey


def _roi_digest(config: InspectorConfig) -> str | None:
    if config.data.roi is None:
        return None
    if not config.data.roi.is_file():
        raise UsageError(f"region of interest {config.data.roi} does not exist")
    return sha256_file(config.data.roi)


def _digest(value: Any) -> str:
    return hashlib.sha256(dump_json(value).encode()).hexdigest()


def good_folder(folder: Path, name: str | None = None) -> Dataset:
    """A plain folder of good images as a data set without test images; its name (or `name`) is the category."""
    samples = tuple(read_folder(folder, label=0))
    if not samples:
        raise DataError(f"{folder}: no images (PNG, JPEG, BMP, TIFF or WebP) to learn from")
    category = name or safe_name(folder.resolve().name)
    return Dataset(root=folder, category=category, train=samples, test=(), uncertain=(), terms=None, plain=True)
