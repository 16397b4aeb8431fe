"""The hand-over: best_model.json (7 fields) and an inference spec that runs as it is.

Both name files by absolute paths: whoever takes the model over does not know the workspace.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from noescape.changenet.spec import Spec
from noescape.deft.places import at
from noescape.deft.state import State
from noescape.files import dump_yaml, write_json, write_text
from noescape.records import DataError

MODEL, INFERENCE_SPEC = "best_model.json", "best_model_inference_spec.yaml"
FIELDS = ("checkpoint", "threshold", "far_pct", "iteration", "backbone", "images_dir", "training_spec")


def write_best(workspace: Path, run: Path, state: State, spec: Spec) -> dict[str, Any]:
    """Write both files to `run`; what best_model.json holds.

    Best = lowest FAR over the baseline and all iterations, of equals the earliest. `backbone` is the weights file of
    the spec, or the name of the built-in one. DataError where nothing was measured.
    """
    found = state.best()
    if found is None:
        raise DataError(f"{run}: no iteration was measured, so there is no best model")
    name, one = found
    if not one.best_ckpt_path or one.threshold is None:
        raise DataError(f"{run}: {name} has a FAR, but no checkpoint or threshold")
    checkpoint = at(workspace, one.best_ckpt_path).resolve()
    value = {
        "checkpoint": str(checkpoint),
        "threshold": one.threshold,
        "far_pct": one.far_pct,
        "iteration": name,
        "backbone": str(at(workspace, spec.weights).resolve()) if spec.weights else spec.backbone,
        "images_dir": str(at(workspace, state.config.images_dir).resolve()),
        "training_spec": str(checkpoint.parent / "experiment.yaml"),
    }
    write_text(run / INFERENCE_SPEC, dump_yaml(inference_spec(spec, checkpoint, one.threshold)))
    write_json(run / MODEL, value)  # last: who sees it finds both
    return value


def inference_spec(spec: Spec, checkpoint: Path, threshold: float) -> dict[str, Any]:
    """The model and its input as trained, without training data; rows to judge are left for the user to name."""
    whole = spec.model_dump(mode="json", exclude_defaults=True)
    data = whole.get("dataset", {}).get("classify", {})
    for part in ("train_dataset", "validation_dataset", "test_dataset"):
        data.pop(part, None)
    data["infer_dataset"] = {"csv_path": None, "images_dir": None}
    data["batch_size"] = 1
    data["augmentation_config"] = {**data.get("augmentation_config", {}), "augment": False}
    model = whole.get("model", {})
    model["classify"] = {**model.get("classify", {}), "eval_margin": threshold}
    ours = {k: v for k, v in whole.get("noescape", {}).items() if k not in ("cache_dir", "boxes")}  # of the workspace
    return {
        "task": "classify",
        "model": model,
        "dataset": {"classify": data},
        "train": {"classify": {"loss": spec.train.classify.loss}},
        "inference": {"checkpoint": str(checkpoint)},
        **({"noescape": ours} if ours else {}),
    }
