"""Spoilt poses: as many as the cookbook says, resting on the board, clear of neighbours, the rest left untouched."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial import Delaunay

from board_stage import PAD_TOP, SEAT, TARGET, add_box, label, write_board
from noescape.board.scene.defects_config import Defects
from noescape.board.scene.draws import frame_rng
from noescape.board.scene.poses import Drawn, Pose, draw_poses, pool_of
from noescape.board.scene.posing import pose, posed
from noescape.board.scene.read import open_scene
from noescape.board.scene.things import Part, Scene
from noescape.board.scene.turning import applied, moved, turned_about
from noescape.records import UsageError

TYPES = ("C0603", "R0603", "SOIC")
CHIPS = ("C0603", "R0603")
THREE = {"shift": {"ratio": 0.2}, "tombstone": {"ratio": 0.2}, "sideflip": {"ratio": 0.2}}


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return open_scene(write_board(tmp_path_factory.mktemp("pose") / "board.usda"), TARGET)


def draw(scene: Scene, values: dict[str, dict[str, object]], seed: int = 0, types: tuple[str, ...] = TYPES) -> Drawn:
    return draw_poses(scene, Defects.model_validate(values), types, frame_rng(seed, 0, "poses"), TARGET.pcba_root)


def part_of(scene: Scene, one: Pose) -> Part:
    return next(part for part in scene.parts if part.path == one.path)


def points_of(scene: Scene, part: Part) -> np.ndarray:
    return np.concatenate([scene.meshes[i].points for i in part.meshes]).astype(float)


@pytest.mark.parametrize("ratio", [0.01, 0.2, 0.5])
def test_each_mode_takes_its_share_of_the_whole_pool_and_no_part_twice(scene: Scene, ratio: float) -> None:
    """max(1, int(pool * ratio)) of the 9 parts, in the order of the file, until none is left."""
    drawn = draw(scene, {mode: {"ratio": ratio} for mode in ("sideflip", "shift", "missing")})
    each = max(1, int(9 * ratio))
    modes = [one.mode for one in drawn.poses]
    expected = ["sideflip"] * each + ["shift"] * each + ["missing"] * min(each, 9 - 2 * each)
    assert len({one.path for one in drawn.poses}) == len(drawn.poses)
    assert sorted(modes, key=("sideflip", "shift", "missing").index) == modes
    assert len(modes) + len(drawn.skipped) == len(expected)


def test_component_types_are_pieces_of_names_and_modes_may_narrow_them(scene: Scene) -> None:
    assert {scene.parts[i].family for i in pool_of(scene, ("0603",))} == {"C0603", "R0603"}
    assert len(pool_of(scene, ("*",))) == 9
    assert pool_of(scene, ("World",), TARGET.pcba_root) == []  # only names under the root count
    drawn = draw(scene, {"reverse_polarity": {"ratio": 1.0, "component_types": ["SOIC"]}})
    assert [(one.refdes, one.rotation) for one in drawn.poses] == [("U1", 180.0)]
    with pytest.raises(UsageError, match=r"fits no part.*C0603, R0603, SOIC8"):
        draw(scene, THREE, types=("0402",))


def test_a_part_the_wrong_way_round_is_soldered_as_well_as_before(scene: Scene) -> None:
    """Each pad's solder climbs the terminal that came to lie on it; bare pads would tell the defect away."""
    drawn = draw(scene, {"reverse_polarity": {"ratio": 1.0, "component_types": ["SOIC"]}})
    (wrong,) = drawn.poses
    joints = [joint.mesh for joint in scene.joints if joint.part == wrong.path]
    tops = [
        [float(changed[place].points[:, 2].max()) for place in joints]
        for changed in (posed(scene, [wrong]), posed(scene, [replace(wrong, mode="shift", matrix=np.eye(4))]))
    ]
    assert len(joints) == 8
    np.testing.assert_allclose(tops[0], tops[1], rtol=0.05)


def test_shift_moves_the_middle_by_the_drawn_millimetres(scene: Scene) -> None:
    """Within the range, turned about its own middle, on the same height; seen in the points, not in the record."""
    drawn = draw(scene, {"shift": {"ratio": 1.0, "translate_range": 0.3, "rotate_z_range": 20}}, types=CHIPS)
    assert len(drawn.poses) == 8
    for one in drawn.poses:
        before = points_of(scene, part_of(scene, one))
        after = applied(before, one.matrix)
        np.testing.assert_allclose((after - before).mean(axis=0), [one.dx, one.dy, 0], atol=1e-6)
        assert max(abs(one.dx), abs(one.dy)) <= 0.3
        assert abs(one.rotation) <= 20
        u, v = (p[:, :2] - p[:, :2].mean(axis=0) for p in (before, after))
        cosine = (u * v).sum() / (u * u).sum()
        sine = (u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]).sum() / (u * u).sum()
        assert np.degrees(np.arctan2(sine, cosine)) == pytest.approx(one.rotation, abs=1e-3)


