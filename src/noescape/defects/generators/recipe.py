"""`ag_config.yaml`: the recipe of a finetuning, in the nested form of the originals or in their newer flat one.

All keys of both are known, also those that only mean something to one generator; any other key is an error that names
the nearest one. Two sections are ours: `exemplar` and `diffusion`.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from noescape.datasets.anomalygen import AnomalyGenDataset, DefectType
from noescape.defects.generators.recipe_flat import FLAT, nested
from noescape.files import load_yaml
from noescape.records import UsageError

Pair = tuple[str, str]
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
StepNumber = Annotated[int, Field(ge=1, le=999_999_999)]  # as many digits as the name of a saved step has


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Job(_Part):
    """Names of the run."""

    project: str = "anomaly_gen"
    group: str = ""
    name: str = ""


class Optimizer(_Part):
    """AdamW."""

    lr: Annotated[float, Field(gt=0)] = 1e-3
    betas: tuple[float, float] = (0.9, 0.95)
    eps: float = 1e-6
    weight_decay: Annotated[float, Field(ge=0)] = 0.0


class Saving(_Part):
    """When steps are saved."""

    save_iter: Positive = 1000


class EarlyStop(_Part):
    """When training ends before max_iter."""

    enabled: bool = False
    metric: str = "nn"
    patience: Positive = 5
    min_delta: float = 0.0
    min_delta_mode: Annotated[str, Field(pattern="^(rel|abs)$")] = "rel"


class Trainer(_Part):
    """How long, and how often it is looked at."""

    max_iter: StepNumber = 15000
    logging_iter: Positive = 10
    validation_iter: Positive = 1000
    run_validation: bool = True
    run_validation_on_start: bool = False
    cycle_lengths: Count | None = None
    warm_up_steps: Count = 0
    early_stop: EarlyStop = EarlyStop()


class TrainSet(_Part):
    """What is learnt from."""

    dataset_dir: str | None = None
    image_size: tuple[Positive, Positive] = (512, 512)
    anomaly_types: tuple[Pair, ...] = ()
    seed: Count = 1
    data_augprob: Annotated[float, Field(ge=0, le=1)] = 0.5
    aug_type: str = "random_ratio_crop"
    ratio_range: tuple[float, float] = (1.5, 8.0)


class TrainLoader(_Part):
    """Batches to learn from."""

    batch_size: Positive = 4
    num_workers: Count = 0
    dataset: TrainSet = TrainSet()


class ValSet(_Part):
    """The test cases of the validation."""

    input_data_path: str | None = None


class ValLoader(_Part):
    """Batches of the validation."""

    batch_size: Positive = 16
    dataset: ValSet = ValSet()


class Embedding(_Part):
    """What the originals learn per type."""

    anomaly_types: tuple[Pair, ...] = ()
    freeze: bool = False


class InitCfg(_Part):
    """Where an encoder's weights come from."""

    checkpoint: str | None = None


class EncoderConfig(_Part):
    """The originals' mask encoder."""

    init_cfg: InitCfg = InitCfg()


class MaskEncoder(_Part):
    """The originals' mask encoder."""

    encoder_config: EncoderConfig = EncoderConfig()


class AgConfig(_Part):
    """The originals' model."""

    ad_precision: str = "float32"
    t5_model_name: str | None = None
    anomaly_embedding: Embedding = Embedding()
    mask_encoder: MaskEncoder = MaskEncoder()


class ModelConfig(_Part):
    """The originals' model."""

    ag_config: AgConfig = AgConfig()


class Model(_Part):
    """The originals' model."""

    config: ModelConfig = ModelConfig()


