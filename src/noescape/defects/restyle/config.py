"""The appearance configuration (`augmentation_config.yaml`): typed, every key explained here; unknown keys are errors.

Two forms are read: the flat one below, and the nested cookbooks of image-edit pipelines (see `cookbook`)."""

from __future__ import annotations

import math
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from noescape.defects.restyle.cookbook import flattened, is_cookbook, unknown_keys
from noescape.files import load_yaml, parse_yaml
from noescape.records import UsageError

MODEL = "nvidia/Qwen-Image-Edit-NVPCB-OVSL2SL"
PROMPT = (
    "Show this crop of a circuit board as an inspection camera sees it under raked solder light: dark reddish board, "
    "bright orange-red and blue highlights on the solder, real surface textures. Move nothing."
)
Api = Literal["auto", "nim", "images", "chat"]
Span = tuple[float, float, float]
RESERVED = ("prompt", "image", "model", "messages", "n", "response_format", "stream")  # what a request itself says


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class AlignmentConfig(_Part):
    """How an answer is brought back onto the frame of its input, by mutual information.

    Ranges are `[least, most, step]` of the coarse search; steps are halved after that. `sx_range`, `sy_range`: scale of
    the answer's pixels per input pixel (null: 0.9 to 1.1 of the ratio of the two sizes); `rot_range_deg` in degrees;
    `shift_range` in input pixels (null: a quarter of the longer side) and `shift_step`; `bins` of the joint histogram;
    `pyr_levels` of halving (null: up to 3, not under 32 pixels); `interp` of the final picture; `no_resize` is accepted
    from cookbooks: the scale search always runs. `min_mi`: answers under it are refused (0: none). `enabled` false
    only resizes.
    """

    enabled: bool = True
    sx_range: Span | None = None
    sy_range: Span | None = None
    rot_range_deg: Span = (-1.0, 1.0, 0.1)
    shift_range: Annotated[float, Field(ge=0, le=4096)] | None = None
    shift_step: Annotated[float, Field(gt=0, le=64)] = 2.0
    bins: Annotated[int, Field(ge=8, le=256)] = 64
    pyr_levels: Annotated[int, Field(ge=0, le=6)] | None = None
    interp: Literal["bilinear", "nearest"] = "bilinear"
    no_resize: bool = True
    min_mi: Annotated[float, Field(ge=0)] = 0.0

    @field_validator("sx_range", "sy_range", "rot_range_deg")
    @classmethod
    def _in_order(cls, value: Span | None) -> Span | None:
        if value is not None and not (value[0] <= value[1] and value[2] > 0 and math.dist(value[:1], value[1:2]) <= 90):
            raise ValueError(f"expected [least, most, step] with least <= most and a step over 0, got {list(value)}")
        return value


class ResizeConfig(_Part):
    """The size in which an image is sent (the answer comes back onto its own frame). `target_megapixels` (null: as it
    is), sides rounded to multiples of `grid`, `interp` of the enlargement."""

    target_megapixels: Annotated[float, Field(gt=0, le=16)] | None = None
    grid: Annotated[int, Field(ge=1, le=256)] = 32
    interp: Literal["lanczos", "bilinear"] = "lanczos"


class LocalConfig(_Part):
    """Local transfer, used only when no endpoint is given. `strength` of the change of tone and colour, 0..1; `tone`:
    one map for all images (`set`, which keeps what differs between them) or one for each (`image`); `bands` (texture
    per scale), `blur` and `noise` like the reference's. An image is refused when its geometry moved by `max_shift_px`
    or more, or when its edges agree less than `min_edge_ncc` with those before."""

    strength: Annotated[float, Field(ge=0, le=1)] = 1.0
    tone: Literal["set", "image"] = "set"
    bands: bool = True
    blur: bool = True
    noise: bool = True
    max_shift_px: Annotated[float, Field(gt=0, le=8)] = 0.5
    min_edge_ncc: Annotated[float, Field(ge=0, le=1)] = 0.5


