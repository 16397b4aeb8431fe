"""Everything that decides what a map network becomes, apart from the pairs it is trained on."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from noescape.changenet.register import KINDS
from noescape.records import DataError, UsageError

PRECISIONS = ("auto", "f32", "bf16")


@dataclass(frozen=True, kw_only=True)
class MapRecipe:
    """How a map network is made and trained; the defaults are the measured recipe.

    `nets` networks are trained one after the other, each from its own seed and for `steps` steps of `batch` crops, and
    their maps are averaged; on the panel where two were tried, one was as good. `width` scales the channels of the
    layers; the three shares are those of the augmentation. Where bf16 is native, `precision` "auto" trains with it,
    2.8 times as fast; inference is always f32. `cell` is in pixels, `level` the grey value over which a pixel is light,
    `registration` as for `register`.
    """

    nets: int = 1
    steps: int = 1500
    batch: int = 32
    rate: float = 3e-3
    decay: float = 2e-2
    width: float = 1.0
    shift_share: float = 0.4
    width_share: float = 0.4
    invert_share: float = 0.5
    cell: int = 64
    level: int = 127
    registration: str = "blocks"
    precision: str = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("nets", "steps", "batch"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name}: expected a number from 1, got {getattr(self, name)}")
        if self.batch < 8:
            raise UsageError(f"batch: expected at least 8 crops, got {self.batch}")
        if self.cell < 8 or self.cell % 8:
            raise UsageError(f"cell: expected a multiple of 8 pixels, got {self.cell}")
        if self.precision not in PRECISIONS:
            raise UsageError(f"precision {self.precision!r}: expected one of {', '.join(PRECISIONS)}")
        if self.registration not in KINDS:
            raise UsageError(f"registration {self.registration!r}: expected one of {', '.join(KINDS)}")
        if not 0 <= self.level < 255:
            raise UsageError(f"level: expected a grey value from 0 to 254, got {self.level}")
        for name in ("shift_share", "width_share", "invert_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"{name}: expected a share from 0 to 1, got {getattr(self, name)}")

    def to_json(self) -> dict[str, Any]:
        """A plain dictionary."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: object) -> MapRecipe:
        """Back from `to_json`; DataError for a missing, unknown or ill-typed field."""
        known = {f.name: type(f.default) for f in fields(cls)}
        if not isinstance(value, dict) or set(value) != set(known):
            raise DataError(f"recipe: expected exactly the fields {', '.join(known)}")
        for name, kind in known.items():
            fits = isinstance(value[name], (int, float) if kind is float else kind)
            if not fits or isinstance(value[name], bool):
                raise DataError(f"recipe: {name} must be {kind.__name__}, got {value[name]!r}")
        return cls(**value)
