"""Small fitted runs for tests: 96-pixel images of a calm texture, one shallow layer, seconds for both models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from dataset_maker import put, texture
from noescape.anomaly.config import InspectorConfig, parse_config
from noescape.anomaly.fit import fit

U8 = npt.NDArray[np.uint8]


def good_part(seed: int) -> U8:
    """A calm grey texture."""
    return (texture(seed, 96, 128, 3.0) * 0.3 + 90).astype(np.uint8)


def defective_part(seed: int, radius: int) -> tuple[U8, U8]:
    """The same with a bright disc, and its mask."""
    rng = np.random.default_rng(seed)
    pixels, mask = good_part(seed), np.zeros((96, 128), np.uint8)
    cv2.circle(mask, (int(rng.integers(25, 100)), int(rng.integers(25, 70))), radius, 255, -1)
    pixels[mask > 0] = np.clip(pixels[mask > 0].astype(int) + 60, 0, 255)
    return pixels, mask


def plates(root: Path, *, train: int = 16, good: int = 12, masks: bool = True) -> Path:
    """A category `root`: `train` good images, `good` more to test, 6 scratches and 6 pits of growing size."""
    for i in range(train):
        put(root / "train" / "good" / f"{i:03d}.png", good_part(i))
    for i in range(good):
        put(root / "test" / "good" / f"{i:03d}.png", good_part(1000 + i))
    for shift, kind in enumerate(("pit", "scratch")):
        for i in range(6):
            pixels, mask = defective_part(2000 + 100 * shift + i, 2 + 2 * i)
            put(root / "test" / kind / f"{i:03d}.png", pixels)
            if masks:
                put(root / "ground_truth" / kind / f"{i:03d}_mask.png", mask)
    return root


def config(root: Path, out: Path, model: str, run_id: str = "one", **fields: Any) -> InspectorConfig:
    """A quick configuration; `fields` go into its model part."""
    values = {"name": model, "layers": ["blocks.2"], "grid": 8, "n_features": 8, "map_sigma": 4.0}
    return parse_config(
        {
            "model": values | {"coreset_sampling_ratio": 0.05} | fields,
            "data": {"root": str(root), "image_size": [96, 96], "num_workers": 1},
            "output_dir": str(out),
            "run_id": run_id,
        },
        "test",
    )


def fitted(root: Path, out: Path, model: str, run_id: str = "one", **fields: Any) -> Path:
    """The run folder of a fit on `root`."""
    return fit(config(root, out, model, run_id, **fields))