def test_a_tombstone_stands_on_one_end_at_the_drawn_angle(scene: Scene) -> None:
    """The long axis leans by 70 to 90 degrees; the edge of the end that stays keeps its place; both ends occur."""
    ends = set()
    for seed in range(6):
        for one in draw(scene, {"tombstone": {"ratio": 0.4}}, seed, CHIPS).poses:
            part = part_of(scene, one)
            axis = np.array([1.0, 0, 0]) @ part.frame[:3, :3] @ one.matrix[:3, :3]
            lean = np.degrees(np.arcsin(abs(axis[2])))
            assert lean == pytest.approx(one.rotation, abs=1e-3)
            assert 70 <= lean <= 90
            ends.add(bool(axis[2] > 0))
            fixed = applied(np.array([one.pivot]), one.matrix)[0]
            np.testing.assert_allclose(fixed[:2], one.pivot[:2], atol=1e-9)
            middle = applied(part.box.mean(axis=0)[None], part.frame)[0]
            assert np.hypot(*(fixed - middle)[:2]) == pytest.approx(0.8, abs=1e-5)  # half of a 0603's length
    assert ends == {True, False}


def test_a_sideflip_lies_on_its_side(scene: Scene) -> None:
    for one in draw(scene, {"sideflip": {"ratio": 1.0}}, types=CHIPS).poses:
        part = part_of(scene, one)
        up = np.array([0, 0, 1.0]) @ part.frame[:3, :3] @ one.matrix[:3, :3]
        long = np.array([1.0, 0, 0]) @ part.frame[:3, :3] @ one.matrix[:3, :3]
        assert abs(long[2]) < 1e-6
        assert 0 <= up[2] <= np.cos(np.radians(70)) + 1e-9


@pytest.mark.parametrize("seed", range(4))
def test_posed_parts_rest_on_what_is_under_them(scene: Scene, seed: int) -> None:
    """The lowest point lies on the solder of own pads, or on the board; no part floats, none sinks."""
    for one in draw(scene, {"tombstone": {"ratio": 0.5}, "sideflip": {"ratio": 0.5}}, seed).poses:
        low = applied(points_of(scene, part_of(scene, one)), one.matrix)[:, 2].min()
        assert any(low == pytest.approx(height, abs=1e-5) for height in (0.0, PAD_TOP, SEAT)), one.record()


def test_a_part_moved_off_its_pads_comes_down_to_the_board(tmp_path: Path) -> None:
    scene = open_scene(write_board(tmp_path / "b.usda", columns=1, rows=1), TARGET)
    ranges = {"translate_range": 3.0, "rotate_z_range": 0}
    heights = set()
    for seed in range(12):
        for one in draw(scene, {"shift": {"ratio": 1.0, **ranges}}, seed, CHIPS).poses:
            low = applied(points_of(scene, part_of(scene, one)), one.matrix)[:, 2].min()
            heights.add(round(float(low), 4))
    assert 0.0 in heights
    assert heights <= {0.0, PAD_TOP, SEAT}


def bodies_meet(one: np.ndarray, other: np.ndarray) -> bool:
    """The slow road: random points inside of one body's hull, looked for in that of the other."""
    inside = np.random.default_rng(0).dirichlet(np.ones(len(one)) * 0.3, 400) @ one
    return bool((Delaunay(other).find_simplex(inside) >= 0).any())


def test_posed_parts_do_not_run_into_each_other(tmp_path: Path) -> None:
    """On a board so dense that most free draws would: checked by points inside of hulls."""
    crowded = open_scene(write_board(tmp_path / "b.usda", columns=6, rows=5, pitch=(2.1, 1.9)), TARGET)
    values = {"shift": {"ratio": 0.5, "translate_range": 0.5}, "tombstone": {"ratio": 0.5}}
    drawn = draw(crowded, values, 3, CHIPS)
    assert drawn.poses
    assert drawn.skipped
    assert "would run into /World/PCBA/Parts/" in " ".join(drawn.skipped)
    by = {one.path: one.matrix for one in drawn.poses}
    placed = {p.path: applied(points_of(crowded, p), by.get(p.path, np.eye(4))) for p in crowded.parts}
    chips = [p.path for p in crowded.parts if p.family in CHIPS]
    close = [
        (a, b)
        for k, a in enumerate(chips)
        for b in chips[k + 1 :]
        if np.linalg.norm((placed[a].mean(axis=0) - placed[b].mean(axis=0))[:2]) < 2.0
    ]
    assert len(close) > 10
    assert not [(a, b) for a, b in close if bodies_meet(placed[a], placed[b])]


