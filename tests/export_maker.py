"""Small runs to export, pictures to show to both sides, and how a stranger would ask an exported file."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import openvino as ov
import pytest

from dataset_maker import mvtec, texture
from noescape.anomaly.config import parse_config
from noescape.anomaly.export import export
from noescape.anomaly.fit import fit

U8 = npt.NDArray[np.uint8]
SIZE = (64, 96)
SHORT = {"layers": ["blocks.2"], "grid": 8, "n_features": 24, "map_sigma": 6, "coreset_sampling_ratio": 0.1}
RECIPE = {"layers": ["blocks.2", "blocks.4", "blocks.5"], "grid": 16, "border": "reflect", "score_share": None}
ONNX = [name for name in ("onnx", "onnxscript", "onnxruntime") if importlib.util.find_spec(name) is None] == []
GRAPHS = ("openvino", "onnx") if ONNX else ("openvino",)


def fitted(root: Path, name: str, **parts: Any) -> Path:
    """A run on eight textures with a short network; `parts` override the configuration's `model` and `data`."""
    data = mvtec(root / "the parts", train=8, good=1, scratch=1)
    config = {
        "model": {"name": name, **SHORT, **parts.get("model", {})},
        "data": {"root": str(data), "image_size": list(SIZE), "num_workers": 1, **parts.get("data", {})},
        "thresholds": {"folds": 2},
        "output_dir": str(root / "runs"),
        "run_id": "one",
    }
    return fit(parse_config(config, "test"))


def both_runs(factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A small PaDiM with the top-share score, and a PatchCore as it ships but with the paper's score."""
    return {
        "patchcore": fitted(factory.mktemp("patchcore"), "patchcore", model=RECIPE),
        "padim": fitted(factory.mktemp("padim"), "padim"),
    }


def all_exports(runs: dict[str, Path], factory: pytest.TempPathFactory) -> dict[tuple[str, str], Path]:
    """Every run in every graph format that can be written here."""
    out = {}
    for name, run in runs.items():
        for form in GRAPHS:
            out[name, form] = factory.mktemp("out") / "copy"
            export(run, form, out[name, form])
    return out


def answers(folder: Path, rgb: U8) -> tuple[float, npt.NDArray[np.float32]]:
    """What an exported file says, asked as a stranger would who has read export.json only."""
    told = json.loads((folder / "export.json").read_text("utf-8"))
    if told["format"] == "openvino":
        compiled = ov.Core().compile_model(folder / "model.xml", "CPU", told["runtime_settings"])
        got = compiled({told["input"]["name"]: rgb[None]})
        return float(got["pred_score"]), np.array(got["anomaly_map"])
    import onnxruntime

    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
    anomaly_map, score = session.run(["anomaly_map", "pred_score"], {told["input"]["name"]: rgb[None]})
    return float(score), anomaly_map


def resized(rgb: U8, height: int, width: int) -> U8:
    """The rule of export.json's `input.resize`, written out."""
    shrinks = rgb.shape[0] >= height and rgb.shape[1] >= width
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(rgb, (width, height), interpolation=how))


def picture(seed: int, height: int, width: int) -> U8:
    """Colour noise of some smoothness, with a dark spot."""
    rgb = np.stack([texture(seed * 3 + c, height, width) for c in range(3)], 2)
    rgb[height // 3 : height // 2, width // 4 : width // 2] //= 4
    return rgb
