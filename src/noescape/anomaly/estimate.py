"""What a fit would cost, before it starts: measured on a few of its own images."""

from __future__ import annotations

import shutil
import time
from typing import Any

from noescape.anomaly.config import InspectorConfig
from noescape.anomaly.detector import embed
from noescape.anomaly.embedder import embedding_spec, torch_embedding, view_of
from noescape.anomaly.fit import run_folder
from noescape.anomaly.patchcore import BESIDE
from noescape.anomaly.run_data import learnt_data
from noescape.datasets import Dataset
from noescape.features.runtime import OpenVinoEmbedder, convert_to_openvino
from noescape.imaging import read_picture
from noescape.imaging.parallel import worker_count
from noescape.records import ImageError, WorkError

SAMPLES = 5


def estimate(config: InspectorConfig, data: Dataset | None = None) -> dict[str, Any]:
    """Number of images, seconds, memory and disk of `fit(config)`, from embedding `SAMPLES` images for real.

    Writes nothing. WorkError if none of the sampled images can be read. Seconds are within about a factor of 2.
    """
    dataset = learnt_data(config, data=data)
    run = run_folder(config, dataset.category)
    spec = embedding_spec(config)
    module = torch_embedding(config)
    embedder = OpenVinoEmbedder(convert_to_openvino(module, spec.image_size), precision=config.precision)
    view = view_of(config, module.grid)
    step = max(1, len(dataset.train) // SAMPLES)
    seconds, rows = [], []
    for sample in dataset.train[::step][:SAMPLES]:
        start = time.perf_counter()
        try:
            rgb = read_picture(sample.image, max_pixels=config.data.max_pixels).rgb
        except ImageError:
            continue
        rows.append(len(embed(view, embedder, rgb)))
        seconds.append(time.perf_counter() - start)
    if not rows:
        raise WorkError(f"none of {SAMPLES} sampled good images can be read; run: noescape data check {dataset.root}")
    n, workers = len(dataset.train), worker_count(config.data.num_workers)
    patches = n * sum(rows) // len(rows)
    one = sorted(seconds)[len(seconds) // 2]
    feature_mb = patches * module.dims * 4 / 2**20
    if config.model.name == "patchcore":
        coreset = patches * config.model.coreset_sampling_ratio
        learn_s = (1 + config.thresholds.folds * 0.8) * patches * coreset * module.dims * 2 / 25e9
        memory_mb = 450 + min(feature_mb * (1 + BESIDE / (4 * module.dims)) + coreset * module.dims * 4 / 2**20,
                              config.model.memory_budget_mb)  # fmt: skip
    else:
        dims = config.model.n_features or module.dims
        positions = patches // n
        learn_s = (1 + config.thresholds.folds) * positions * (dims**3 * 2e-9 + n * dims**2 * 2 / 25e9)
        memory_mb = 450 + positions * dims**2 * 8 / 2**20
    return {
        "run_folder": str(run),
        "good_images": n,
        "test_images": len(dataset.test),
        "patches_per_image": rows[0] if len(set(rows)) == 1 else f"{min(rows)} to {max(rows)}",
        "dimensions": module.dims,
        "estimated_seconds": round((n + len(dataset.test)) * one / workers + learn_s + 5, 1),
        "estimated_memory_mb": round(memory_mb),
        "scratch_disk_mb": round(feature_mb),
        "free_disk_mb": shutil.disk_usage(run.parents[-2] if run.is_absolute() else ".").free // 2**20,
    }
