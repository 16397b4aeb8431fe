"""The configuration of one run: the cookbook of its use case, with what this run changes in it, checked beforehand."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from noescape.datasets.anomalygen import AnomalyGenDataset, DefectType
from noescape.datasets.anomalygen_spec import SPEC_FILE, DefectSpec, read_spec
from noescape.defects.cookbook import CONFIG_FILE, ag_config
from noescape.defects.generators.checkpoints import open_checkpoint
from noescape.defects.generators.recipe import Recipe, checked_recipe, read_recipe
from noescape.defects.generators.recipe_flat import nested
from noescape.files import dump_row, dump_yaml, load_yaml, safe_name, write_json, write_text
from noescape.records import UsageError

COUNTS_FILE = "validation_counts.json"
ADAPTER_LR = 5e-4  # cookbooks name the rate for embeddings, which adapters do not survive
VALIDATION_CASES = "validation/validation.jsonl"  # where a training looks for them, from where it runs


@dataclass(frozen=True, kw_only=True)
class Rendering:
    """What a run asks for: `types` () takes those of the cookbook, else of the data set; `model_size` is given where
    the diffusion generator is to be trained."""

    usecase: str
    types: tuple[str, ...] = ()
    default_dependency: str = "free"
    model_size: str | None = None


def render(dataset: AnomalyGenDataset, asked: Rendering, out: Path) -> tuple[str, ...]:
    """Write ag_config.yaml, defect_spec.jsonl and validation_counts.json for this run into `out`; the type keys.

    The cookbook is the data set's own ag_config.yaml, else the one that ships for the use case, else the default one
    for the types of the data set. Changed in it: the names of the job, the types, the place of the validation's test
    cases, the diffusion section; early stopping is taken out. Where a type may lie: the data set's defect_spec.jsonl,
    else the cookbook's, else `default_dependency`. UsageError names types that the data set has not.
    """
    dataset.require_usable()
    cookbook = cookbook_of(dataset.root, asked.usecase)
    data = _config(cookbook, asked.usecase, dataset)
    recipe = checked_recipe(data, str(cookbook or "the default cookbook"))
    kinds = _types(dataset, asked.types or recipe.anomaly_types)
    pairs = [[kind.texture, kind.name] for kind in kinds]
    data.setdefault("job", {}).update(group=asked.usecase, name=_job_name(asked, recipe))
    data.setdefault("trainer", {}).pop("early_stop", None)
    data.setdefault("dataloader_train", {}).setdefault("dataset", {}).update(anomaly_types=pairs)
    data.setdefault("dataloader_val", {}).setdefault("dataset", {}).update(input_data_path=VALIDATION_CASES)
    if asked.model_size is not None:
        data["diffusion"] = {"lr": ADAPTER_LR, **data.get("diffusion", {}), "model_size": asked.model_size}
    checked_recipe(data, "the rendered cookbook")
    specs = {**_shipped_spec(cookbook), **dataset.spec}
    default = DefectSpec(spatial_dependency=asked.default_dependency)
    rows = [_row(kind.key, specs.get(kind.key, default)) for kind in kinds]
    write_text(out / CONFIG_FILE, dump_yaml(data))
    write_text(out / SPEC_FILE, "".join(dump_row(row) + "\n" for row in rows))
    write_json(out / COUNTS_FILE, {kind.key: max(1, recipe.exemplar.validation_images) for kind in kinds})
    return tuple(kind.key for kind in kinds)


def cookbook_of(raw: Path, usecase: str) -> Path | None:
    """The cookbook's folder: that of the data set, where it has an ag_config.yaml, else the one that ships."""
    if (raw / CONFIG_FILE).is_file():
        return raw
    shipped = Path(str(files("noescape.assets"))) / "cookbooks" / safe_name(usecase)
    return shipped if shipped.name == usecase and (shipped / CONFIG_FILE).is_file() else None


def check_checkpoint(folder: Path, step: int | None, types: Sequence[str]) -> int:
    """The step of the checkpoint that will be used. BundleError where it is not there; UsageError for types that it
    does not know."""
    opened = open_checkpoint(folder, step)
    known = opened.meta.get("anomaly_types")
    strange = [key for key in types if isinstance(known, list) and key not in known]
    if strange:
        raise UsageError(
            f"{folder}, step {opened.number}, does not know {', '.join(strange)}; it has {', '.join(known or [])}. Ask "
            "for those (anomaly_types_json), or finetune anew (use_pretrained_checkpoint=false)"
        )
    return opened.number


def _config(cookbook: Path | None, usecase: str, dataset: AnomalyGenDataset) -> dict[str, Any]:
    if cookbook is None:
        return ag_config(usecase, [(kind.texture, kind.name) for kind in dataset.types])
    read_recipe(cookbook / CONFIG_FILE)  # its errors name the file
    data = load_yaml(cookbook / CONFIG_FILE)
    return nested(data)[0] if isinstance(data, dict) else {}


def _types(dataset: AnomalyGenDataset, wanted: Sequence[str]) -> list[DefectType]:
    known = {kind.key: kind for kind in dataset.types}
    lost = [key for key in wanted if key not in known]
    if lost:
        near = [n for key in lost for n in difflib.get_close_matches(key, known, 1)]
        hint = f"; did you mean {', '.join(near)}?" if near else ""
        raise UsageError(f"the data set has no {', '.join(lost)}; it has {', '.join(known)}{hint}")
    return [known[key] for key in sorted(set(wanted or known))]


def _job_name(asked: Rendering, recipe: Recipe) -> str:
    edge = recipe.dataloader_train.dataset.image_size
    batch = recipe.dataloader_train.batch_size
    size = f"{asked.model_size or '2b'}_{edge[0]}x{edge[1]}"
    return f"{asked.usecase}_training_FP32_lr{recipe.optimizer.lr:g}_bs={batch}_{size}"


def _shipped_spec(cookbook: Path | None) -> Mapping[str, DefectSpec]:
    path = cookbook / SPEC_FILE if cookbook else None
    return read_spec(path, lambda code, what: None) if path is not None and path.is_file() else {}


def _row(key: str, spec: DefectSpec) -> dict[str, Any]:
    row = {"defect_type": key, "spatial_dependency": spec.spatial_dependency}
    return {**row, "roi_prompt_defect_location": spec.prompt} if spec.prompt else row
