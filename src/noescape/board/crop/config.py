"""The crop configuration (`day0_crop.yaml`, or the `crop:` section of a day-1 one): typed, unknown keys are errors."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from noescape.board.crop.frames import ALIGNED
from noescape.board.crop.palette import GROUND
from noescape.files import load_yaml, safe_name
from noescape.records import UsageError

BRIDGE, FALLBACK = "bridge", "component"
# What other stages read from the same file.
ELSEWHERE = (
    "scene", "scene_filename", "semantics", "camera", "camera_path", "camera_xform_path", "ring_light_root",
    "pcba_root", "resolution", "writer", "real_image", "registration", "lighting", "pathtracing", "seed",
    "random_seed", "scan_grid", "pipeline_type",
)  # fmt: skip
Pixels = Annotated[int, Field(ge=0, le=1 << 28)]


class CropConfig(BaseModel):
    """The section `crop`.

    `source`: the folder of frames (null: every trigger_*; `aligned`: a photo laid on its render); `pattern`: glob over
    the names of cells. `classes`: a region is cropped if it holds a pixel of one of these (classes or kinds of defect).
    `morph_kernel`: radius in pixels of the closing that joins labelled pixels. Regions are left out under `min_area`
    or over `max_area` pixels, when they touch the border of the picture (`edge_skip`), and when less than
    `min_coverage` of the padded box is labelled; boxes are padded by `offset` pixels. `max_emit`: most crops per
    material and cell. `class_dirs`: class -> material, the folder that its crops go to; others go to `component`.
    `bridge`: also crop pairs of regions at most `bridge_dis` pixels apart (`bridge_classes`: only among these).
    `ground_classes` are what everything lies on: labelled, but no part of any region.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    source: str | None = None
    pattern: str | None = None
    classes: Annotated[tuple[str, ...], Field(min_length=1)]
    morph_kernel: Annotated[int, Field(ge=0, le=100)] = 2
    min_area: Pixels = 50
    max_area: Pixels | None = None
    offset: Annotated[int, Field(ge=0, le=10_000)] = 10
    edge_skip: bool = True
    min_coverage: Annotated[float, Field(ge=0, le=1)] = 0.2
    max_emit: Annotated[int, Field(ge=1)] | None = None
    class_dirs: dict[str, str] = {}
    bridge: bool = False
    bridge_dis: Annotated[float, Field(ge=0, le=10_000)] = 20
    bridge_classes: tuple[str, ...] = ()
    ground_classes: tuple[str, ...] = GROUND

    @field_validator("classes", "bridge_classes", "ground_classes")
    @classmethod
    def _lower(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(name.strip().lower() for name in value)

    @field_validator("bridge_classes", mode="before")
    @classmethod
    def _none_is_any(cls, value: Any) -> Any:
        return () if value is None else value

    @field_validator("class_dirs", mode="before")
    @classmethod
    def _none_is_empty(cls, value: Any) -> Any:
        return {} if value is None else value

    @field_validator("class_dirs")
    @classmethod
    def _folders(cls, value: dict[str, str]) -> dict[str, str]:
        for material in value.values():
            if safe_name(material) != material or material.casefold() == BRIDGE:
                raise ValueError(f"{material!r} cannot be the folder of a material; use letters, digits, '_', '-'")
        return {key.strip().lower(): material for key, material in value.items()}

    def material(self, kind: str) -> str:
        """The folder for crops of a class."""
        return self.class_dirs.get(kind, FALLBACK)


def read_crop_config(path: Path) -> CropConfig:
    """Read `path`. UsageError with every problem at once; for an unknown key with the nearest known name."""
    return parse_crop_config(load_yaml(path), name=str(path))


def parse_crop_config(value: object, *, name: str) -> CropConfig:
    """A configuration from parsed YAML; sections of other stages are passed over."""
    if not isinstance(value, dict) or not isinstance(value.get("crop"), dict):
        raise UsageError(f"{name}: expected a section `crop:` with at least `classes: [capacitor, …]`")
    known = ("crop", "output", *ELSEWHERE)
    problems = [_unknown(str(key), "", known) for key in value if key not in known]
    output = value.get("output")
    if output is not None and not (isinstance(output, dict) and set(output) <= {"dir"}):
        problems.append(f"output: expected `dir: …` alone, got {str(output)[:80]}")
    config = None
    try:
        config = CropConfig.model_validate(value["crop"])
    except ValidationError as error:
        problems += [_sentence(one) for one in error.errors()]
    if problems or config is None:
        raise UsageError(f"{name}: " + "; ".join(problems))
    return config


def refuse_crop_max_emit(given: object, kind: str) -> None:
    """`crop_max_emit` where nothing caps crops: kind `structural` or `day1`. None and "" mean: not given."""
    if given is None or given == "":
        return
    instead = {
        "structural": "each spoilt part gives one crop; make fewer with render_patches or defect_modes",
        "day1": "the crops are those of one photo; narrow them by crop.classes of usd2roi_day1.yaml",
    }
    raise UsageError(f"crop_max_emit {given!r} does not exist here: {instead[kind]}")


def with_max_emit(config: CropConfig, text: str | None) -> CropConfig:
    """The configuration under the knob `crop_max_emit`: "" (or None) keeps its own cap, "null" removes it, a whole
    number of at least 1 replaces it. UsageError for anything else."""
    if config.source == ALIGNED:
        refuse_crop_max_emit(text, "day1")
    if text is None or text == "":
        return config
    if text.strip().lower() in ("null", "none"):
        return config.model_copy(update={"max_emit": None})
    if not text.strip().isascii() or not text.strip().isdigit() or len(text) > 9 or int(text) < 1:
        raise UsageError(
            f"crop_max_emit: expected a whole number of at least 1 (crops per material and cell), null (no cap) or "
            f'"" (the cookbook\'s own), got {text!r}'
        )
    return config.model_copy(update={"max_emit": int(text)})


def _sentence(error: Any) -> str:
    place = [str(part) for part in error["loc"]]
    key = ".".join(["crop", *place])
    if error["type"] == "extra_forbidden":
        return _unknown(place[-1], "crop.", CropConfig.model_fields)
    got = "" if error["type"] == "missing" else f", got {str(error.get('input'))[:80]!r}"
    return f"{key}: {error['msg'].removeprefix('Value error, ')}{got}"


def _unknown(key: str, prefix: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(key, list(known), 1)
    hint = f"did you mean {prefix + near[0]!r}?" if near else f"known are {', '.join(known)}"
    return f"unknown key {prefix + key!r}; {hint}"
