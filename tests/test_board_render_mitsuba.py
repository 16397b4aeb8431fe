"""Mitsuba: the same ids as our z-buffer, the light that physics says, the same bits again, built once."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from board_meshes import RINGS, SKY, WHITE, board, box, camera
from noescape.board.render import exposure_for, renderer
from noescape.board.render.mitsuba.engine import Mitsuba, passes
from noescape.board.render.mitsuba.shapes import groups
from noescape.board.render.mitsuba.stage import sensor
from noescape.board.render.mitsuba.start import start
from noescape.board.render.surface import surface
from noescape.records import DataError
from test_board_render_toy import textured

KNOBS = {"spp": 16, "bounces": 3, "seed": 3}
SHEET = (box("/Sheet", (-40, -40, -1), (40, 40, 0), WHITE),)


@pytest.fixture(scope="module")
def mitsuba() -> Mitsuba:
    return Mitsuba()


@pytest.fixture(scope="module")
def raw() -> Mitsuba:
    return Mitsuba(denoise=False)


@pytest.mark.parametrize("projection", ["orthographic", "perspective"])
@pytest.mark.parametrize("yaw", [0, 90, 270])
def test_the_ids_are_those_of_mitsubas_own_rays(raw: Mitsuba, projection: str, yaw: int) -> None:
    """A ray through each pixel's centre meets the shape of the mesh that the z-buffer says."""
    meshes, view = board(), camera((96, 64), x=0.3, yaw=yaw, projection=projection)
    raw.render(meshes, view, RINGS, spp=1, bounces=1, seed=0)
    assert raw._stage is not None
    mi = start(raw._variant, raw._llvm)
    scene = raw._stage.scene(meshes, RINGS)
    columns, rows = np.meshgrid((np.arange(96) + 0.5) / 96, (np.arange(64) + 0.5) / 64)
    eye = sensor(mi, view, 1.2)
    found = np.zeros(96 * 64)
    for at, (x, y) in enumerate(zip(columns.ravel(), rows.ravel(), strict=True)) if "scalar" in raw.variant else []:
        hit = scene.ray_intersect(eye.sample_ray(0.0, 0.5, mi.Point2f(x, y), mi.Point2f(0.5))[0])
        found[at] = hit.t if hit.is_valid() else np.nan
    if "scalar" not in raw.variant:
        place = mi.Point2f(mi.Float(columns.ravel().astype(np.float32)), mi.Float(rows.ravel().astype(np.float32)))
        ray, _ = eye.sample_ray(mi.Float(0), mi.Float(0.5), place, mi.Point2f(0.5))
        hit = scene.ray_intersect(ray)
        found = np.where(np.array(hit.t) < 1e6, np.array(hit.p)[2], np.nan)
    seen = surface(meshes, view)
    z, wanted = found.reshape(64, 96), view.z - seen.depth
    assert (np.isnan(z) == np.isnan(wanted)).mean() > 0.999
    both = ~np.isnan(z) & ~np.isnan(wanted)
    assert both.mean() > 0.8 and (np.abs(z - wanted)[both] < 2e-3).mean() > 0.997


def test_a_white_sheet_under_a_white_sky_is_white(raw: Mitsuba) -> None:
    picture = raw.render(SHEET, camera((16, 16)), SKY, spp=64, bounces=2, seed=1)
    assert abs(picture.color.mean() - 1.0) < 0.12


def test_a_ring_lights_a_sheet_as_the_formula_says(raw: Mitsuba) -> None:
    """What lights and exposure are reckoned with, 2 R w z L / d^3; the surface is not quite matt."""
    for light in RINGS:
        picture = raw.render(SHEET, camera((8, 8), wide=1.0), (light,), spp=512, bounces=1, seed=1)
        assert abs(picture.color.mean() * exposure_for((light,)) / 0.8 - 1) < 0.12, light.name


def test_the_sky_is_no_background_and_no_ring_is_in_the_way(mitsuba: Mitsuba) -> None:
    """A camera above the rings sees the board through them; where nothing is, it is black."""
    view = camera((96, 64), z=300.0, wide=30.0)
    picture = mitsuba.render(board(), view, (*RINGS, *SKY), **KNOBS)
    assert (picture.mesh == 0).mean() > 0.5
    assert picture.color[:8].max() < 0.02 and picture.color[picture.mesh == 1].mean() > 0.02


def test_a_joint_shows_red_in_its_middle_and_blue_at_its_rim(mitsuba: Mitsuba) -> None:
    picture = mitsuba.render(board(), camera((96, 96), x=-3.2, wide=2.0), RINGS, **KNOBS)
    solder = picture.mesh == 5
    rows, columns = np.nonzero(solder)
    away = np.hypot(rows - 47.5, columns - 47.5)
    colour = picture.color[solder]
    red, green, blue = (np.average(away, weights=np.maximum(colour[:, c] - colour.min(1), 0) + 1e-9) for c in range(3))
    assert red < green < blue


