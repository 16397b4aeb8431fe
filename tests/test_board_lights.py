"""Light: within the ranges, well exposed in their middle, the same for the same frame whatever came before."""

from __future__ import annotations

import numpy as np
import pytest

from noescape.board.model import Camera, Dome, Material, Mesh, Ring
from noescape.board.scene.blacken import vantablack
from noescape.board.scene.config import MotionBlur, RenderConfig
from noescape.board.scene.draws import draw_blur, frame_rng
from noescape.board.scene.light import WHITE, draw_lights
from noescape.board.scene.things import StageLights, StageRing
from noescape.records import UsageError

ORIGIN = Camera(x=0, y=0, z=50, field=(10, 10), resolution=(64, 64))


def config(**lighting: object) -> RenderConfig:
    return RenderConfig.model_validate({"use_scene_lights": False, "lighting": lighting})


def white_under(lights: tuple[Ring | Dome, ...], x: float = 0.0, y: float = 0.0, n: int = 400) -> np.ndarray:
    """What flat ideal white at (x, y, 0) sends out: the ring cut into small lamps, each added up by the cosine law."""
    total = np.zeros(3)
    for light in lights:
        if isinstance(light, Dome):
            total += np.array(light.radiance)
            continue
        angles = (np.arange(n) + 0.5) * 2 * np.pi / n
        inward = np.arctan2(light.z, light.radius)
        for across in (np.arange(9) - 4) / 9 * light.width:
            radius, z = light.radius + across * np.sin(inward), light.z - across * np.cos(inward)
            at = np.stack([light.x + radius * np.cos(angles), light.y + radius * np.sin(angles), np.full(n, z)], axis=1)
            face = np.array([light.x, light.y, 0]) - at
            face /= np.linalg.norm(face, axis=1, keepdims=True)
            way = np.array([x, y, 0]) - at
            far = np.linalg.norm(way, axis=1)
            out = (face * way).sum(axis=1) / far
            down = -way[:, 2] / far
            area = 2 * np.pi * radius / n * light.width / 9
            total += np.array(light.radiance) * (np.clip(out, 0, 1) * down * area / far**2).sum() / np.pi
    return total


def middles(**lighting: object) -> RenderConfig:
    """A cookbook whose ranges have no width."""
    fixed = {"exposure_range": [0.5, 0.5], "cone_angle_range": [120, 120], "cone_softness_range": [0.75, 0.75]}
    lamp = {"intensity": [300, 300], **{f"color_{c}": [0.9, 0.9] for c in "rgb"}}
    return config(**{**fixed, "layers": {"Inner_Red": lamp, "Outer_Blue": lamp}, "white_light": lamp, **lighting})


@pytest.mark.parametrize("ring", [True, False])
def test_white_under_the_middle_of_all_ranges_comes_to_three_quarters(ring: bool) -> None:
    """Added up lamp by lamp, not by the formula that made them: 0.75 linear, 225 of 255 in the picture."""
    lit = draw_lights(middles(ring_light=ring), frame_rng(0, 0, "lights"), camera=ORIGIN)
    np.testing.assert_allclose(white_under(lit.lights), WHITE, rtol=0.04)


def test_the_field_is_lit_evenly_enough_to_its_corners() -> None:
    camera = Camera(x=3, y=-2, z=50, field=(40, 40), resolution=(64, 64))
    lit = draw_lights(middles(ring_light=True), frame_rng(0, 0, "lights"), camera=camera)
    middle, corner = white_under(lit.lights, 3, -2), white_under(lit.lights, 23, 18)
    np.testing.assert_allclose(corner, middle, rtol=0.25)


@pytest.mark.parametrize("factor", [0.05, 1.0, 20.0])
def test_absolute_intensities_mean_nothing_and_relative_ones_do(factor: float) -> None:
    """Cookbooks of renderers with other units expose alike; a layer with thrice the intensity gives thrice."""
    lamp = {f"color_{c}": [1, 1] for c in "rgb"}
    layers = {
        "Inner_Red": {"intensity": [100 * factor] * 2, **lamp},
        "Outer_Blue": {"intensity": [300 * factor] * 2, **lamp},
    }
    lit = draw_lights(middles(ring_light=True, layers=layers), frame_rng(0, 0, "lights"), camera=ORIGIN)
    one, other = (white_under((light,)) for light in lit.lights)
    np.testing.assert_allclose(other / one, 3.0, rtol=0.05)
    np.testing.assert_allclose(one + other, WHITE, rtol=0.04)


def test_a_stop_doubles_the_light_and_the_cone_only_spreads_it() -> None:
    dark, bright = (
        draw_lights(
            config(ring_light=False, exposure_range=[-1, 1], white_light={"intensity": [5, 5]}),
            _fixed(value),
            camera=ORIGIN,
        )
        for value in (0.0, 1.0)
    )
    ratio = np.array(bright.lights[0].radiance) / np.array(dark.lights[0].radiance)
    np.testing.assert_allclose(ratio, 4.0 * 1.25, rtol=1e-6)  # two stops, and the colours' ends 1.0 over 0.8
    narrow, wide = (
        draw_lights(middles(ring_light=True, cone_angle_range=[a, a]), frame_rng(0, 0, "lights"), camera=ORIGIN)
        for a in (90, 150)
    )
    assert wide.lights[0].width > 1.3 * narrow.lights[0].width  # type: ignore[union-attr]
    np.testing.assert_allclose(white_under(wide.lights), white_under(narrow.lights), rtol=0.05)


