"""Measure one of our own models, alone in its process: the counterpart of peer_anomalib.py, with the same output.

``python our_job.py JOB.json`` fits a shipped configuration on the ``train`` images of the job and scores its ``test``
images one by one, on one thread. It writes into ``out``:

- ``result.npz``: ``scores`` float64 [n]; ``maps`` float16 [n, 256, 256] if ``save_maps``;
- ``timing.json``: seconds (wall, CPU) to embed (decoding included) and to learn; median, min and p95 of milliseconds
  per test image for ``model`` (RGB bytes of network size in, score and blurred map out) and ``end_to_end`` (image
  file in); for ``backbone_alone`` the model's time over that of its bare backbone, image by image in turn; peak
  memory, size of what was learnt, versions.

What a job times is the code that `noescape fit` and `noescape inspect` run; the held-out scores that set thresholds
are left out, as anomalib's side has none.
"""

import dataclasses
import json
import resource
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from noescape.anomaly.config import InspectorConfig, load_config, parse_config
from noescape.anomaly.detector import Model, View, judge_features
from noescape.anomaly.embedder import torch_embedding, view_of
from noescape.anomaly.features_cache import FeatureCache
from noescape.anomaly.learn import learn
from noescape.anomaly.progress import silent
from noescape.features.embedding import PatchEmbedding
from noescape.features.runtime import Embedder, OpenVinoEmbedder, convert_to_openvino
from noescape.imaging import read_picture
from noescape.records import Sample

PACKAGES = ("noescape", "torch", "openvino", "numpy", "opencv-python-headless")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """One measurement: `config` is a shipped name, `model` the keys of its model part that differ."""

    config: str
    model: dict[str, Any]
    train: list[str]
    test: list[str]
    out: str
    precision: str = "f32"
    save_maps: bool = True
    backbone_alone: bool = False


class BareBackbone(torch.nn.Module):
    """The network of an embedding with its input normalisation and nothing after it."""

    def __init__(self, embedding: PatchEmbedding) -> None:
        super().__init__()
        self.embedding = embedding

    def forward(self, rgb: torch.Tensor) -> Any:
        x = (rgb.permute(0, 3, 1, 2).float() - self.embedding.mean) * self.embedding.scale
        return tuple(self.embedding.net(x))


def now_s() -> np.ndarray:
    return np.array([time.perf_counter(), time.process_time()])  # wall, and CPU of all threads


def one_thread() -> None:
    """For the libraries that have a switch; BLAS is told by its environment (see measured_process)."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)


def configure(job_config: str, model: dict[str, Any], precision: str) -> InspectorConfig:
    values = load_config(job_config).model_dump()
    values["model"] |= model
    return parse_config(values | {"precision": precision, "device": "cpu"}, "job")


def spread(seconds: Any) -> dict[str, dict[str, float]]:
    rows = 1e3 * np.quantile(np.asarray(seconds), (0.5, 0, 0.95), axis=0).T
    return {clock: dict(zip(("median", "min", "p95"), row)) for clock, row in zip(("wall", "cpu"), rows)}


def over_backbone(
    job: Job, config: InspectorConfig, view: View, embedder: Embedder, model: Model
) -> dict[str, dict[str, float]]:
    """Median CPU ms of the model and of bare backbones, each image in turn: the configured one, and as trained."""
    plain = config.model_copy(update={"model": config.model.model_copy(update={"border": "zeros"})})
    bare = {
        name: OpenVinoEmbedder(
            convert_to_openvino(BareBackbone(torch_embedding(one)), view.image_size), precision=job.precision
        )
        for name, one in {"backbone": config, "backbone_zero_border": plain}.items()
    }
    calls: dict[str, Any] = {
        "model": lambda rgb: judge_features(view, model, embedder(rgb), *view.image_size),
        **bare,
    }
    spent: dict[str, list[float]] = {name: [] for name in calls}
    for path in job.test[:1] + job.test:  # the first once more: its calls pay for allocations
        (rgb,) = view.inputs(read_picture(Path(path)).rgb)
        for name, call in calls.items():
            start = time.process_time()
            call(rgb)
            spent[name].append(1e3 * (time.process_time() - start))
    return {name: {"cpu_ms": float(np.median(ms[1:]))} for name, ms in spent.items()}


def run(job: Job) -> None:
    one_thread()
    config = configure(job.config, job.model, job.precision)
    out = Path(job.out)
    out.mkdir(parents=True, exist_ok=True)

    embedding = torch_embedding(config)
    view = view_of(config, embedding.grid)
    embedder = OpenVinoEmbedder(convert_to_openvino(embedding, view.image_size), precision=config.precision)
    start = now_s()
    samples = [Sample(key=path, image=Path(path), label=0, defect_type="good") for path in job.train]
    cache = FeatureCache(out / "features", "benchmark")
    cache.fill(samples, read_picture, view, embedder, workers=1, tell=silent)
    embedded = now_s()
    model = learn(cache, np.ones(len(samples), np.bool_), view, config, silent)
    learnt = now_s()

    scores, maps, model_s, whole_s = [], [], [], []
    for path in job.test[:1] + job.test:
        begin = now_s()
        (rgb,) = view.inputs(read_picture(Path(path)).rgb)
        decoded = now_s()
        score, finished = judge_features(view, model, embedder(rgb), *view.image_size)
        end = now_s()
        scores.append(score)
        model_s.append(end - decoded)
        whole_s.append(end - begin)
        if job.save_maps:
            maps.append(finished.astype(np.float16))
    fit_s = {"embed": embedded - start, "learn": learnt - embedded}
    report = {
        "job": dataclasses.asdict(job) | {"train": len(job.train), "test": len(job.test), "out": "."},
        "fit_s": {part: dict(zip(("wall", "cpu"), s.tolist())) for part, s in fit_s.items()},
        "predict_ms": {"model": spread(model_s[1:]), "end_to_end": spread(whole_s[1:])},
        "learnt_mb": sum(array.nbytes for array in model.tensors().values()) / 2**20,
        "learnt": {name: list(array.shape) for name, array in model.tensors().items()},
        "maxrss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "precision": embedder.precision,
        "versions": {"python": sys.version.split()[0]} | {name: version(name) for name in PACKAGES},
    }
    if job.backbone_alone:
        report["alone"] = over_backbone(job, config, view, embedder, model)
    arrays = {"scores": np.array(scores[1:])} | ({"maps": np.stack(maps[1:])} if maps else {})
    np.savez(out / "result.npz", **arrays)
    (out / "timing.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    run(Job(**json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))))
