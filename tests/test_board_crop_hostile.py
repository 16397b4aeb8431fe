"""Frames that are broken, hostile or half there: each costs one row; what earlier runs or others made stays."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from board_frames import CAMERAS, PARTS, camera, make_tree, write
from noescape.board.crop.job import crop_tree
from noescape.records import DataError, UsageError
from test_board_crop import files, rules, tree


def test_a_run_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    tree(tmp_path)
    first = files(tmp_path / "crop")
    for path in tmp_path.glob("trigger_0000/rgb_*.png"):
        path.write_bytes(b"x")
    with pytest.raises(DataError, match="none of 2 frames"):
        crop_tree(tmp_path, rules(), tmp_path)
    assert files(tmp_path / "crop") == first and not list(tmp_path.glob(".*"))


def test_a_killed_run_is_started_again(tmp_path: Path) -> None:
    tree(tmp_path)
    first = files(tmp_path / "crop")
    (tmp_path / "crop").rename(tmp_path / ".crop.part")
    (tmp_path / ".crop.part/old.png").write_bytes(b"x")
    crop_tree(tmp_path, rules(), tmp_path)
    assert files(tmp_path / "crop") == first and not list(tmp_path.glob(".*"))


def test_what_others_put_there_is_not_replaced(tmp_path: Path) -> None:
    make_tree(tmp_path, PARTS, CAMERAS)
    (tmp_path / "crop").mkdir()
    (tmp_path / "crop/mine.txt").write_text("x")
    with pytest.raises(UsageError, match="something else"):
        crop_tree(tmp_path, rules(), tmp_path)
    assert (tmp_path / "crop/mine.txt").read_text() == "x"


def _cut_short(folder: Path) -> None:
    path = folder / "rgb_x0_y0.png"
    path.write_bytes(path.read_bytes()[:200])


BROKEN = {
    "truncated picture": _cut_short,
    "no picture": lambda f: (f / "rgb_x0_y0.png").unlink(),
    "no labels": lambda f: (f / "semantic_segmentation_labels_x0_y0.json").unlink(),
    "labels are a list": lambda f: write(f / "semantic_segmentation_labels_x0_y0.json", []),
    "labels without class": lambda f: write(f / "semantic_segmentation_labels_x0_y0.json", {"(1, 2, 3)": {"class": 3}}),
    "a colour that no label names": lambda f: write(f / "semantic_segmentation_labels_x0_y0.json", {}),
    "a colour over 255": lambda f: write(
        f / "semantic_segmentation_labels_x0_y0.json", {"(1, 2, 300)": {"class": "a"}}
    ),
    "mask of another size": lambda f: shutil.copy(f / "small.png", f / "semantic_segmentation_x0_y0.png"),
    "a link that leads out": lambda f: (
        (f / "rgb_x0_y0.png").unlink(),
        (f / "rgb_x0_y0.png").symlink_to("/etc/passwd"),
    ),
    "broken numbers": lambda f: (f / "instance_segmentation_x0_y0.png").write_bytes(b"\x89PNG\r\n\x1a\n"),
    "numbers in colour": lambda f: shutil.copy(f / "rgb_x0_y0.png", f / "instance_segmentation_x0_y0.png"),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_frame_costs_one_row_and_nothing_else(how: str, tmp_path: Path) -> None:
    folder = make_tree(tmp_path, PARTS, CAMERAS) / "trigger_0000"
    (folder / "small.png").write_bytes((tmp_path / "trigger_0000/rgb_x1_y0.png").read_bytes())
    make_tree(tmp_path / "other", PARTS, {"x0_y0": camera(size=(64, 64))})
    shutil.copy(tmp_path / "other/trigger_0000/rgb_x0_y0.png", folder / "small.png")
    BROKEN[how](folder)
    done = crop_tree(tmp_path, rules(), tmp_path)
    assert {r["cell"] for r in done.rows} == {"x1_y0"} and len(done.problems) == 1
    assert done.problems[0].where == "trigger_0000/x0_y0"


def test_hostile_names_are_left_out_and_named(tmp_path: Path) -> None:
    folder = make_tree(tmp_path, PARTS, CAMERAS) / "trigger_0000"
    for name in ("rgb_a b.png", "rgb_'x'\n.png", "semantic_segmentation_..png", "rgb_.png"):
        (folder / name).write_bytes(b"x")
    done = crop_tree(tmp_path, rules(), tmp_path)
    assert len(done.rows) == 8 and len(done.problems) == 3
    assert all("\n" not in problem.where for problem in done.problems)


def test_colours_that_mean_two_things_are_refused(tmp_path: Path) -> None:
    folder = make_tree(tmp_path, PARTS, CAMERAS) / "trigger_0000"
    path = folder / "semantic_segmentation_labels_x1_y0.json"
    write(path, json.loads(path.read_text()) | {"(0, 0, 255, 255)": {"class": "resistor"}})
    done = crop_tree(tmp_path, rules(), tmp_path)
    assert {r["cell"] for r in done.rows} == {"x0_y0"} and "cannot say both" in str(done.problems[0])


def test_words_with_half_characters_are_named(tmp_path: Path) -> None:
    folder = make_tree(tmp_path, PARTS, CAMERAS) / "trigger_0000"
    write(folder / "semantic_segmentation_labels_x0_y0.json", {"\ud800": {"class": "capacitor"}})
    (problem,) = crop_tree(tmp_path, rules(), tmp_path).problems
    assert "ud800" in str(problem) and str(problem).encode("utf-8")