def test_a_picture_on_a_mesh_stands_upright(mitsuba: Mitsuba, tmp_path: Path) -> None:
    import cv2

    picture = np.zeros((8, 8, 3), np.uint8)
    picture[:4, 4:] = (255, 0, 0)
    path = tmp_path / "a b é.png"
    path.write_bytes(cv2.imencode(".png", picture)[1].tobytes())
    color = mitsuba.render((textured(path),), camera((40, 40), wide=4.0), SKY, **KNOBS).color
    excess = color[..., 2] - color[..., 0]
    assert (
        excess[2:18, 22:38].min() > 0.2 and np.abs(excess[24:36]).max() < 0.05 and np.abs(excess[:, 4:16]).max() < 0.05
    )


AGAIN = """
import hashlib, sys
sys.path.insert(0, {tests!r})
from board_meshes import RINGS, board, camera
from noescape.board.render import renderer
picture = renderer("mitsuba").render(board(), camera(), RINGS, spp=4, bounces=3, seed=3)
print(hashlib.sha256(picture.color.tobytes()).hexdigest())
"""


def test_processes_of_their_own_give_the_same_bits(mitsuba: Mitsuba) -> None:
    """One that renders nothing else, and this one, which has rendered other things before."""
    script = AGAIN.format(tests=str(Path(__file__).parent))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, text=True)
    picture = mitsuba.render(board(), camera(), RINGS, spp=4, bounces=3, seed=3)
    assert done.stdout.strip() == hashlib.sha256(picture.color.tobytes()).hexdigest()


def test_the_scene_is_built_once_for_cameras_and_brightness_and_again_for_what_moves() -> None:
    engine, meshes = Mitsuba(denoise=False), board()

    def mean(used: tuple[object, ...], view: object = None, lights: tuple[object, ...] = RINGS) -> float:
        return float(engine.render(used, view or camera(), lights, **KNOBS).color.mean())  # type: ignore[arg-type]

    first = mean(meshes)
    assert engine._stage is not None and engine._stage.built == 1
    mean(meshes, camera(x=1.0))
    dim = tuple(replace(ring, radiance=tuple(v / 2 for v in ring.radiance)) for ring in RINGS)
    assert abs(mean(meshes, None, dim) / first - 0.5) < 1e-3
    assert mean(tuple(meshes)) == first and engine._stage.built == 1
    kept = {group: shape for group, (_, shape) in engine._stage._shapes.items()}
    moved = (*meshes[:3], replace(meshes[3], points=meshes[3].points + np.float32(0.5)), *meshes[4:])
    assert mean(moved) != first and engine._stage.built == 2
    changed = [group for group, (_, shape) in engine._stage._shapes.items() if kept[group] is not shape]
    assert changed == [group for group, members in groups(moved).items() if any(m is moved[3] for m in members)]
    assert mean(meshes, None, tuple(replace(ring, x=2.0) for ring in RINGS)) != first
    assert mean(meshes) == first, "and back again, to the bit"


def test_the_denoiser_takes_noise_and_leaves_edges(mitsuba: Mitsuba, raw: Mitsuba) -> None:
    view = camera((64, 48))
    truth = raw.render(board(), view, RINGS, spp=256, bounces=3, seed=9).color
    noisy, clean = (engine.render(board(), view, RINGS, spp=4, bounces=3, seed=3).color for engine in (raw, mitsuba))
    wrong = [float(np.sqrt(np.mean((np.clip(c, 0, 1) - np.clip(truth, 0, 1)) ** 2))) for c in (noisy, clean)]
    if "oidn" in mitsuba.variant:
        assert wrong[1] < 0.8 * wrong[0]


def test_samples_in_passes_are_those_that_were_asked_for() -> None:
    for spp, pixels in ((1, 10), (16, 512 * 512), (64, 1024 * 1024), (7, 1 << 21), (5, 1 << 24)):
        found = passes(spp, pixels)
        assert sum(found) == spp and min(found) >= 1 and (max(found) == 1 or max(found) * pixels <= 1 << 22)


def test_nothing_to_see_and_no_light_are_black_pictures(mitsuba: Mitsuba) -> None:
    assert not mitsuba.render((), camera(), RINGS, **KNOBS).color.any()
    assert not mitsuba.render(board(), camera(), (), **KNOBS).color.any()


def test_a_broken_mesh_never_reaches_the_engine(mitsuba: Mitsuba) -> None:
    bad = replace(board()[1], faces=board()[1].faces + 100)
    with pytest.raises(DataError, match="/C1/Body"):
        mitsuba.render((bad,), camera(), RINGS, **KNOBS)


def test_auto_is_mitsuba_where_it_is_installed() -> None:
    assert renderer("auto").name == "mitsuba"