def test_parts_that_met_by_design_do_not_hold_each_other_fast(tmp_path: Path) -> None:
    """A shield over a chip: the chip may still be shifted under it."""
    from pxr import Usd, UsdGeom

    path = write_board(tmp_path / "b.usda", columns=2, rows=1)
    stage = Usd.Stage.Open(str(path))
    UsdGeom.Xform.Define(stage, "/World/PCBA/Parts/SHIELD_X1")
    label(stage.GetPrimAtPath("/World/PCBA/Parts/SHIELD_X1"), refdes="X1")
    add_box(stage, "/World/PCBA/Parts/SHIELD_X1/Can", (-3.0, 0, 1.0), (8, 6, 2), "Tin")
    stage.GetRootLayer().Save()
    drawn = draw(open_scene(path, TARGET), {"shift": {"ratio": 1.0}}, 0, CHIPS)
    assert len(drawn.poses) == 2


def test_only_what_a_pose_touches_becomes_a_new_object(scene: Scene) -> None:
    """So that a renderer may keep what it has built of all others; labels say the mode on the part and its joints."""
    drawn = draw(scene, {**THREE, "missing": {"ratio": 0.2}}, 5)
    meshes = pose(scene, drawn.poses)
    touched = posed(scene, drawn.poses)
    kept = [m for i, m in enumerate(scene.meshes) if i not in touched]
    assert all(any(m is mine for m in meshes) for mine in kept)
    modes = {one.path: one.mode for one in drawn.poses}
    for mesh in meshes:
        if mesh.labels.get("class") == "solder":
            part = next(
                scene.joints[k].part
                for k in range(len(scene.joints))
                if scene.meshes[scene.joints[k].mesh].path == mesh.path
            )
            assert mesh.labels.get("defect") == modes.get(part)
        else:
            assert mesh.labels.get("defect") == modes.get(mesh.instance)
    gone = [one.path for one in drawn.poses if one.mode == "missing"]
    assert gone
    assert not [m for m in meshes if m.instance in gone]
    assert len(scene.meshes) - len(meshes) == sum(
        len(part_of(scene, o).meshes) for o in drawn.poses if o.mode == "missing"
    )


def test_solder_follows_its_terminal_and_lies_flat_where_the_terminal_is_gone(scene: Scene) -> None:
    """Seen by heights: under a lifted end and under a missing part the joint is lower than at the end that stays."""
    chip = next(p for p in scene.parts if p.refdes == "C2")
    tops: dict[str, list[float]] = {}
    for mode, values in (
        ("shift", {"translate_range": 0.0, "rotate_z_range": 0.0}),
        ("tombstone", {}),
        ("missing", {}),
    ):
        for seed in range(40):
            drawn = draw(scene, {mode: {"ratio": 0.1, **values}}, seed, CHIPS)
            if drawn.poses and drawn.poses[0].path == chip.path:
                changed = posed(scene, drawn.poses)
                joints = [changed[scene.joints[j].mesh] for j in chip.joints]
                tops[mode] = sorted(float(m.points[:, 2].max()) for m in joints if m is not None)
                break
    assert len(tops) == 3
    assert tops["shift"][0] > 0.25
    assert tops["missing"][1] < 0.25
    assert tops["tombstone"][0] < 0.6 * tops["shift"][0]
    assert tops["tombstone"][1] > 1.2 * tops["tombstone"][0]


def test_the_record_says_all_of_a_pose(scene: Scene) -> None:
    """The matrix follows from what the metadata of a frame holds."""
    drawn = draw(scene, {**THREE, "reverse_polarity": {"ratio": 0.1, "component_types": ["0603"]}}, 2)
    assert {one.mode for one in drawn.poses} == {"shift", "tombstone", "sideflip", "reverse_polarity"}
    for one in drawn.poses:
        said = one.record()
        turn = turned_about(np.array(said["pivot"]), np.array(said["axis"]), said["rotation"])
        again = turn @ moved(np.array([said["dx"], said["dy"], said["dz"]]))
        np.testing.assert_allclose(again, one.matrix, atol=2e-5)


def test_the_same_seed_draws_the_same_poses_and_another_frame_others(scene: Scene) -> None:
    defects = Defects.model_validate(THREE)

    def said(seed: int, frame: int) -> list[dict[str, object]]:
        return [p.record() for p in draw_poses(scene, defects, TYPES, frame_rng(seed, frame, "poses")).poses]

    assert said(1, 2) == said(1, 2)
    assert said(1, 2) != said(1, 3)
    assert said(1, 2) != said(2, 2)
