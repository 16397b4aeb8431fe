"""Small parts, a small data set of them, and runs of a small detector: what the tests of the anomaly room share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dataset_maker import put, texture
from noescape.anomaly.config import InspectorConfig, parse_config
from noescape.anomaly.fit import fit, good_folder

U8 = npt.NDArray[np.uint8]
SIDE = 64
# Everything in a run folder may be compared byte by byte but these.
VOLATILE = ("logs/events.jsonl", "timing.json")


def part(seed: int, height: int = SIDE, width: int = SIDE) -> U8:
    """A good part: the same surface each time, with a little noise of its own."""
    noise = np.random.default_rng(seed).normal(0, 3, (height, width))
    surface = texture(0, max(height, 2), max(width, 2), 4.0)[:height, :width]
    return np.clip(surface + noise, 0, 255).astype(np.uint8)


def defective(seed: int, height: int = SIDE, width: int = SIDE) -> tuple[U8, U8]:
    """A part with a bright blot, and the mask of the blot."""
    rng = np.random.default_rng(1000 + seed)
    y, x = int(rng.integers(4, height - 20)), int(rng.integers(4, width - 20))
    mask = np.zeros((height, width), np.uint8)
    mask[y : y + 14, x : x + 14] = 255
    return np.where(mask > 0, np.uint8(250), part(seed, height, width)), mask


def parts(root: Path, *, train: int = 8, good: int = 3, blot: int = 3) -> Path:
    """A category in the MVTec AD layout under `root`; returns it."""
    for i in range(train):
        put(root / "train" / "good" / f"{i:03d}.png", part(i))
    for i in range(good):
        put(root / "test" / "good" / f"{i:03d}.png", part(100 + i))
    for i in range(blot):
        image, mask = defective(200 + i)
        put(root / "test" / "blot" / f"{i:03d}.png", image)
        put(root / "ground_truth" / "blot" / f"{i:03d}_mask.png", mask)
    return root


def values(root: Path, out: Path, name: str = "patchcore", **changes: Any) -> dict[str, Any]:
    """A configuration as plain values; `changes` are keys of any part."""
    out_values: dict[str, Any] = {
        "model": {
            "name": name,
            "layers": ["blocks.1"],
            "grid": 8,
            "map_sigma": 2.0,
            "coreset_sampling_ratio": 0.1,
            "n_features": 12,
            "rank": 8,
        },
        "data": {"root": str(root), "image_size": [SIDE, SIDE], "num_workers": 1},
        "thresholds": {"folds": 3},
        "output_dir": str(out),
        "run_id": "run",
    }
    homes = {k: p for p, model in (("model", "ModelConfig"), ("data", "DataConfig"), ("thresholds", "ThresholdConfig"))
             for k in _fields(model)}  # fmt: skip
    for key, value in changes.items():
        (out_values[homes[key]] if key in homes else out_values)[key] = value
    return out_values


def _fields(name: str) -> list[str]:
    import noescape.anomaly.config as config

    return list(getattr(config, name).model_fields)


def configured(root: Path, out: Path, name: str = "patchcore", **changes: Any) -> InspectorConfig:
    """The same as a checked configuration."""
    return parse_config(values(root, out, name, **changes), "test")


def fitted(root: Path, out: Path, name: str = "patchcore", **changes: Any) -> Path:
    """A finished run folder."""
    return fit(configured(root, out, name, **changes))


def some(folder: Path, count: int) -> Path:
    """A plain folder of good parts."""
    for i in range(count):
        put(folder / f"{i}.png", part(i))
    return folder


def fit_folder(good: Path, out: Path, name: str = "patchcore", **changes: Any) -> Path:
    """A run on a plain folder of good images."""
    return fit(configured(good, out, name, **changes), data=good_folder(good))


def solid(tree: dict[str, bytes], *volatile: str) -> dict[str, bytes]:
    """The files of a tree (see `dataset_maker.tree`) that must be the same every time."""
    return {name: data for name, data in tree.items() if name not in (*VOLATILE, *volatile)}


def rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a .jsonl file."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]
