"""A made data set for the comparison of arms: striped plates, each shot a few times, with two types of defect."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from noescape.datasets import read_mvtec
from noescape.records import Sample

SIDE = 64
U8 = npt.NDArray[np.uint8]


def surface(rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Vertical stripes on grey, float32 [SIDE, SIDE]."""
    stripes = rng.normal(0, 10, (1, SIDE)) + rng.normal(0, 3, (SIDE, SIDE))
    return (120 + rng.normal(0, 8) + stripes).astype(np.float32)


def plates(root: Path, *, parts: int = 6, shots: int = 2, good: int = 12, seed: int = 0) -> Path:
    """An MVTec folder with groups.json: `parts` plates per type, each shot `shots` times; good plates shot once."""
    rng = np.random.default_rng(seed)
    groups: dict[str, str] = {}
    for kind, draw in (("dot", _dot), ("band", _band)):
        for part in range(parts):
            plate = surface(rng)
            for shot in range(shots):
                picture, mask = draw(plate + rng.normal(0, 2, plate.shape), np.random.default_rng((seed, part)))
                name = f"{part}_{shot}.png"
                _write(root / "test" / kind / name, picture)
                _write(root / "ground_truth" / kind / f"{part}_{shot}_mask.png", mask)
                groups[f"test/{kind}/{name}"] = f"{kind}-{part}"
    for number in range(good):
        _write(root / "train" / "good" / f"{number}.png", surface(rng))
        groups[f"train/good/{number}.png"] = f"plate-{number}"
    (root / "groups.json").write_text(json.dumps(groups), "utf-8")
    return root


def samples(root: Path) -> tuple[Sample, ...]:
    """All pictures of such a folder."""
    dataset = read_mvtec(root)
    return (*dataset.train, *dataset.test)


def _dot(plate: npt.NDArray[np.float32], rng: np.random.Generator) -> tuple[npt.NDArray[np.float32], U8]:
    mask = np.zeros((SIDE, SIDE), np.uint8)
    cv2.circle(mask, (int(rng.integers(12, 52)), int(rng.integers(12, 52))), 5, 255, -1)
    return np.where(mask > 0, plate * 0.3, plate), mask


def _band(plate: npt.NDArray[np.float32], rng: np.random.Generator) -> tuple[npt.NDArray[np.float32], U8]:
    mask = np.zeros((SIDE, SIDE), np.uint8)
    top = int(rng.integers(5, 40))
    mask[top : top + 14, 8:56] = 255
    return np.where(mask > 0, plate * 1.5, plate), mask


def _write(path: Path, picture: npt.NDArray[np.generic]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.clip(picture, 0, 255).astype(np.uint8))
