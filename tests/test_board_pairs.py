"""Pairs of good and defective renders: matched by cell, light and part; masks exact; a table that readers know."""

from __future__ import annotations

import csv
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from board_frames import CAMERAS, PARTS, camera, make_tree, write
from noescape.board.crop.instances import read_ids
from noescape.board.crop.pairs import Pairs, build_pairs
from noescape.cli.main import main
from noescape.datasets.changenet_write import COLUMNS
from noescape.imaging import read_picture
from noescape.records import DataError, UsageError

C1, C2, C3, U1 = PARTS
WRONG = (C1.moved(0.25, -0.125), C2.moved(0.3, 0.2, 75, mode="tombstone"), C3.missing(), U1)


def renders(root: Path, **changes: object) -> tuple[Path, Path]:
    return make_tree(root / "good", PARTS, CAMERAS), make_tree(root / "wrong", WRONG, CAMERAS, seed=1)


def built(root: Path, **options: object) -> Pairs:
    good, wrong = renders(root)
    return build_pairs(good, wrong, root / "pairs", **({"min_coverage": 0.1} | options))  # type: ignore[arg-type]


def table(root: Path) -> list[dict[str, str]]:
    with (root / "pairs/pairs.csv").open(newline="", encoding="utf-8") as f:
        return list(csv.DictReader(f))


def files(root: Path) -> dict[str, bytes]:
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def test_each_defective_component_gives_a_pair_over_both_places(tmp_path: Path) -> None:
    done = built(tmp_path)
    assert Counter(r["label"] for r in done.rows) == {"shift": 2, "tombstone": 2, "missing": 2, "PASS": 2}
    for row in (r for r in done.rows if r["label"] != "PASS"):
        x0, y0, x1, y1 = row["box"]
        name = f"{row['object_name']}_SolderLight"
        ids = {}
        for side, tree in (("golden", "good"), ("defect", "wrong")):
            folder = tmp_path / tree / "trigger_0000"
            whole = read_picture(folder / f"rgb_{row['frame']}.png").rgb
            shown = read_picture(tmp_path / "pairs" / side / f"{name}.png").rgb
            np.testing.assert_array_equal(shown, whole[y0:y1, x0:x1])
            numbers = read_ids(folder / f"instance_segmentation_{row['frame']}.png")
            mapping = json.loads((folder / f"instance_segmentation_mapping_{row['frame']}.json").read_text())
            ref = row["comp_name"]
            own = [
                int(n)
                for n, e in mapping.items()
                if e["refdes" if "refdes" in e else "path"] == ref and "/Parts/" in e["path"]
            ]
            ids[side] = np.isin(numbers, own)
        mask = read_picture(tmp_path / "pairs/mask" / f"{name}.png").rgb[..., 0] > 0
        np.testing.assert_array_equal(mask, (ids["golden"] | ids["defect"])[y0:y1, x0:x1])
        assert mask.sum() == (ids["golden"] | ids["defect"]).sum(), "all of the part is in the crop, in either place"


def test_a_shift_is_measured_as_it_was_drawn(tmp_path: Path) -> None:
    """The middle of the pixels went as many mm as metadata.json says (to a tenth of a pixel)."""
    built(tmp_path)
    for cell in CAMERAS:
        told = json.loads((tmp_path / f"pairs/mask/{cell}_C0603_C1_SolderLight.json").read_text())
        assert told["drawn"]["dx"] == 0.25 and told["drawn"]["dy"] == -0.125
        assert told["measured_mm"] == pytest.approx([0.25, -0.125], abs=0.1 / 16)
    assert json.loads((tmp_path / "pairs/mask/x0_y0_C0402_C3_SolderLight.json").read_text())["measured_mm"] is None


def test_the_table_has_the_columns_and_every_file_it_names(tmp_path: Path) -> None:
    built(tmp_path)
    rows = table(tmp_path)
    assert tuple(rows[0]) == COLUMNS
    for row in rows:
        for column in ("input_path", "golden_path"):
            assert (tmp_path / "pairs" / row[column] / f"{row['object_name']}_SolderLight.png").is_file()
        assert (row["label"] == "PASS") == (row["input_path"] == "pass") == (row["mpass_mfail"] == "MPASS")
    pairs = tmp_path / "pairs"
    count = {folder: len(list((pairs / folder).glob("*.png"))) for folder in ("golden", "defect", "pass", "mask")}
    assert count == {"golden": 8, "defect": 6, "pass": 2, "mask": 6}
    u1 = next(row for row in rows if row["comp_name"] == "U1")
    assert (u1["label"], u1["number_of_pins"], u1["part_type"], u1["boardname"]) == ("PASS", "8", "SOIC8", "demo_x0_y0")


@pytest.mark.parametrize(("most", "left"), [(0, 0), (1, 1), (99, 2)])
def test_rows_of_good_parts_are_as_many_as_asked_for(most: int, left: int, tmp_path: Path) -> None:
    done = built(tmp_path, pass_rows=most)
    assert sum(r["label"] == "PASS" for r in done.rows) == left == len(list((tmp_path / "pairs").glob("pass/*.png")))
    assert len(list((tmp_path / "pairs/golden").iterdir())) == len(done.rows) == len(table(tmp_path))


