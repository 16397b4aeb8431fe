"""The toy renderer, what a picture is stored as, and the smear of a moving camera."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from board_meshes import RINGS, SKY, WHITE, board, box, camera
from noescape.board.model import Material, Mesh
from noescape.board.render import exposure_for, renderer, to_srgb
from noescape.board.render.blur import blurred, line
from noescape.board.scene.draws import Blur
from noescape.records import DataError, UsageError

KNOBS = {"spp": 1, "bounces": 1, "seed": 0}


def test_the_same_arguments_give_the_same_bits() -> None:
    one, two = (renderer("toy").render(board(), camera(), RINGS, **KNOBS) for _ in range(2))
    assert one.color.tobytes() == two.color.tobytes() and one.mesh.tobytes() == two.mesh.tobytes()


def test_light_adds_up_and_scales() -> None:
    def color(lights: tuple[object, ...]) -> np.ndarray:
        return renderer("toy").render(board(), camera(), lights, **KNOBS).color  # type: ignore[arg-type]

    assert np.allclose(color(RINGS) + color(SKY), color((*RINGS, *SKY)), atol=1e-4)
    brighter = tuple(replace(ring, radiance=tuple(3 * v for v in ring.radiance)) for ring in RINGS)
    assert np.allclose(color(brighter), 3 * color(RINGS), rtol=1e-4, atol=1e-6)
    assert not color(()).any()


def test_a_round_joint_shows_the_rings_from_its_middle_outwards() -> None:
    """Steep light (red) comes back from flat solder, low light (blue) from its flanks."""
    picture = renderer("toy").render(board(), camera((120, 80), x=-3.2, wide=1.8), RINGS, **KNOBS)
    solder = picture.mesh == 5
    rows, columns = np.nonzero(solder)
    away = np.hypot(rows - 39.5, columns - 59.5)
    colour = picture.color[solder]
    where = [np.average(away, weights=np.maximum(colour[:, at] - colour.min(axis=1), 0)) for at in range(3)]
    assert where[0] < where[1] < where[2]


def test_white_under_a_white_sky_is_white() -> None:
    sheet = (box("/Sheet", (-9, -9, -1), (9, 9, 0), WHITE),)
    picture = renderer("toy").render(sheet, camera(), SKY, **KNOBS)
    assert np.allclose(picture.color, 1.0, atol=0.05)


def test_exposure_makes_a_white_sheet_nearly_white_whatever_the_light() -> None:
    sheet = (box("/Sheet", (-9, -9, -1), (9, 9, 0), WHITE),)
    for lights in (RINGS, SKY, RINGS[:1]):
        color = renderer("toy").render(sheet, camera(), lights, **KNOBS).color * exposure_for(lights)
        assert 0.75 < color[32, 48].mean() < 0.9
    assert exposure_for(()) == 1.0


def test_srgb_is_the_standard_curve() -> None:
    linear = np.array([[[0.0, 0.0031308, 0.21586], [1.0, 7.0, -1.0]]], np.float32)
    assert to_srgb(linear).tolist() == [[[0, 10, 128], [255, 255, 0]]]
    assert to_srgb(np.full((1, 1, 3), np.nan, np.float32)).tolist() == [[[0, 0, 0]]]


@pytest.mark.parametrize("engine", ["toy"])
def test_a_picture_on_a_mesh_stands_upright(engine: str, tmp_path: Path) -> None:
    """v goes upwards, as USD has it: the file's first row is at v = 1."""
    picture = np.zeros((8, 8, 3), np.uint8)
    picture[:4, 4:] = (255, 0, 0)  # the quarter at the top right is blue: files are BGR here
    path = tmp_path / "with space é.png"
    path.write_bytes(cv2.imencode(".png", picture)[1].tobytes())
    color = renderer(engine).render((textured(path),), camera((40, 40), wide=4.0), SKY, **KNOBS).color
    blue = color[..., 2] > 0.3
    assert blue[2:18, 22:38].all() and not blue[22:].any() and not blue[:, :18].any()


def textured(path: Path) -> Mesh:
    """A square of 4 x 4 mm with a picture on it."""
    points = np.array([[-2, -2, 0], [2, -2, 0], [2, 2, 0], [-2, 2, 0]], np.float32)
    return Mesh(
        path="/Sheet",
        instance="/Sheet",
        points=points,
        faces=np.array([[0, 1, 2], [0, 2, 3]], np.int32),
        material=Material(name="print", base_color_file=path, roughness=1.0),
        uvs=np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32),
    )


@pytest.mark.parametrize("content", [b"", b"no picture", None])
def test_a_picture_that_cannot_be_read_is_named(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.png"):
        renderer("toy").render((textured(path),), camera(), SKY, **KNOBS)


def test_an_unknown_engine_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="toy"):
        renderer("omniverse")


@pytest.mark.parametrize("length", [2, 5, 7, 20])
@pytest.mark.parametrize("angle", [0.0, 33.0, 90.0, 250.0])
def test_a_smear_keeps_the_light_and_goes_its_way(length: int, angle: float) -> None:
    kernel = line(length, angle)
    assert abs(kernel.sum() - 1) < 1e-6 and kernel.shape[0] % 2 == 1
    rows, columns = np.nonzero(kernel > 1e-6)
    middle = kernel.shape[0] // 2
    x, y = columns - middle, middle - rows
    along = x * np.cos(np.radians(angle)) + y * np.sin(np.radians(angle))
    across = -x * np.sin(np.radians(angle)) + y * np.cos(np.radians(angle))
    assert np.abs(across).max() <= 1.5 and np.abs(along).max() >= (length - 1) / 2 - 1


def test_the_smeared_share_is_alpha() -> None:
    rgb = np.zeros((21, 21, 3), np.uint8)
    rgb[10, 10] = 200
    assert blurred(rgb, Blur()) is rgb
    out = blurred(rgb, Blur(alpha=0.25, kernel=5, angle=0.0))
    assert out[10, 10, 0] == round(200 * (0.75 + 0.25 * line(5, 0.0)[2, 2])) and out[10, 8, 0] > 0 and not out[8].any()
