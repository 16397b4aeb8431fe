"""The newer, flat form of `ag_config.yaml`: where each of its keys stands in the nested one."""

from __future__ import annotations

from typing import Any

# Key of the flat form -> where it stands in the nested one. The section `diffusion` takes what only that form knows.
FLAT = {
    "job_name": "job.name",
    "experiment": "job.group",
    "anomaly_types": "dataloader_train.dataset.anomaly_types",
    "dataset_path": "dataloader_train.dataset.dataset_dir",
    "testcase_jsonl": "dataloader_val.dataset.input_data_path",
    "max_iter": "trainer.max_iter",
    "validation_iter": "trainer.validation_iter",
    "run_validation_on_start": "trainer.run_validation_on_start",
    "logging_iter": "trainer.logging_iter",
    "cycle_lengths": "trainer.cycle_lengths",
    "warm_up_steps": "trainer.warm_up_steps",
    "save_iter": "checkpoint.save_iter",
    "seed": "dataloader_train.dataset.seed",
    "image_size": "dataloader_train.dataset.image_size",
    "ratio_range": "dataloader_train.dataset.ratio_range",
    "batch_size": "dataloader_train.batch_size",
    "num_workers": "dataloader_train.num_workers",
    "validation_batch_size": "dataloader_val.batch_size",
    "lr": "optimizer.lr",
    "betas": "optimizer.betas",
    "eps": "optimizer.eps",
    "weight_decay": "optimizer.weight_decay",
    "early_stop_enabled": "trainer.early_stop.enabled",
    "early_stop_metric": "trainer.early_stop.metric",
    "early_stop_patience": "trainer.early_stop.patience",
    "early_stop_min_delta": "trainer.early_stop.min_delta",
    "early_stop_min_delta_mode": "trainer.early_stop.min_delta_mode",
    "model_size": "diffusion.model_size",
    "per_class_lora_rank": "diffusion.lora_rank",
    "per_class_lora_alpha": "diffusion.lora_alpha",
    "model_input_size": "diffusion.model_input_size",
    "shift": "diffusion.shift",
    "task_type": "",
    "dataset_name": "",
}


def nested(data: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """`data` with the keys of the flat form moved to their places; and where both forms say different things."""
    out = {str(key): value for key, value in data.items() if key not in FLAT}
    problems: list[str] = []
    for key, value in data.items():
        if FLAT.get(key):
            problems += _put(out, FLAT[key], key, value)
    return out, problems


def _put(nested: dict[str, Any], place: str, key: str, value: Any) -> list[str]:
    *parents, last = place.split(".")
    at = nested
    for parent in parents:
        inner = at.setdefault(parent, {})
        if not isinstance(inner, dict):
            return []  # reported where the nested form is checked
        at = inner
    if last in at and at[last] != value:
        return [f"{key} and {place} say different things; keep one of them"]
    at[last] = value
    return []