class _Fixed(np.random.Generator):
    """Always the same place within a range."""

    def __init__(self, share: float) -> None:
        super().__init__(np.random.PCG64(0))
        self.share = share

    def uniform(self, low: float = 0.0, high: float = 1.0, size: object = None) -> float:  # type: ignore[override]
        return low + self.share * (high - low)


def _fixed(share: float) -> np.random.Generator:
    return _Fixed(share)


def test_what_is_drawn_stays_in_its_range_and_is_said_in_the_record() -> None:
    book = config(ring_light=True)
    seen = []
    for frame in range(60):
        record = draw_lights(book, frame_rng(7, frame, "lights")).record
        assert record["ring_light"] is True
        said = record["global"]
        assert 0.01 <= said["exposure"] <= 1.0
        assert 90 <= said["cone_angle"] <= 150
        assert 0.5 <= said["cone_softness"] <= 1.0
        for name, dominant in (("Inner_Red", 0), ("Middle_Green", 1), ("Outer_Blue", 2)):
            layer = record["layers"][name]
            low, high = book.lighting.layers[name].intensity
            assert low <= layer["intensity"] <= high
            assert 0.95 <= layer["color"][dominant] <= 1.0
            assert all(0 <= v <= 0.05 for k, v in enumerate(layer["color"]) if k != dominant)
        seen.append(said["exposure"])
    assert np.ptp(seen) > 0.7


def test_a_frame_is_lit_the_same_whatever_was_drawn_before_and_in_either_mode() -> None:
    alone = draw_lights(config(), frame_rng(1, 5, "lights")).record
    for frame in range(5):
        draw_lights(config(), frame_rng(1, frame, "lights"))
    assert draw_lights(config(), frame_rng(1, 5, "lights")).record == alone
    white = draw_lights(config(ring_light=False), frame_rng(1, 5, "lights")).record
    assert white["global"] == alone["global"]
    assert white["ring_light"] is False


def test_rings_stand_over_the_camera_and_face_it() -> None:
    camera = Camera(x=12, y=-7, z=50, field=(10, 10), resolution=(64, 64))
    lit = draw_lights(config(), frame_rng(0, 0, "lights"), camera=camera)
    assert {(r.x, r.y) for r in lit.lights if isinstance(r, Ring)} == {(12, -7)}
    heights = [r.z for r in lit.lights if isinstance(r, Ring)]
    assert heights == sorted(heights, reverse=True)  # inner red is steep, outer blue is flat


def test_lights_of_the_stage_are_taken_whitened_unless_their_colour_is_to_be_kept() -> None:
    rings = (
        StageRing(name="Inner_Red", radius=20, z=60, color=(1, 0, 0), strength=100),
        StageRing(name="Outer_Blue", radius=60, z=20, color=(0, 0, 1), strength=300),
    )
    stage = StageLights(rings=rings, dome=(2.0, 2.0, 2.0))
    lit = draw_lights(RenderConfig(), frame_rng(0, 0, "lights"), camera=ORIGIN, stage=stage)
    np.testing.assert_allclose(white_under(lit.lights), WHITE, rtol=0.05)
    kept = draw_lights(
        RenderConfig(preserve_scene_light_color=True), frame_rng(0, 0, "lights"), camera=ORIGIN, stage=stage
    )
    red, blue = (np.array(light.radiance) for light in kept.lights[:2])
    assert red[1:].tolist() == [0, 0]
    assert blue[:2].tolist() == [0, 0]
    np.testing.assert_allclose(white_under(kept.lights).mean(), WHITE, rtol=0.05)
    with pytest.raises(UsageError, match="no light that is seen"):
        draw_lights(RenderConfig(), frame_rng(0, 0, "lights"), stage=StageLights())


def test_motion_blur_is_drawn_as_often_as_said_and_within_its_ranges() -> None:
    blurs = [draw_blur(MotionBlur(), frame_rng(3, frame, "blur")) for frame in range(400)]
    applied = [b for b in blurs if b.alpha]
    assert 0.72 < len(applied) / len(blurs) < 0.88  # 0.8 within four standard errors
    assert all(0.01 <= b.alpha <= 0.3 and b.kernel in (5, 7) and 0 <= b.angle < 360 for b in applied)
    assert not any(draw_blur(MotionBlur(probability=0), frame_rng(3, f, "blur")).alpha for f in range(50))
    assert blurs[0].record()["applied"] == bool(blurs[0].alpha)


def test_vantablack_takes_parts_and_leaves_board_pads_and_solder() -> None:
    triangle = np.eye(3, dtype=np.float32)
    meshes = [
        Mesh(
            path=f"/{kind}",
            instance=f"/{kind}",
            points=triangle,
            faces=np.array([[0, 1, 2]], np.int32),
            material=Material(name="m"),
            labels={"class": kind} if kind else {},
        )
        for kind in ("pcb", "pad", "solder", "", "capacitor", "ic")
    ]
    black = vantablack(meshes)
    assert [new is old for new, old in zip(black, meshes)] == [True, True, True, True, False, False]
    assert black[5].material.base_color == (0.0, 0.0, 0.0)