class RestyleConfig(_Part):
    """All of it.

    `endpoint`: address of the image-edit service ("" = none: local transfer); `api` is its wire format (auto: chat,
    then images, then nim, whichever the service has); `model` must be served there (`check_model` false for a service
    that has no list of models, which provenance then says). `prompt`, `num_inference_steps`, `guidance_scale`, `seed`
    and everything in `parameters` go with each request. `retry`: further attempts after the first, waiting
    `backoff_s`, doubled each time. `timeout_s` of one request (null: 120, nim 300), `max_answer_mb` of one answer. The
    key for the service is read from the environment variable `api_key_env`.
    """

    api: Api = "auto"
    endpoint: str = ""
    model: Annotated[str, Field(min_length=1)] = MODEL
    check_model: bool = True
    prompt: Annotated[str, Field(min_length=1)] = PROMPT
    num_inference_steps: Annotated[int, Field(ge=1, le=1000)] = 30
    guidance_scale: Annotated[float, Field(ge=0, le=100)] = 4.0
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    parameters: dict[str, Any] = {"negative_prompt": " "}
    retry: Annotated[int, Field(ge=0, le=20)] = 3
    backoff_s: Annotated[float, Field(ge=0, le=60)] = 1.0
    timeout_s: Annotated[float, Field(gt=0, le=3600)] | None = None
    max_answer_mb: Annotated[float, Field(gt=0, le=1024)] = 64.0
    api_key_env: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] = "IMAGE_EDIT_API_KEY"
    resize: ResizeConfig = ResizeConfig()
    alignment: AlignmentConfig = AlignmentConfig()
    local: LocalConfig = LocalConfig()

    @field_validator("parameters")
    @classmethod
    def _speaks_for_itself(cls, value: dict[str, Any]) -> dict[str, Any]:
        taken = sorted(set(value) & set(RESERVED))
        if taken:
            raise ValueError(f"{', '.join(taken)} cannot be given here: the request sets it")
        return value


def read_config(path: Path) -> RestyleConfig:
    """Read `path`. UsageError with every problem at once; for an unknown key with the nearest known name."""
    return parse_config(load_yaml(path), name=str(path))


def default_config() -> RestyleConfig:
    """The packaged `cookbooks/augmentation_config.yaml`."""
    source = resources.files("noescape.assets") / "cookbooks" / "augmentation_config.yaml"
    return parse_config(parse_yaml(source.read_text("utf-8")), name="augmentation_config.yaml")


def parse_config(value: object, *, name: str) -> RestyleConfig:
    """A configuration from parsed YAML of either form."""
    if value is None:
        value = {}
    if not isinstance(value, dict):
        raise UsageError(f"{name}: expected a map of settings, got {type(value).__name__}")
    problems: list[str] = []
    if is_cookbook(value):
        value = flattened(value, problems)
    try:
        config = RestyleConfig.model_validate(value)
    except ValidationError as error:
        problems += _sentences(error)
        config = RestyleConfig()
    if problems:
        raise UsageError(f"{name}: " + "; ".join(problems))
    return config


def with_changes(config: RestyleConfig, changes: dict[str, Any]) -> RestyleConfig:
    """The configuration with some keys changed, checked anew."""
    return parse_config(config.model_dump(mode="python") | changes, name="the command line")


def _sentences(error: ValidationError) -> list[str]:
    """One for each wrong value, and one for all unknown keys of a part."""
    unknown: dict[tuple[str, ...], list[str]] = {}
    out = []
    for one in error.errors():
        *parents, key = (str(part) for part in one["loc"])
        if one["type"] == "extra_forbidden":
            unknown.setdefault(tuple(parents), []).append(key)
        else:
            got = str(one.get("input"))[:80]
            out.append(f"{'.'.join([*parents, key])}: {one['msg'].removeprefix('Value error, ')}, got {got!r}")
    for place, keys in unknown.items():
        part: Any = RestyleConfig
        for step in place:
            part = part.model_fields[step].annotation
        out += unknown_keys(".".join(place), keys, part.model_fields)
    return out