def test_a_good_part_beside_a_defective_one_is_no_pass_row(tmp_path: Path) -> None:
    good = make_tree(tmp_path / "good", PARTS, CAMERAS)
    wrong = make_tree(tmp_path / "wrong", (C1, C2, C3, U1.moved(-2.5, 0.4)), CAMERAS)
    done = build_pairs(good, wrong, tmp_path / "out", min_coverage=0.05)
    assert {r["comp_name"] for r in done.rows if r["label"] == "PASS"} == {"C1", "C2"} and done.skipped[
        "near_defect"
    ] == 2


def test_whole_frames(tmp_path: Path) -> None:
    good, wrong = renders(tmp_path)
    make_tree(tmp_path / "more_good", PARTS, CAMERAS | {"x2_y0": camera(0.1)})
    make_tree(tmp_path / "more_wrong", PARTS, {"x2_y0": camera(0.1)})
    done = build_pairs(good, wrong, tmp_path / "pairs", mode="frame")
    assert [(r["label"], r["object_name"]) for r in done.rows] == [("missing+shift+tombstone", c) for c in CAMERAS]
    mask = read_picture(tmp_path / "pairs/mask/x0_y0_SolderLight.png").rgb[..., 0] > 0
    assert mask.shape == (120, 160) and mask.any()
    done = build_pairs(tmp_path / "more_good", tmp_path / "more_wrong", tmp_path / "pairs", mode="frame")
    assert [r["label"] for r in done.rows] == ["PASS"] and len(done.problems) == 2


def test_frames_without_a_partner_cost_one_row_each(tmp_path: Path) -> None:
    good = make_tree(tmp_path / "good", PARTS, CAMERAS)
    wrong = make_tree(tmp_path / "wrong", WRONG, {"x0_y0": camera(), "x7_y7": camera()})
    done = build_pairs(good, wrong, tmp_path / "out", min_coverage=0.1)
    assert {r["frame"] for r in done.rows} == {"x0_y0"}
    assert sorted(p.where for p in done.problems) == ["trigger_0000/x1_y0", "trigger_0000/x7_y7"]
    assert all("unpaired" in str(p) for p in done.problems)


def test_frames_under_another_light_or_from_elsewhere_are_no_pair(tmp_path: Path) -> None:
    good = make_tree(tmp_path / "good", PARTS, CAMERAS)
    white = make_tree(tmp_path / "white", WRONG, CAMERAS, ring=False)
    with pytest.raises(DataError, match="under WhiteLight"):
        build_pairs(good, white, tmp_path / "out")
    moved = make_tree(tmp_path / "moved", WRONG, {"x0_y0": camera(0.1), "x1_y0": CAMERAS["x1_y0"]})
    done = build_pairs(good, moved, tmp_path / "out", min_coverage=0.1)
    assert {r["frame"] for r in done.rows} == {"x1_y0"} and "another camera" in str(done.problems[0])
    both = make_tree(tmp_path / "good_white", PARTS, CAMERAS, ring=False)
    build_pairs(both, white, tmp_path / "out", min_coverage=0.1)
    assert all(p.stem.endswith("_WhiteLight") for p in (tmp_path / "out/golden").iterdir())


def test_broken_frames_and_strange_designators(tmp_path: Path) -> None:
    good, wrong = renders(tmp_path)
    (wrong / "trigger_0000/rgb_x0_y0.png").write_bytes(b"")
    path = wrong / "trigger_0000/instance_segmentation_mapping_x1_y0.json"
    told = json.loads(path.read_text())
    for entry in told.values():
        if entry.get("refdes") == "U1":
            entry["package"] = '=cmd|"x"'
    write(path, told)
    done = build_pairs(good, wrong, tmp_path / "pairs", min_coverage=0.1)
    assert {r["frame"] for r in done.rows} == {"x1_y0"} and len(done.problems) == 1


def test_parts_unknown_to_the_good_render_are_counted(tmp_path: Path) -> None:
    good = make_tree(tmp_path / "good", PARTS[1:], CAMERAS)
    wrong = make_tree(tmp_path / "wrong", WRONG, CAMERAS)
    done = build_pairs(good, wrong, tmp_path / "out", min_coverage=0.1)
    assert done.skipped["no_golden"] == 2 and "C1" not in {r["comp_name"] for r in done.rows}


def test_same_renders_same_bytes_and_others_folders_stay(tmp_path: Path) -> None:
    built(tmp_path)
    first = files(tmp_path / "pairs")
    built(tmp_path)
    assert files(tmp_path / "pairs") == first
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/x").write_text("x")
    with pytest.raises(UsageError, match="something else"):
        build_pairs(tmp_path / "good", tmp_path / "wrong", tmp_path / "mine")


def test_a_turned_camera_measures_along_the_board(tmp_path: Path) -> None:
    from noescape.board.crop.agreement import on_board

    assert on_board((16, 0), replace(camera(), yaw=90)) == pytest.approx((0, 1))


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, wrong = renders(tmp_path)
    command = ["board", "pairs", str(good), str(wrong), "--out", str(tmp_path / "pairs"), "--min-coverage", "0.1"]
    assert main([*command, "--pass-rows", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["labels"] == {"PASS": 1, "missing": 2, "shift": 2, "tombstone": 2}
    assert main([*command, "--offset", "-1"]) == 2
    with pytest.raises(SystemExit):
        main([*command, "--pass-rows", "some"])
    assert main([*command[:3], str(tmp_path / "nowhere"), *command[4:]]) == 1
