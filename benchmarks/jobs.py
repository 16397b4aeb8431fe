"""What is measured on both sides, and running it: each job in a process of its own, results kept by their digest."""

import dataclasses
import hashlib
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import noescape
from measured_process import run_measured
from noescape.datasets import Dataset, data_digest, read_mvtec
from noescape.features.weights import find_weights
from noescape.files import sha256_file
from noescape.records import Sample

HERE = Path(__file__).parent
OUR_ROOMS = ("anomaly", "assets", "features", "imaging")  # what a score of ours depends on


@dataclasses.dataclass(frozen=True, kw_only=True)
class Side:
    """One model of one side: `options` are the fields of its job beside images and output."""

    name: str
    ours: bool
    options: dict[str, Any]


def ours(name: str, config: str, **options: Any) -> Side:
    return Side(name=name, ours=True, options={"config": config, "model": {}, **options})


PATCHCORE, PADIM = "patchcore_mvtec.yaml", "padim_mvtec.yaml"
# anomalib's own recipe, in our implementation: says how much of a difference is recipe and how much is code.
SAME_RECIPE = {
    "layers": ("blocks.2", "blocks.4"),
    "grid": None,
    "pool": 3,
    "feature_norm": "none",
    "border": "zeros",
    "map_sigma": 4.0,
    "score_share": None,
}
OURS = (ours("PatchCore", PATCHCORE), ours("PaDiM", PADIM))
PARITY = ours("PatchCore, anomalib's recipe", PATCHCORE, model=SAME_RECIPE)
OURS_NO_NORM = tuple(
    ours(f"{name}, no norm", config, model={"feature_norm": "none"})
    for name, config in (("PatchCore", PATCHCORE), ("PaDiM", PADIM))
)
PEER = (
    Side(name="anomalib PatchCore", ours=False, options={"model": "patchcore", "coreset_ratio": 0.01}),
    Side(
        name="anomalib PaDiM",
        ours=False,
        options={"model": "padim", "layers": ["blocks.1", "blocks.2", "blocks.4"], "n_features": 100},
    ),
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Split:
    """One data folder: the training images that both sides get, and the test images with their truth."""

    name: str
    train: tuple[Sample, ...]
    test: tuple[Sample, ...]
    digest: str

    @property
    def masked(self) -> bool:
        return any(sample.mask for sample in self.test)


def read_split(folder: Path, train_limit: int) -> Split:
    """The split in `folder`; of more than `train_limit` training images an even choice over their sorted names."""
    data: Dataset = read_mvtec(folder)
    train = evenly(data.train, train_limit)
    name = "/".join(folder.resolve().parts[-2:])
    return Split(name=name, train=train, test=data.test, digest=data_digest([*train, *data.test]))


def evenly(samples: Sequence[Sample], limit: int) -> tuple[Sample, ...]:
    if len(samples) <= limit:
        return tuple(samples)
    return tuple(samples[i] for i in np.linspace(0, len(samples) - 1, limit).round().astype(int))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Runner:
    """Runs jobs; `peer` is the interpreter of anomalib's environment, or None; `peer_sides` which of its models take
    part. Kept results lie below `cache`."""

    peer: Path | None
    peer_sides: tuple[Side, ...]
    cache: Path

    def kept(self, side: Side, split: Split) -> Path:
        """The folder with result.npz and timing.json of a side on a split; measured now if it is not there yet.

        The key is the job, the content of the images, and for our side the content of our code.
        """
        key = [side.ours, side.options, split.digest, [s.key for s in split.train], code_digest() if side.ours else ""]
        digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]
        out = self.cache / digest
        if not (out / "timing.json").is_file():
            shutil.rmtree(out, ignore_errors=True)
            print(f"  {split.name}: {side.name} …", file=sys.stderr, flush=True)
            self.run(side, split.train, split.test, out, save_maps=split.masked)
        return out

    def run(
        self, side: Side, train: Sequence[Sample], test: Sequence[Sample], out: Path, *, save_maps: bool
    ) -> dict[str, Any]:
        """Measure now; returns the content of timing.json, with what the whole process cost under `process`."""
        job = {
            **side.options,
            "train": [str(s.image.resolve()) for s in train],
            "test": [str(s.image.resolve()) for s in test],
            "out": str(out),
            "save_maps": save_maps,
        }
        if not side.ours:
            job["weights"] = str(find_weights("efficientnet_lite0", None))
        out.mkdir(parents=True, exist_ok=True)
        (out / "job.json").write_text(json.dumps(job, indent=1), encoding="utf-8")
        python, script = (sys.executable, "our_job.py") if side.ours else (str(self.peer), "peer_anomalib.py")
        process = run_measured([python, str(HERE / script), str(out / "job.json")])
        shutil.rmtree(out / "features", ignore_errors=True)
        timing: dict[str, Any] = read_timing(out) | {"process": process}
        (out / "timing.json").write_text(json.dumps(timing, indent=1), encoding="utf-8")
        return timing


def read_timing(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "timing.json").read_text(encoding="utf-8")))


def fit_cpu_s(timing: dict[str, Any]) -> tuple[float, float]:
    """CPU seconds to turn the training images into features (decoding included), and to learn from these."""
    parts = {name: value["cpu"] for name, value in timing["fit_s"].items()}
    learn = parts.get("learn", parts.get("fit", 0.0))
    return sum(parts.values()) - learn, learn


def code_digest() -> str:
    root = Path(noescape.__file__).parent
    files = [p for room in OUR_ROOMS for p in sorted((root / room).rglob("*")) if p.suffix in (".py", ".yaml")]
    files.append(HERE / "our_job.py")
    return hashlib.sha256("".join(sha256_file(p) for p in files).encode()).hexdigest()
