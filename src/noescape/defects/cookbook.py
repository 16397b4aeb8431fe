"""A cookbook: how a generator is to be fitted for one use case, and where its defects may lie."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from noescape.datasets.anomalygen import AnomalyGenDataset
from noescape.datasets.anomalygen_spec import SPEC_FILE, DefectSpec
from noescape.files import dump_row, dump_yaml, write_text
from noescape.records import DataError

CONFIG_FILE = "ag_config.yaml"
STEPS, SAVE_EVERY = 10000, 2000


def new_cookbook(name: str, dataset: AnomalyGenDataset, folder: Path, *, replace: bool = False) -> list[Path]:
    """Write `ag_config.yaml` and `defect_spec.jsonl` for the types of `dataset` into `folder`; the two paths.

    Types that the data set's own specification does not name are `free`. DataError when the data set has fatal
    problems, or when there is a cookbook already and `replace` is not asked for.
    """
    dataset.require_usable()
    files = [folder / CONFIG_FILE, folder / SPEC_FILE]
    there = [path.name for path in files if path.exists()]
    if there and not replace:
        raise DataError(f"{folder}: there is a cookbook already ({', '.join(there)}); replace it with --replace")
    rows = []
    for kind in dataset.types:
        spec = dataset.spec.get(kind.key, DefectSpec(spatial_dependency="free"))
        row = {"defect_type": kind.key, "spatial_dependency": spec.spatial_dependency}
        rows.append({**row, "roi_prompt_defect_location": spec.prompt} if spec.prompt else row)
    write_text(files[0], dump_yaml(ag_config(name, [(kind.texture, kind.name) for kind in dataset.types])))
    write_text(files[1], "".join(dump_row(row) + "\n" for row in rows))
    return files


def ag_config(name: str, types: list[tuple[str, str]]) -> dict[str, Any]:
    """The configuration of a use case, with the defaults of those that ship; `types` are (texture, type)."""
    pairs = [list(pair) for pair in types]
    return {
        "job": {
            "project": "anomaly_gen",
            "group": name,
            "name": f"{name}_training_FP32_lr0.02_bs=2_2b_512x512",
        },
        "optimizer": {"lr": 0.02},
        "checkpoint": {"save_iter": SAVE_EVERY},
        "trainer": {
            "max_iter": STEPS,
            "logging_iter": 10,
            "run_validation": True,
            "validation_iter": SAVE_EVERY,
        },
        "dataloader_train": {
            "batch_size": 2,
            "dataset": {
                "dataset_dir": f"datasets/{name}/raw",
                "image_size": [512, 512],
                "anomaly_types": pairs,
                "seed": 1,
                "data_augprob": 0.5,
                "aug_type": "random_ratio_crop",
                "ratio_range": [1.5, 8.0],
            },
        },
        "dataloader_val": {"batch_size": 32, "dataset": {"input_data_path": "/tmp/validation/validation.jsonl"}},  # noqa: S108
        "model": {
            "config": {
                "ag_config": {
                    "ad_precision": "float32",
                    "anomaly_embedding": {"anomaly_types": [list(pair) for pair in types], "freeze": False},
                }
            }
        },
        # Adapters learn at other rates than an embedding table.
        "diffusion": {"lr": 0.0005},
    }
