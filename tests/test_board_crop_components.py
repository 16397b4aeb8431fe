"""Crops per component: every defective one, what was drawn beside it, masks exact; and scene and pixels agree."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from board_frames import CAMERAS, PARTS, Part, camera, fact, ids_of, make_tree, meshes, things, write, write_frame
from noescape.board.crop.agreement import agree, agreement, on_board, project
from noescape.board.crop.components import crop_components
from noescape.board.crop.facts import read_metadata
from noescape.board.crop.frames import read_tree
from noescape.board.crop.instances import Instances, boxes_of, make_instances, read_ids
from noescape.cli.main import main
from noescape.imaging import read_picture
from noescape.records import DataError, ImageError

C1, C2, C3, U1 = PARTS
WRONG = (C1.moved(0.15, -0.1, 12), C2.moved(0.3, 0.2, 75, mode="tombstone"), C3.missing(), U1)


def defects(root: Path) -> Path:
    return make_tree(root, WRONG, CAMERAS)


def test_each_defective_component_gives_one_crop_of_each_kind(tmp_path: Path) -> None:
    done = crop_components(defects(tmp_path), tmp_path, min_coverage=0.1)
    assert Counter((r["mode"], r["frame"], r["refdes"]) for r in done.rows) == {
        (mode, cell, refdes): 1
        for cell in CAMERAS
        for mode, refdes in (("shift", "C1"), ("tombstone", "C2"), ("missing", "C3"))
    }
    for row in done.rows:
        x0, y0, x1, y1 = row["box"]
        folder, name = tmp_path / "cropped" / row["mode"], Path(row["image"]).name
        source = tmp_path / "trigger_0000"
        assert name.startswith(f"frame{row['frame']}_{'C0402' if row['refdes'] == 'C3' else 'C0603'}_{row['refdes']}")
        for kind in ("rgb", "semantic_segmentation"):
            whole = read_picture(source / f"{kind}_{row['frame']}.png").rgb
            np.testing.assert_array_equal(read_picture(folder / kind / name).rgb, whole[y0:y1, x0:x1])
        ids = read_ids(source / f"instance_segmentation_{row['frame']}.png")[y0:y1, x0:x1]
        np.testing.assert_array_equal(read_ids(folder / "component_instance" / name), ids)
        mask = read_picture(folder / "mask" / name).rgb[..., 0]
        if row["mode"] != "missing":
            np.testing.assert_array_equal(mask > 0, ids == row["instance"])
        assert mask.any() and row["mask_area"] == int((mask > 0).sum()) and row["mm_per_px"] == 1 / 16
    told = json.loads((tmp_path / "cropped/crops.json").read_text())["crops"][0]
    assert told["drawn"] == {"dx": 0.15, "dy": -0.1, "rotation": 12} and told["hidden"] == 0.25


def test_by_component_the_good_ones_come_too(tmp_path: Path) -> None:
    done = crop_components(defects(tmp_path), tmp_path, min_coverage=0.1, by="component")
    assert {(r["mode"], r["refdes"]) for r in done.rows} >= {("good", "U1"), ("shift", "C1")} and len(done.rows) == 8


def test_border_and_empty_crops_are_left_out_and_counted(tmp_path: Path) -> None:
    make_tree(tmp_path, WRONG, {"x0_y0": camera(-2.0, 1.0, size=(64, 64))})
    done = crop_components(tmp_path, tmp_path, min_coverage=0)
    assert [r["refdes"] for r in done.rows] == ["C1"]
    with pytest.raises(DataError, match="2 low_coverage"):
        make_tree(tmp_path, (replace(WRONG[0], w=1), C2.moved(-3.4, 0.1)), {"x0_y0": camera(-2.0, 1.0, size=(64, 64))})
        crop_components(tmp_path, tmp_path, offset=500, min_coverage=0.99)


def test_names_that_collide_or_are_hostile_stay_inside(tmp_path: Path) -> None:
    make_tree(tmp_path, WRONG, {"x0_y0": camera()})
    path = tmp_path / "trigger_0000/instance_segmentation_mapping_x0_y0.json"
    table = json.loads(path.read_text())
    for n, entry in table.items():
        if entry.get("defect") == "shift":
            table[n] |= {"path": "/World/../../a b'\n", "defect": "../../shift"}
        elif entry.get("defect") == "tombstone":
            table[n]["path"] = "/World/x/a_b__"
    write(path, table)
    done = crop_components(tmp_path, tmp_path, min_coverage=0.1)
    assert sorted(r["mode"] for r in done.rows) == ["missing", "shift", "tombstone"]
    assert len({r["image"] for r in done.rows}) == 3
    assert all((tmp_path / "cropped" / r["image"]).resolve().is_relative_to(tmp_path) for r in done.rows)


def test_a_broken_frame_costs_one_row_and_a_good_tree_has_nothing_to_crop(tmp_path: Path) -> None:
    defects(tmp_path / "d")
    write(tmp_path / "d/trigger_0000/instance_segmentation_mapping_x1_y0.json", {"1": {"path": 3}})
    done = crop_components(tmp_path / "d", tmp_path / "d")
    assert {r["frame"] for r in done.rows} == {"x0_y0"} and len(done.problems) == 1
    with pytest.raises(DataError, match="render more patches"):
        crop_components(make_tree(tmp_path / "g", PARTS, CAMERAS), tmp_path / "g")


def test_a_row_of_metadata_that_says_nothing_costs_itself(tmp_path: Path) -> None:
    defects(tmp_path)
    told = json.loads((tmp_path / "metadata.json").read_text())
    nan, none = float("nan"), fact("x7_y7", PARTS, camera())
    told["frames"][0]["poses"][0] |= {"dx": nan, "matrix": [[1.0, nan]], "note": "x"}
    bad = [3, none | {"camera": {"x": nan}}, none | {"camera": none["camera"] | {"resolution": [0, 9]}}, {"poses": 3}]
    write(tmp_path / "metadata.json", told | {"frames": [*told["frames"], *bad]})
    done = crop_components(tmp_path, tmp_path, min_coverage=0.1)
    assert len(done.rows) == 6 and [p.where for p in done.problems] == ["metadata.json"] * 4
    assert "cannot be understood" in str(done.problems[0])
    assert next(r["drawn"] for r in done.rows if r["refdes"] == "C1") == {"dy": -0.1, "rotation": 12, "note": "x"}


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frames = str(defects(tmp_path))
    assert main(["board", "crop", frames, "--by", "defect", "--offset", "4", "--out", frames, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["by_mode"] == {"missing": 2, "shift": 2, "tombstone": 2}
    for wrong in (["--by", "defect"], ["--out", frames], ["--by", "defect", "--out", frames, "--offset", "-1"]):
        assert main(["board", "crop", frames, *wrong]) == 2


def test_boxes_are_those_of_the_pixels() -> None:
    rng = np.random.default_rng(0)
    ids = (rng.integers(0, 40, (50, 70)) * (rng.random((50, 70)) > 0.7)).astype(np.uint16) * 1600
    for number, (box, area) in boxes_of(ids).items():
        ys, xs = np.nonzero(ids == number)
        assert box == (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1) and area == len(xs)
    assert boxes_of(ids * 0) == {}


def test_numbers_are_read_as_they_are_and_nothing_else(tmp_path: Path) -> None:
    ids = np.arange(60_000, 60_600, dtype=np.uint16).reshape(20, 30)
    (tmp_path / "ok.png").write_bytes(bytes(cv2.imencode(".png", ids)[1]))
    np.testing.assert_array_equal(read_ids(tmp_path / "ok.png"), ids)
    data = (tmp_path / "ok.png").read_bytes()
    (tmp_path / "short.png").write_bytes(data[: len(data) // 2])
    (tmp_path / "jpeg.png").write_bytes(bytes(cv2.imencode(".jpg", ids.astype(np.uint8))[1]))
    for name in ("short.png", "jpeg.png", "nowhere.png"):
        with pytest.raises(ImageError):
            read_ids(tmp_path / name)
    with pytest.raises(ImageError, match="limit"):
        read_ids(tmp_path / "ok.png", max_pixels=599)


def test_lights_and_cameras_are_read_in_several_forms(tmp_path: Path) -> None:
    row = fact("x0_y0", PARTS, camera())
    config = {"lighting": {"ring_light": False}}
    write(tmp_path / "metadata.json", {"frames": {"trigger_0001/x0_y0": row | {"trigger": 1}}, "config": config})
    told = read_metadata(tmp_path, [])
    assert told.of(1, "x0_y0").light == "SolderLight" and told.of(0, "x0_y0").light == "WhiteLight"
    assert told.of(1, "x0_y0").camera == camera()
    for colours, light in ((([1, 1], [0, 0], [0, 0]), "SolderLight"), (([1, 1], [1, 1], [0.9, 1]), "WhiteLight")):
        layer = dict(zip(("color_r", "color_g", "color_b"), colours, strict=True))
        write(tmp_path / "metadata.json", {"lighting": {"layers": {"a": layer, "b": layer}}})
        assert read_metadata(tmp_path, []).rest.light == light


def seen_from(parts: tuple[Part, ...], cam: object) -> Instances:
    seen = things(parts)
    table = {str(n): {"path": t.path, **t.labels} for n, t in enumerate(seen, 1)}
    return make_instances(ids_of(seen, cam), table)


def test_scene_and_pixels_agree_part_by_part(tmp_path: Path) -> None:
    """The renderer here decides at pixel centres, the check fills polygons: two roads to one mask."""
    tree = read_tree(make_tree(tmp_path, WRONG, {"x0_y0": camera(size=(320, 240), px_per_mm=32)}))
    found = agreement(tree.frames[0], meshes(WRONG))
    parts = {path: one for path, one in found.items() if "/Parts/" in path}
    assert len(parts) == 3 and min(one.iou for one in parts.values()) > 0.99
    assert min(one.iou for one in found.values() if one.area > 30) > 0.95


def test_a_part_that_is_not_where_the_scene_says_is_found_out() -> None:
    cam = camera(size=(320, 240), px_per_mm=32)
    found = agree(seen_from(WRONG, cam), cam, meshes(PARTS))
    assert found[C1.path].iou < 0.85 and found[C2.path].iou < 0.6 and found[U1.path].iou > 0.97
    lost = agree(seen_from(PARTS, cam), cam, meshes(PARTS[1:]), only=[C1.path])
    assert list(lost) == [C1.path] and lost[C1.path].iou == 0


def test_perspective_and_yaw_are_those_of_the_camera() -> None:
    """With yaw 90 the picture has +y at its right; what is higher lies further out."""
    cam = replace(camera(), yaw=90, x=1.0, y=2.0)
    right = project(np.array([[1.0, 2.5, 0.0], [1.0, 2.0, 0.0], [1.5, 2.0, 0.0]]), cam)
    np.testing.assert_allclose(right, [[88, 60], [80, 60], [80, 68]])
    for turn in (0, 90, 180, 270):
        cam = replace(camera(), yaw=turn)
        here, there = project(np.array([[0.0, 0, 0], [0.7, -0.4, 0]]), cam)
        assert on_board((there[0] - here[0], there[1] - here[1]), cam) == pytest.approx((0.7, -0.4))
    near = replace(camera(), projection="perspective", z=10.0)
    low, high = project(np.array([[2.0, 0, 0], [2.0, 0, 5.0]]), near)
    assert high[0] - 80 == pytest.approx(2 * (low[0] - 80))


def test_what_others_cover_is_left_to_them() -> None:
    cover = Part(refdes="X1", x=C1.x + 0.5, y=C1.y, w=1.0, h=1.4, package="LID")
    cam = camera(size=(320, 240), px_per_mm=32)
    made = [
        replace(m, points=m.points + np.float32([0, 0, 2])) if m.instance == cover.path else m
        for m in meshes((C1, cover))
    ]
    seen = [t for t in things((C1, cover)) if t.path != cover.path] + [
        t for t in things((cover,)) if t.path == cover.path
    ]
    table = {str(n): {"path": t.path, **t.labels} for n, t in enumerate(seen, 1)}
    found = agree(make_instances(ids_of(seen, cam), table), cam, made)
    assert found[C1.path].iou > 0.97 and found[cover.path].iou > 0.97


def test_a_frame_without_camera_says_so(tmp_path: Path) -> None:
    write_frame(tmp_path, "x0_y0", PARTS, camera())
    with pytest.raises(DataError, match="no camera"):
        agreement(read_tree(tmp_path).frames[0], meshes(PARTS))
