"""The section `diffusion` of a recipe."""

from __future__ import annotations

import difflib
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from noescape.defects.generators.recipe import Recipe
from noescape.records import UsageError

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
MOST_LR = 5e-3  # the originals train embeddings alone with .02; an adapter of attention layers does not survive that


class DiffusionOptions(BaseModel):
    """How the adapters are trained and used.

    `model` is the folder or the hub id of an inpainting model with a nine-channel UNet (Stable Diffusion inpainting,
    SDXL inpainting), with safetensors weights; only local files are used unless `allow_download`.
    `prompts` gives a text per type key; others get `prompt`, where {texture} and {type} are replaced.
    `tokens` learnt vectors per type are appended to the text's; `prompt_noise` is the spread of the noise on all of
    them, relative to their root mean square, while training and while drawing; with `condition_dropout` a picture is
    learnt without them, which is what guidance compares with. Loss: 1 in the mask, `outside_weight` elsewhere.
    `holdout` of each type's images (at least five of them) only validate; `validation_crops` views of each image with
    fixed noise give `masked_loss`, `validation_images` drawn per type give `nn_score` (0: none).
    `lr` stands in for `optimizer.lr`. `deterministic` asks torch for repeatable kernels, also on a GPU.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, protected_namespaces=())

    model: str | None = None
    revision: str | None = None
    variant: str | None = None
    allow_download: bool = False
    lora_rank: Annotated[int, Field(ge=1, le=256)] = 8
    lora_alpha: Annotated[float, Field(gt=0)] | None = None
    targets: tuple[str, ...] = ("to_q", "to_k", "to_v", "to_out.0")
    tokens: Annotated[int, Field(ge=0, le=64)] = 4
    prompt: str = "a close-up photo of {texture} with {type}"
    prompts: dict[str, str] = {}
    prompt_noise: Annotated[float, Field(ge=0)] = 0.05
    condition_dropout: Share = 0.1
    outside_weight: Share = 0.2
    lr: Annotated[float, Field(gt=0)] | None = None
    clip_norm: Annotated[float, Field(gt=0)] = 1.0
    holdout: Share = 0.2
    validation_crops: Annotated[int, Field(ge=1)] = 4
    validation_images: Count = 4
    validation_steps: Annotated[int, Field(ge=1)] = 20
    precision: Literal["auto", "bf16", "f32"] = "auto"
    gradient_checkpointing: bool = True
    deterministic: bool = True
    # Known from the originals' flat recipes; what they say comes with the model itself here.
    model_size: Any = None
    model_input_size: Any = None
    shift: Any = None

    @property
    def alpha(self) -> float:
        """The adapter's scale times its rank."""
        return float(self.lora_rank) if self.lora_alpha is None else self.lora_alpha

    def words(self, key: str) -> str:
        """The text that describes the type `key`."""
        texture, _, kind = key.partition("+")
        text = self.prompts.get(key) or self.prompt
        return text.replace("{texture}", _plain(texture)).replace("{type}", _plain(kind))


def diffusion_options(recipe: Recipe) -> DiffusionOptions:
    """The checked section `diffusion`; UsageError with everything that is wrong in it."""
    try:
        options = DiffusionOptions.model_validate(recipe.diffusion)
    except ValidationError as error:
        lines = "\n".join(f"  - {_explain(problem)}" for problem in error.errors())
        raise UsageError(f"the recipe's section diffusion cannot be used:\n{lines}") from None
    problems = []
    if not options.model:
        problems.append(
            "diffusion.model: expected the folder or hub id of an inpainting model (nine-channel UNet), for example "
            "stable-diffusion-v1-5/stable-diffusion-inpainting; nothing is fetched unless diffusion.allow_download"
        )
    if options.lr is None and recipe.optimizer.lr > MOST_LR:
        problems.append(
            f"optimizer.lr {recipe.optimizer.lr:g} is meant for embeddings; an adapter diverges with it: set "
            f"diffusion.lr (1e-4 to 1e-3), or optimizer.lr to at most {MOST_LR:g}"
        )
    size = recipe.dataloader_train.dataset.image_size
    if size[0] != size[1] or size[0] % 8:
        problems.append(f"image_size: expected a square with sides divisible by 8, got {size[0]} x {size[1]}")
    low, high = recipe.dataloader_train.dataset.ratio_range
    if not 1 <= low <= high:
        problems.append(f"ratio_range: expected 1 <= low <= high, got {low:g} and {high:g}")
    if problems:
        raise UsageError("\n".join(["the recipe cannot be used by diffusion:", *(f"  - {p}" for p in problems)]))
    return options


def _plain(text: str) -> str:
    return " ".join(text.replace("_", " ").split())


def _explain(problem: Any) -> str:
    where = ".".join(str(part) for part in problem["loc"])
    if problem["type"] != "extra_forbidden":
        return f"diffusion.{where}: {problem['msg']}, got {problem['input']!r}"
    near = difflib.get_close_matches(where, DiffusionOptions.model_fields, 1, cutoff=0.5)
    return f"unknown key diffusion.{where}" + (f"; did you mean {near[0]}?" if near else "")
