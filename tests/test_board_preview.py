"""Pictures to look at: the sheet has a tile where a part can fail in that way, and tiles differ as they must."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from noescape.board.model import Camera, Light, Mesh, Picture
from noescape.board.parts.model import SEAT
from noescape.board.preview import SPECIMENS, chosen, package_sheet
from noescape.board.preview_poses import MODES, pose
from noescape.board.preview_scene import Specimen, placed, ring_light, specimen
from noescape.board.render.engine import renderer
from noescape.cli.main import main
from noescape.imaging import read_picture
from noescape.records import UsageError

CHIP = next(s for s in SPECIMENS if s.caption == "LED 0603")
IC = next(s for s in SPECIMENS if s.caption == "SOIC-8")


class Spy:
    """An engine that keeps what it was asked and gives back grey."""

    name, variant = "spy", "spy"

    def __init__(self) -> None:
        self.asked: list[tuple[Sequence[Mesh], Camera, Sequence[Light]]] = []

    def render(
        self, meshes: Sequence[Mesh], camera: Camera, lights: Sequence[Light], *, spp: int, bounces: int, seed: int
    ) -> Picture:
        """Grey, and a note of the call."""
        self.asked.append((meshes, camera, lights))
        w, h = camera.resolution
        return Picture(
            color=np.full((h, w, 3), 0.5, np.float32),
            mesh=np.zeros((h, w), np.int32),
            depth=np.zeros((h, w), np.float32),
        )


@pytest.mark.parametrize("row", SPECIMENS, ids=lambda row: row.caption)
def test_every_pose_rests_on_the_board(row: Specimen) -> None:
    """Nothing floats, nothing sinks: the lowest point of a surface part stays where solder holds it."""
    package = row.package()
    for mode in MODES:
        matrix = pose(package, mode)
        if matrix is None:
            continue
        assert np.allclose(matrix[:3, :3] @ matrix[:3, :3].T, np.eye(3), atol=1e-9)
        metal = np.concatenate([b.corners() for b in package.terminals.values()]) @ matrix[:3, :3].T + matrix[:3, 3]
        assert metal[:, 2].min() == pytest.approx(SEAT, abs=0.03)


def test_columns_that_say_nothing_of_a_part_stay_empty() -> None:
    """Only two-terminal parts stand up, only polarised ones can be reversed, only parts with neighbours bridge."""
    shown = {row.caption: {m for m in MODES if pose(row.package(), m) is not None} for row in SPECIMENS}
    assert {"tombstone", "sideflip"} <= shown["R 0603"] and "reverse_polarity" not in shown["R 0603"]
    assert "reverse_polarity" in shown["LED 0603"] and "bridge" not in shown["LED 0603"]
    assert {"reverse_polarity", "bridge"} <= shown["SOIC-8"] and "tombstone" not in shown["SOIC-8"]
    assert all({"ok", "shift", "missing", "excess", "less"} <= modes for modes in shown.values())


def test_a_missing_part_leaves_pads_and_solder_only() -> None:
    meshes = list(specimen(CHIP, "missing", 0, 0, 2))
    assert {m.labels["class"] for m in meshes} == {"pcb", "pad", "solder"}
    assert {m.labels["class"] for m in specimen(CHIP, "ok", 0, 0, 2)} == {"pcb", "pad", "solder", "led"}


def test_modes_of_solder_change_only_the_first_joints() -> None:
    """So that on one part the others compare; a bridge is one joint more."""
    good, more = (
        [m.points for m in specimen(IC, mode, 0, 0, 5) if m.labels["class"] == "solder"] for mode in ("ok", "excess")
    )
    same = [a.shape == b.shape and bool((a == b).all()) for a, b in zip(good, more, strict=True)]
    assert same == [False, False, True, True, True, True, True, True]
    joints = [m for m in specimen(IC, "bridge", 0, 0, 5) if m.labels["class"] == "solder"]
    assert len(joints) == 9


def test_a_reversed_part_has_whole_joints() -> None:
    """Each pad takes the terminal that now lies on it: the same joints as a good part's."""
    good, turned = (
        [m.points for m in specimen(CHIP, mode, 0, 0, 2) if m.labels["class"] == "solder"]
        for mode in ("ok", "reverse_polarity")
    )
    assert all(np.allclose(a, b, atol=1e-4) for a, b in zip(good, turned, strict=True))