class ExemplarOptions(_Part):
    """The exemplar generator: `arms` gives weights per type key, or "*" for all types but those called missing:
    {"*": {transplant: 2, perlin: 1}} (none: the mix by the type's size, see `mix.MIX`);
    `strength` is the range of the defect's contrast over the exemplar's own, at guidance 7; `jitter` also changes the
    light of the whole picture and flips it (the clean twin alike)."""

    arms: dict[str, dict[str, Annotated[float, Field(ge=0)]]] = {}
    strength: tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]] = (0.7, 1.3)
    jitter: bool = False
    step: StepNumber | None = None
    validation_images: Count = 4

    @field_validator("strength")
    @classmethod
    def _in_order(cls, value: tuple[float, float]) -> tuple[float, float]:
        if value[0] > value[1]:
            raise ValueError("expected the smaller number first")
        return value


class Recipe(_Part):
    """One finetuning. `diffusion` is read by that generator."""

    job: Job = Job()
    optimizer: Optimizer = Optimizer()
    checkpoint: Saving = Saving()
    trainer: Trainer = Trainer()
    dataloader_train: TrainLoader = TrainLoader()
    dataloader_val: ValLoader = ValLoader()
    model: Model = Model()
    exemplar: ExemplarOptions = ExemplarOptions()
    diffusion: dict[str, Any] = {}

    @property
    def anomaly_types(self) -> tuple[str, ...]:
        """The keys "TEXTURE+TYPE" to learn; empty means all that the data set has."""
        pairs = (
            self.dataloader_train.dataset.anomaly_types or self.model.config.ag_config.anomaly_embedding.anomaly_types
        )
        return tuple(dict.fromkeys(f"{texture}+{kind}" for texture, kind in pairs))


def read_recipe(path: Path) -> Recipe:
    """The recipe in the YAML file `path`. UsageError with all that is wrong, and for unknown keys the nearest."""
    data = load_yaml(path)
    if not isinstance(data, dict):
        raise UsageError(f"{path}: expected a recipe (names and values), got {type(data).__name__}")
    return checked_recipe(data, str(path))


def checked_recipe(data: dict[str, Any], name: str = "recipe") -> Recipe:
    """The recipe that `data` describes; see `read_recipe`."""
    moved, problems = nested(data)
    try:
        recipe = Recipe.model_validate(moved)
    except ValidationError as error:
        problems += [_explain(problem) for problem in error.errors()]
    if problems:
        raise UsageError("\n".join([f"{name} is not a recipe that can be used:", *(f"  - {p}" for p in problems)]))
    return recipe


def with_step(recipe: Recipe, step: int | None) -> Recipe:
    """The recipe with another number for the exemplar generator's step."""
    if step is None:
        return recipe
    if not 1 <= step < 10**9:
        raise UsageError(f"--step: expected 1 to 999999999, got {step}")
    return recipe.model_copy(update={"exemplar": recipe.exemplar.model_copy(update={"step": step})})


def checked_types(recipe: Recipe, dataset: AnomalyGenDataset) -> tuple[DefectType, ...]:
    """The types of the data set that the recipe asks for; UsageError naming those that the data set has not."""
    known = {kind.key: kind for kind in dataset.types}
    wanted = recipe.anomaly_types or tuple(known)
    unknown = [key for key in wanted if key not in known]
    if unknown:
        raise UsageError(f"the recipe asks for {', '.join(unknown)}; the data set has {', '.join(known) or 'none'}")
    return tuple(known[key] for key in wanted)


def _explain(problem: Any) -> str:
    place = [str(p) for p in problem["loc"]]
    where = ".".join(place)
    if problem["type"] != "extra_forbidden":
        return f"{where}: {problem['msg']}, got {problem['input']!r}"
    known = _keys(place[:-1])
    near = difflib.get_close_matches(place[-1], known, 1, cutoff=0.5)
    return f"unknown key {where}; " + (f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}")


def _keys(parents: list[str]) -> list[str]:
    model: Any = Recipe
    for parent in parents:
        field = model.model_fields.get(parent)
        if field is None or not (isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)):
            return []
        model = field.annotation
    return [*model.model_fields, *([] if parents else FLAT)]
