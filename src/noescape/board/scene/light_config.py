"""The `lighting` section of a cookbook: ranges from which each frame's light is drawn."""

from __future__ import annotations

from pydantic import Field, model_validator

from noescape.board.scene.strict import Strict

Range = tuple[float, float]
DOMINANT: Range = (0.95, 1.0)
OTHERS: Range = (0.0, 0.05)
_NAMES = ("intensity", "color_r", "color_g", "color_b")


class Lamp(Strict):
    """Ranges of one lamp; intensities count against each other and against the middle of the range, see draw_lights."""

    intensity: Range
    color_r: Range = (0.8, 1.0)
    color_g: Range = (0.8, 1.0)
    color_b: Range = (0.8, 1.0)

    @model_validator(mode="after")
    def _ordered(self) -> Lamp:
        for name in _NAMES:
            low, high = getattr(self, name)
            if not 0 <= low <= high:
                raise ValueError(f"{name} must be two numbers from 0, the lower first, got [{low:g}, {high:g}]")
        if self.intensity[1] <= 0:
            raise ValueError("intensity must reach above 0")
        return self


def _layers() -> dict[str, Lamp]:
    return {
        "Inner_Red": Lamp(intensity=(5000, 8000), color_r=DOMINANT, color_g=OTHERS, color_b=OTHERS),
        "Middle_Green": Lamp(intensity=(2000, 4000), color_r=OTHERS, color_g=DOMINANT, color_b=OTHERS),
        "Outer_Blue": Lamp(intensity=(3000, 6000), color_r=OTHERS, color_g=OTHERS, color_b=DOMINANT),
    }


class Lighting(Strict):
    """`ring_light`: three coloured rings (solder light) or, without it, white light from everywhere above.

    `exposure_range` in stops, `cone_angle_range` in degrees, `cone_softness_range` 0..1.
    """

    ring_light: bool = True
    exposure_range: Range = (0.01, 1.0)
    cone_angle_range: Range = (90.0, 150.0)
    cone_softness_range: Range = (0.5, 1.0)
    layers: dict[str, Lamp] = Field(default_factory=_layers)
    white_light: Lamp = Lamp(intensity=(3000, 8000))

    @model_validator(mode="after")
    def _sane(self) -> Lighting:
        limits = {"exposure_range": (-20, 20), "cone_angle_range": (1, 180), "cone_softness_range": (0, 1)}
        for name, (least, most) in limits.items():
            low, high = getattr(self, name)
            if not least <= low <= high <= most:
                raise ValueError(
                    f"{name} must be two numbers of {least}..{most}, the lower first, got [{low:g}, {high:g}]"
                )
        if self.ring_light and not self.layers:
            raise ValueError("ring_light: true needs layers")
        return self
