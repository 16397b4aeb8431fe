"""The light of a frame, drawn from a cookbook's ranges: three coloured rings (solder light), or white from above.

What the numbers of a cookbook become:

- An ideal white surface, lying flat under the middle of all ranges, sends out 0.75 (linear; the mean of red, green and
  blue), which is 225 of 255 in the picture. Real whites and blank solder stay just under full scale.
- `intensity` counts against the middle of its range, and the layers of a ring light against each other: a layer with
  twice the intensity gives twice the light. Absolute numbers mean nothing, so that cookbooks written for other
  renderers, whose intensities differ by a factor of 20, expose alike.
- `exposure` is in stops round the middle of its range: +1 doubles the light.
- `cone_angle` and `cone_softness` make the lamps broader (120 degrees and 0.75 are the width of the rig): broad lamps
  give broad, soft highlights. The amount of light on the board stays as it is.
- A ring's radiance follows from the light that it is to put on the middle of the field: with radius R, width w,
  height z and d^2 = R^2 + z^2, a band that faces the middle sends B = 2 R w z radiance / d^3 back from white.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from noescape.board.model import Camera, Dome, Light, Ring, Vector
from noescape.board.scene.config import RenderConfig
from noescape.board.scene.light_config import Lamp, Range
from noescape.board.scene.things import StageLights
from noescape.records import UsageError

WHITE = 0.75  # linear, of an ideal white surface under the middle of all ranges
DOME_MM = 80.0  # the rings lie on a half sphere of this radius, larger over larger fields
DOME_FIELDS = 1.5
ELEVATIONS = {"Inner_Red": 70.0, "Middle_Green": 48.0, "Outer_Blue": 22.0}  # degrees above the board
WIDTH = 0.2  # of the half sphere's radius, at the middle cone and softness
MIDDLE_CONE, MIDDLE_SOFTNESS = 120.0, 0.75
Rgb = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Lit:
    """The lights of a frame and what was drawn for them, as metadata keeps it."""

    lights: tuple[Light, ...]
    record: Mapping[str, Any]


def draw_lights(
    config: RenderConfig, rng: np.random.Generator, *, camera: Camera | None = None, stage: StageLights | None = None
) -> Lit:
    """The lights over a camera (None: over the origin). Takes the same number of values from `rng` in every mode.

    With `use_scene_lights` nothing is drawn: the stage's own lights are taken, made white unless
    `preserve_scene_light_color`; rings and light from above share the exposure evenly where the stage has both.
    UsageError where the stage then has none.
    """
    lighting = config.lighting
    exposure, cone, softness = (
        float(rng.uniform(*r))
        for r in (lighting.exposure_range, lighting.cone_angle_range, lighting.cone_softness_range)
    )
    layers = {name: _lamp(lamp, rng) for name, lamp in lighting.layers.items()}
    white = _lamp(lighting.white_light, rng)
    if config.use_scene_lights:
        return _of_stage(stage or StageLights(), config.preserve_scene_light_color, camera)
    gain = 2.0 ** (exposure - _middle(lighting.exposure_range))
    said = {"exposure": exposure, "cone_angle": cone, "cone_softness": softness}
    if not lighting.ring_light:
        level = white.light * gain * 3 / _middle_light(lighting.white_light).sum() * WHITE
        dome = Dome(name="white_light", radiance=_vector(level))
        return Lit(lights=(dome,), record={"ring_light": False, "global": said, "white_light": white.record()})
    share = 3 * WHITE / sum(float(_middle_light(lamp).sum()) for lamp in lighting.layers.values())
    broad = cone / MIDDLE_CONE * (0.4 + softness) / (0.4 + MIDDLE_SOFTNESS)
    elevations = _elevations(list(layers))
    rings = tuple(
        _ring(name, elevations[name], layer.light * gain * share, broad, camera) for name, layer in layers.items()
    )
    record = {"ring_light": True, "global": said, "layers": {name: layer.record() for name, layer in layers.items()}}
    return Lit(lights=rings, record=record)


@dataclass(frozen=True, kw_only=True)
class _Drawn:
    intensity: float
    color: tuple[float, float, float]

    @property
    def light(self) -> Rgb:
        return self.intensity * np.array(self.color)

    def record(self) -> dict[str, Any]:
        return {"intensity": self.intensity, "color": list(self.color)}


def _lamp(lamp: Lamp, rng: np.random.Generator) -> _Drawn:
    intensity, r, g, b = (float(rng.uniform(*x)) for x in (lamp.intensity, lamp.color_r, lamp.color_g, lamp.color_b))
    return _Drawn(intensity=intensity, color=(r, g, b))


def _middle(given: Range) -> float:
    return (given[0] + given[1]) / 2


def _middle_light(lamp: Lamp) -> Rgb:
    return _middle(lamp.intensity) * np.array([_middle(lamp.color_r), _middle(lamp.color_g), _middle(lamp.color_b)])


def _elevations(names: list[str]) -> dict[str, float]:
    """By name where it is known, else evenly from steep (first) to flat (last)."""
    spread = np.linspace(70, 22, len(names)) if len(names) > 1 else [45.0]
    return {name: ELEVATIONS.get(name, float(other)) for name, other in zip(names, spread)}


def _ring(name: str, elevation: float, level: Rgb, broad: float, camera: Camera | None) -> Ring:
    reach, (x, y, ground) = _rig(camera)
    angle = np.radians(elevation)
    return _shining(
        name, (x, y, ground), reach * float(np.cos(angle)), reach * float(np.sin(angle)), reach * WIDTH * broad, level
    )


def _rig(camera: Camera | None) -> tuple[float, Vector]:
    if camera is None:
        return DOME_MM, (0.0, 0.0, 0.0)
    return max(DOME_MM, DOME_FIELDS * max(camera.field)), (camera.x, camera.y, 0.0)


def _shining(name: str, at: Vector, radius: float, height: float, width: float, level: Rgb) -> Ring:
    """A ring that makes flat white send out `level` in its middle."""
    distance = float(np.hypot(radius, height))
    width = min(width, 1.6 * radius)  # a band leaning inwards must not reach over its own middle
    radiance = level * distance**3 / (2 * radius * width * height)
    return Ring(name=name, x=at[0], y=at[1], z=at[2] + height, radius=radius, width=width, radiance=_vector(radiance))


def _of_stage(stage: StageLights, keep_color: bool, camera: Camera | None) -> Lit:
    _, at = _rig(camera)
    rings = [r for r in stage.rings if r.strength > 0 and r.z > 0 and r.radius > 0]
    if not rings and stage.dome is None:
        raise UsageError(
            "use_scene_lights is true, but the stage has no light that is seen; say use_scene_lights: false and let "
            "lighting make them"
        )
    share = WHITE / (2 if rings and stage.dome is not None else 1)
    lights: list[Light] = []
    total = sum(r.strength * float(np.mean(r.color)) for r in rings) or 1.0
    for ring in rings:
        color = np.array(ring.color) if keep_color else np.full(3, float(np.mean(ring.color)))
        reach = float(np.hypot(ring.radius, ring.z))
        lights.append(
            _shining(ring.name, at, ring.radius, ring.z, reach * WIDTH, share * ring.strength * color / total)
        )
    if stage.dome is not None:
        dome = np.array(stage.dome)
        color = dome / dome.mean() if keep_color else np.ones(3)
        lights.append(Dome(name="stage", radiance=_vector(share * color)))
    colored = bool(rings) and keep_color
    return Lit(lights=tuple(lights), record={"ring_light": colored, "use_scene_lights": True})


def _vector(values: Rgb) -> Vector:
    return float(values[0]), float(values[1]), float(values[2])