def test_placing_keeps_shape_and_normals() -> None:
    item = CHIP.package().pieces[0]
    matrix = pose(CHIP.package(), "tombstone")
    assert matrix is not None
    out = placed(item, matrix)  # type: ignore[arg-type]
    size = [float(np.linalg.norm(p.max(0) - p.min(0))) for p in (item.points @ matrix[:3, :3].T, out.points)]
    assert size[0] == pytest.approx(size[1], rel=1e-4) and out.normals is not None
    assert np.allclose(np.linalg.norm(out.normals, axis=1), 1, atol=1e-3)


def test_a_row_is_rendered_once_with_all_its_tiles_side_by_side() -> None:
    engine = Spy()
    sheet = package_sheet(engine, rows=(CHIP, IC), px=20, spp=1)
    assert [asked[1].resolution for asked in engine.asked] == [(20 * 8, 20), (20 * 7, 20)]
    assert sheet.dtype == np.uint8 and sheet.shape == (30 + 2 * 22, 120 + 9 * 22, 3)
    for meshes, camera, lights in engine.asked:
        assert len(lights) == 4
        x = np.concatenate([m.points[:, 0] for m in meshes if m.labels["class"] != "pcb"])
        assert abs(x.mean() - camera.x) < camera.field[0] / 10
        assert np.abs(x - camera.x).max() < camera.field[0] / 2


def test_the_ring_light_is_far_and_has_three_colours() -> None:
    """From the axis outwards red, green, blue; from all over the sheet under the same angle within 2 degrees."""
    rings = ring_light(0, 0, 10)
    assert [int(np.argmax(r.radiance)) for r in rings] == [0, 1, 2]
    for ring in rings:
        near, far = (np.degrees(np.arctan2(ring.radius + d, ring.z)) for d in (-5, 5))
        assert far - near < 2
    angles = [np.degrees(np.arctan2(r.radius, r.z)) for r in rings]
    assert angles == sorted(angles)


def test_the_toy_engine_draws_the_same_sheet_twice() -> None:
    one, two = (package_sheet(renderer("toy"), rows=(CHIP,), px=24, spp=1) for _ in range(2))
    assert (one == two).all()
    tiles = [one[30:54, 120 + k * 26 : 144 + k * 26].astype(int) for k in range(9)]
    good = tiles[0]
    for k, mode in enumerate(MODES):
        if mode not in ("ok", "bridge"):
            assert np.abs(tiles[k] - good).mean() > 1, f"{mode} looks like a good part"


def test_the_command_writes_a_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "a sheet.png"
    assert (
        main(
            [
                "board",
                "preview",
                "--packages",
                "--only",
                "C 0402",
                "--px",
                "16",
                "--engine",
                "toy",
                "--spp",
                "1",
                "--out",
                str(out),
            ]
        )
        == 0
    )
    assert capsys.readouterr().out.strip() == str(out)
    assert read_picture(out).rgb.shape == (30 + 18, 120 + 9 * 18, 3)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "BOARD.usd or --packages"), (["b.usd", "--packages"], "one of them"),
        (["b.usd", "--only", "C"], "--packages"),
        (["--packages", "--only", "nothing"], "SOIC-8"), (["--packages", "--px", "3"], "16 to 8192"),
        (["--packages", "--spp", "0"], "1 to 4096"),
    ],
)  # fmt: skip
def test_wrong_use_is_exit_code_2(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["board", "preview", *words, "--engine", "toy", "--out", str(tmp_path / "x.png")]) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_rows_are_chosen_by_pieces_of_their_names() -> None:
    assert [r.caption for r in chosen(["0603"])] == ["C 0603", "R 0603", "L 0603", "LED 0603"]
    assert chosen([]) == SPECIMENS
    with pytest.raises(UsageError, match="TO-252"):
        chosen(["nothing"])
