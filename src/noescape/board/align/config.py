"""The `registration` section of a `usd2roi_day1.yaml`: typed, unknown keys are errors. Other sections are not ours."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from noescape.files import load_yaml
from noescape.records import UsageError

Span = tuple[float, float, float]
SECTION = "registration"


class AlignConfig(BaseModel):
    """How a photo is laid on its render.

    Ranges are `[least, most, step]`, widened by a step while the last pixels are found. `sx_range`, `sy_range`: photo
    pixels per render pixel across and down (null: 0.9 to 1.1 of the ratio of the sizes); with `no_resize` false they
    are counted from that ratio. `rot_range_deg` in degrees. `shift_range`: photo pixels either way (null: a quarter
    of the photo's longer side). `quarter_turns`: where the photo fits only when turned by 90, 180 or 270 degrees,
    take it so (false: refuse it and say so). `bins` of the histogram. `min_mi`: what `mi_after` must reach (0 or null:
    only that the peak stands out is checked). `shift_step`, `pyr_levels` and `gpu` are accepted from other tools'
    files: every shift is tried, the number of levels follows from the sizes, and no GPU is used.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    sx_range: Span | None = None
    sy_range: Span | None = None
    rot_range_deg: Span = (-6.0, 6.0, 0.1)
    shift_range: Annotated[float, Field(ge=0, le=20_000)] | None = None
    shift_step: Annotated[float, Field(gt=0, le=64)] = 1.0
    pyr_levels: Annotated[int, Field(ge=0, le=8)] | None = None
    bins: Annotated[int, Field(ge=8, le=256)] = 64
    no_resize: bool = True
    quarter_turns: bool = True
    gpu: bool | Literal["auto"] = "auto"
    min_mi: Annotated[float, Field(ge=0)] | None = None

    @field_validator("sx_range", "sy_range", "rot_range_deg")
    @classmethod
    def _in_order(cls, value: Span | None) -> Span | None:
        if value is not None and not (value[0] <= value[1] and value[2] > 0):
            raise ValueError("expected [least, most, step] with least <= most and a step over 0")
        return value

    @field_validator("rot_range_deg")
    @classmethod
    def _a_turn(cls, value: Span) -> Span:
        if max(abs(value[0]), abs(value[1])) > 180:
            raise ValueError("expected degrees within -180 to 180")
        return value

    @field_validator("sx_range", "sy_range")
    @classmethod
    def _a_scale(cls, value: Span | None) -> Span | None:
        if value is not None and not (value[0] >= 0.02 and value[1] <= 50):
            raise ValueError("expected scales of 0.02 to 50 photo pixels per render pixel")
        return value


def read_config(path: Path) -> AlignConfig:
    """The section of the file; UsageError with every problem at once."""
    book = load_yaml(path)
    if not isinstance(book, dict):
        raise UsageError(f"{path}: expected a map with the section {SECTION!r}, got {type(book).__name__}")
    if SECTION not in book:
        raise UsageError(f"{path}: expected a section {SECTION!r} (it may be empty: {SECTION}: {{}})")
    return parse_config(book[SECTION], name=f"{path}: {SECTION}")


def parse_config(value: Any, *, name: str) -> AlignConfig:
    """A configuration from the parsed section."""
    if not isinstance(value, dict | None):
        raise UsageError(f"{name}: expected a map of settings, got {type(value).__name__}")
    try:
        return AlignConfig.model_validate(value or {})
    except ValidationError as error:
        raise UsageError(f"{name}: " + "; ".join(_sentence(one) for one in error.errors())) from None


def _sentence(error: Any) -> str:
    key = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        known = sorted(AlignConfig.model_fields)
        like = difflib.get_close_matches(key, known, 1, cutoff=0.6)
        return f"unknown key {key!r}" + (f", did you mean {like[0]!r}?" if like else f"; known are {', '.join(known)}")
    return f"{key}: {error['msg'].removeprefix('Value error, ')}, got {str(error.get('input'))[:80]!r}"
