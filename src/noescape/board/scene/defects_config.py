"""The `defects` section of a cookbook: which poses are spoilt, how often and how far. mm and degrees."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from noescape.board.scene.strict import Strict

Mode = Literal["shift", "tombstone", "sideflip", "reverse_polarity", "missing"]
MODES: tuple[Mode, ...] = ("shift", "tombstone", "sideflip", "reverse_polarity", "missing")
FLOW_MODES: tuple[Mode, ...] = ("shift", "tombstone", "sideflip")  # what the knob defect_modes may name
Ratio = Annotated[float, Field(gt=0, le=1)]
Types = tuple[Annotated[str, Field(min_length=1)], ...]


class _Mode(Strict):
    """`ratio` is the share of the whole pool that gets this mode; `component_types` narrows who may get it."""

    enabled: bool = True
    ratio: Ratio = 0.2
    component_types: Types | None = None


class Shift(_Mode):
    """Moved by up to `translate_range` mm in x and in y and turned by up to `rotate_z_range` degrees."""

    translate_range: Annotated[float, Field(ge=0, le=100)] = 0.2
    rotate_z_range: Annotated[float, Field(ge=0, le=180)] = 15.0


class Tilt(_Mode):
    """Turned up by an angle between the two, in degrees."""

    angle_min: Annotated[float, Field(ge=0, le=90)] = 70.0
    angle_max: Annotated[float, Field(ge=0, le=90)] = 90.0

    @model_validator(mode="after")
    def _ordered(self) -> Tilt:
        if self.angle_min > self.angle_max:
            raise ValueError(f"angle_min {self.angle_min:g} is above angle_max {self.angle_max:g}")
        return self


class Polarity(_Mode):
    """Turned by 180 degrees; `component_types` says which parts have a polarity and must be given."""

    @model_validator(mode="after")
    def _who(self) -> Polarity:
        if self.enabled and not self.component_types:
            raise ValueError("component_types must name the parts that have a polarity")
        return self


class Missing(_Mode):
    """Taken away; its solder stays."""


class Defects(Strict):
    """Modes in the order in which they choose their parts: that of the file."""

    shift: Shift | None = None
    tombstone: Tilt | None = None
    sideflip: Tilt | None = None
    reverse_polarity: Polarity | None = None
    missing: Missing | None = None
    order: tuple[Mode, ...] = Field(default=(), exclude=True)

    @model_validator(mode="before")
    @classmethod
    def _keep_order(cls, values: object) -> object:
        if not isinstance(values, dict):
            return values
        if "order" in values:
            raise ValueError("unknown key 'order'; the modes choose in the order in which they are written")
        return {**values, "order": tuple(key for key in values if key in MODES)}

    @model_serializer(mode="wrap")
    def _in_order(self, plain: SerializerFunctionWrapHandler) -> dict[str, object]:
        """Written out in the order of the file, so that a copy draws the same."""
        values = plain(self)
        return {mode: values[mode] for mode in self.order if mode in values}

    @property
    def enabled_modes(self) -> tuple[Mode, ...]:
        """In the order in which they choose."""
        return tuple(mode for mode in self.order if (one := getattr(self, mode)) is not None and one.enabled)

    def settings(self, mode: Mode) -> Shift | Tilt | Polarity | Missing:
        """What the file says of a mode that is enabled."""
        found: Shift | Tilt | Polarity | Missing | None = getattr(self, mode)
        if found is None:
            raise KeyError(mode)
        return found
