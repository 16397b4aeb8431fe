"""Crops by label rules: every rule as written, caps that are fair, one bad frame one row, same bytes."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy import ndimage

from board_frames import CAMERAS, COLOURS, PARTS, Part, camera, make_tree, write
from noescape.board.crop.config import CropConfig, parse_crop_config, read_crop_config, with_max_emit
from noescape.board.crop.job import Cropped, crop_tree
from noescape.board.crop.palette import Meaning, Palette, read_palette
from noescape.board.crop.rois import bridge_pairs, find_rois, labelled_mask, spread
from noescape.cli.main import main
from noescape.imaging import read_picture
from noescape.records import DataError, UsageError

DIRS = {"capacitor": "passive_component", "ic": "IC"}
PALETTE: Palette = {colour: Meaning(classes=(name,)) for name, colour in COLOURS.items()}


def rules(**changes: object) -> CropConfig:
    return CropConfig.model_validate(
        {"classes": ["capacitor", "ic"], "morph_kernel": 1, "min_coverage": 0.1, "class_dirs": DIRS} | changes
    )


def files(root: Path) -> dict[str, bytes]:
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def paint(*boxes: tuple[str, int, int, int, int], size: tuple[int, int] = (80, 100)) -> np.ndarray:
    out = np.zeros((*size, 3), np.uint8)
    for name, x0, y0, x1, y1 in boxes:
        out[y0:y1, x0:x1] = COLOURS[name]
    return out


def test_each_region_is_what_hangs_together_with_an_anchor() -> None:
    """Pad and solder join by the closing; a lone pad, and one further away than it reaches, do not."""
    picture = paint(
        ("pad", 20, 20, 30, 30), ("capacitor", 32, 20, 44, 30), ("pad", 60, 20, 70, 30), ("solder", 48, 20, 50, 30)
    )
    found = find_rois(picture, PALETTE, rules(min_coverage=0.1))
    assert [roi.tight for roi in found.rois] == [(20, 20, 44, 30)]
    assert found.skipped == {"no_target": 2}
    (roi,) = found.rois
    assert roi.box == (10, 10, 54, 40) and roi.kind == "capacitor" and roi.material == "passive_component"
    assert roi.coverage == pytest.approx((10 * 10 + 12 * 10 + 2 * 10) / (44 * 30))


def test_the_ground_joins_nothing() -> None:
    """A labelled board under everything would make one region of all."""
    picture = paint(("pcb", 0, 0, 100, 80), ("capacitor", 20, 20, 40, 30), ("capacitor", 60, 50, 80, 60))
    assert len(find_rois(picture, PALETTE, rules()).rois) == 2
    assert find_rois(picture, PALETTE, rules(ground_classes=())).skipped == {"edge": 1}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"min_area": 201}, "min_area"),
        ({"max_area": 199}, "max_area"),
        ({"offset": 40}, "low_coverage"),
        ({"classes": ["ic"]}, "no_target"),
    ],
)
def test_every_rule_leaves_out_and_counts(change: dict[str, object], why: str) -> None:
    picture = paint(("capacitor", 30, 30, 50, 40))
    assert len(find_rois(picture, PALETTE, rules()).rois) == 1
    assert find_rois(picture, PALETTE, rules(**change)).skipped == {why: 1}


@pytest.mark.parametrize("box", [(0, 30, 20, 40), (30, 0, 50, 10), (80, 30, 100, 40), (30, 70, 50, 80)])
def test_what_touches_the_border_is_left_out_unless_wanted(box: tuple[int, int, int, int]) -> None:
    picture = paint(("capacitor", *box))
    assert find_rois(picture, PALETTE, rules()).skipped == {"edge": 1}
    (roi,) = find_rois(picture, PALETTE, rules(edge_skip=False)).rois
    assert roi.tight == box and min(roi.box) >= 0 and roi.box[2] <= 100 and roi.box[3] <= 80


def test_the_class_is_that_of_most_anchor_pixels() -> None:
    picture = paint(("ic", 20, 20, 60, 26), ("capacitor", 20, 26, 60, 31), ("pad", 20, 31, 60, 60))
    (roi,) = find_rois(picture, PALETTE, rules()).rois
    assert (roi.kind, roi.material) == ("ic", "IC")
    (roi,) = find_rois(picture, PALETTE, rules(classes=["capacitor"], class_dirs={})).rois
    assert (roi.kind, roi.material) == ("capacitor", "component")


def test_regions_equal_those_of_a_plain_walk() -> None:
    """Random boxes against scipy's labelling of a closing written out: same boxes, areas, classes and reasons."""
    rng = np.random.default_rng(5)
    config = rules(morph_kernel=2, min_area=20, max_area=900, min_coverage=0.45, offset=4)
    near = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5)) > 0
    for _ in range(25):
        names = [("capacitor", "ic", "solder", "pad")[k] for k in rng.integers(0, 4, 14)]
        at = rng.integers(0, [88, 68], (14, 2))
        picture = paint(
            *((n, x, y, x + rng.integers(2, 14), y + rng.integers(2, 14)) for n, (x, y) in zip(names, at, strict=True))
        )
        found = find_rois(picture, PALETTE, config)
        labelled = picture.any(axis=2)
        closed = ndimage.binary_erosion(ndimage.binary_dilation(labelled, near), near, border_value=1)
        regions, count = ndimage.label(closed, np.ones((3, 3)))
        expected, why = [], Counter[str]()
        for k in range(1, count + 1):
            ys, xs = np.nonzero(regions == k)
            votes = [int((picture[ys, xs] == COLOURS[name]).all(axis=1).sum()) for name in config.classes]
            tight = (int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1)
            x0, y0, x1, y1 = max(0, tight[0] - 4), max(0, tight[1] - 4), min(100, tight[2] + 4), min(80, tight[3] + 4)
            reason = (
                "no_target" if not any(votes)
                else "min_area" if len(xs) < 20
                else "max_area" if len(xs) > 900
                else "edge" if tight[0] == 0 or tight[1] == 0 or tight[2] == 100 or tight[3] == 80
                else "low_coverage" if labelled[y0:y1, x0:x1].mean() < 0.45
                else ""
            )  # fmt: skip
            if reason:
                why[reason] += 1
            else:
                expected.append((tight, (x0, y0, x1, y1), len(xs), config.classes[votes[1] > votes[0]]))
        assert sorted(expected) == sorted((r.tight, r.box, r.area, r.kind) for r in found.rois)
        assert why == found.skipped


def test_a_cap_takes_from_everywhere() -> None:
    rois = find_rois(
        paint(*(("capacitor", 5 + 20 * k, 10, 15 + 20 * k, 20) for k in range(4))), PALETTE, rules(min_coverage=0)
    ).rois
    assert [r.tight[0] for r in spread(rois, 2)] == [5, 45] and spread(rois, None) == list(rois) == spread(rois, 9)


def test_bridges_are_pairs_near_each_other() -> None:
    picture = paint(("capacitor", 10, 10, 22, 20), ("capacitor", 36, 10, 48, 20), ("ic", 72, 10, 90, 20))
    config = rules(min_coverage=0, bridge=True, bridge_dis=14)
    found, labelled = find_rois(picture, PALETTE, config), labelled_mask(picture, PALETTE, config.ground_classes)
    (pair,) = bridge_pairs(found, labelled, config)
    assert (pair.tight, pair.box, pair.material) == ((10, 10, 48, 20), (0, 0, 58, 30), "bridge")
    assert bridge_pairs(found, labelled, rules(bridge_dis=13.9)) == []
    assert len(bridge_pairs(found, labelled, rules(bridge_dis=24))) == 2
    assert len(bridge_pairs(found, labelled, rules(bridge_dis=24, bridge_classes=["capacitor"]))) == 1


def tree(root: Path, **changes: object) -> Cropped:
    make_tree(root, PARTS, CAMERAS)
    return crop_tree(root, rules(**changes), root)


def test_crops_are_cut_out_of_picture_and_mask_at_the_same_place(tmp_path: Path) -> None:
    done = tree(tmp_path)
    assert Counter((r["material"], r["cell"]) for r in done.rows) == {
        (m, c): n for c in CAMERAS for m, n in (("passive_component", 3), ("IC", 1))
    }
    for row in done.rows:
        x0, y0, x1, y1 = row["box"]
        for kind, file in (("rgb", row["image"]), ("semantic_segmentation", row["cad_mask"])):
            whole = read_picture(tmp_path / "trigger_0000" / f"{kind}_{row['cell']}.png").rgb
            if kind != "rgb":
                whole = np.where((whole == COLOURS["pcb"]).all(axis=2, keepdims=True), 0, whole)  # bare board is black
            np.testing.assert_array_equal(read_picture(tmp_path / "crop" / file).rgb, whole[y0:y1, x0:x1])
    first = next(r for r in done.rows if r["material"] == "IC")
    assert first["image"] == "IC/x0_y0/normal_img/0001.png" and first["refdes"] == ["U1"]
    assert first["cad_mask"] == "IC/x0_y0/cad_mask/0001_cad_mask.png"
    palette = read_palette(json.loads((tmp_path / "crop/semantic_segmentation_labels.json").read_text()), "labels")
    assert {colour: meaning for colour, meaning in palette.items() if meaning.names} == {
        colour: meaning for colour, meaning in PALETTE.items() if meaning.names != ("pcb",)
    }
    stats = json.loads((tmp_path / "crop/sdg_crop_stats.json").read_text())
    assert stats["n_emitted"] == 8 and stats["skipped_edge"] == 0 and stats["frames"] == 2


def test_caps_hold_per_material_and_cell(tmp_path: Path) -> None:
    """Not over all cells together: every cell and material gives its share."""
    done = tree(tmp_path, max_emit=2)
    assert Counter((r["material"], r["cell"]) for r in done.rows) == {
        ("passive_component", "x0_y0"): 2, ("IC", "x0_y0"): 1, ("passive_component", "x1_y0"): 2, ("IC", "x1_y0"): 1,
    }  # fmt: skip
    assert done.skipped["max_emit"] == 2


def test_same_frames_same_bytes_and_a_second_run_replaces_the_first(tmp_path: Path) -> None:
    tree(tmp_path / "a")
    first = files(tmp_path / "a/crop")
    crop_tree(tmp_path / "a", rules(max_emit=1), tmp_path / "a")
    assert len(files(tmp_path / "a/crop")) < len(first)
    shutil.copytree(tmp_path / "a", tmp_path / "elsewhere")
    crop_tree(tmp_path / "elsewhere", rules(), tmp_path / "b")
    assert files(tmp_path / "b/crop") == first


def test_a_photo_laid_on_its_render_is_one_frame_without_cells(tmp_path: Path) -> None:
    make_tree(tmp_path / "made", PARTS, {"0000": camera()})
    shutil.copytree(tmp_path / "made/trigger_0000", tmp_path / "aligned")
    (tmp_path / "aligned/rgb_0000.png").rename(tmp_path / "aligned/aligned_crop.png")
    done = crop_tree(tmp_path, rules(source="aligned"), tmp_path)
    assert sorted(r["image"] for r in done.rows)[:2] == [
        "IC/normal_img/0001.png",
        "passive_component/normal_img/0001.png",
    ]


def test_frames_of_further_triggers_keep_apart(tmp_path: Path) -> None:
    make_tree(tmp_path, PARTS, CAMERAS)
    make_tree(tmp_path, PARTS, CAMERAS, trigger=1)
    cells = {r["cell"] for r in crop_tree(tmp_path, rules(), tmp_path).rows}
    assert cells == {"x0_y0", "x1_y0", "0001_x0_y0", "0001_x1_y0"}
    assert {r["cell"] for r in crop_tree(tmp_path, rules(source="trigger_0000"), tmp_path).rows} == {"x0_y0", "x1_y0"}
    assert {r["cell"] for r in crop_tree(tmp_path, rules(pattern="x1_*"), tmp_path).rows} == {"x1_y0", "0001_x1_y0"}


def test_nothing_to_crop_says_which_rule(tmp_path: Path) -> None:
    make_tree(tmp_path, PARTS, CAMERAS)
    with pytest.raises(DataError, match=r"left out: \d+ no_target"):
        crop_tree(tmp_path, rules(classes=["resistor"]), tmp_path)
    with pytest.raises(DataError, match="no frame"):
        crop_tree(tmp_path, rules(pattern="y*"), tmp_path)
    assert not (tmp_path / "crop").exists()


def test_the_cookbook_form_is_read_and_unknown_keys_are_named() -> None:
    crop = {
        "source": "trigger_0000", "pattern": "x*_y*", "classes": ["Capacitor"], "morph_kernel": 1, "max_emit": 10,
        "bridge": False, "class_dirs": {"capacitor": "passive_component"},
    }  # fmt: skip
    text = {"output": {"dir": "__OUTPUT__"}, "crop": crop}
    config = parse_crop_config(text, name="day0_crop.yaml")
    assert config.material("capacitor") == "passive_component" and config.max_emit == 10
    text |= {"crop": crop | {"min_covrage": 0.1, "offset": -1}, "outptu": {}}
    with pytest.raises(UsageError) as error:
        parse_crop_config(text, name="day0_crop.yaml")
    for word in ("did you mean 'crop.min_coverage'", "crop.offset", "did you mean 'output'"):
        assert word in str(error.value)


@pytest.mark.parametrize("material", ["../out", "a/b", "bridge", "A+B", ""])
def test_a_material_that_is_no_folder_is_refused(material: str) -> None:
    with pytest.raises(UsageError, match="folder of a material"):
        parse_crop_config({"crop": {"classes": ["ic"], "class_dirs": {"ic": material}}}, name="c")


def test_the_knob_of_the_cap() -> None:
    config = rules(max_emit=7)
    assert [with_max_emit(config, t).max_emit for t in (None, "", "null", "3")] == [7, 7, None, 3]
    for text in ("0", "-1", "x", "1.5", "٣", "9" * 30):
        with pytest.raises(UsageError, match="crop_max_emit"):
            with_max_emit(config, text)


def test_a_cap_on_crops_is_refused_where_there_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By component, and on a photo laid on its render; the right knob is named, and "" means not given."""
    photo = rules(source="aligned")
    assert with_max_emit(photo, "") == photo
    with pytest.raises(UsageError, match=r"crop_max_emit '5' does not exist here.*crop\.classes"):
        with_max_emit(photo, "5")
    given = ["board", "crop", str(tmp_path), "--by", "defect", "--crop-max-emit", "5", "--out", str(tmp_path / "out")]
    assert main(given) == 2
    assert "render_patches" in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frames = make_tree(tmp_path / "frames", PARTS, CAMERAS)
    write(tmp_path / "day0_crop.yaml", {"crop": {"classes": ["capacitor"], "class_dirs": DIRS}})
    command = ["board", "crop", str(frames), "--config", str(tmp_path / "day0_crop.yaml"), "--out", str(frames)]
    assert main([*command, "--crop_max_emit", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["by_material"] == {"passive_component": 2}
    assert read_crop_config(frames / "day0_crop.yaml").max_emit == 1
    assert main([*command, "--crop-max-emit", "0"]) == 2
    assert main(["board", "crop", str(frames), "--by", "defect", "--out", str(frames), "--crop-max-emit", "5"]) == 2
    assert "render_patches" in capsys.readouterr().err
    assert main(["board", "crop", str(tmp_path / "nowhere"), *command[3:]]) == 1


def test_a_hundred_crops_of_a_large_frame_take_less_than_two_seconds(tmp_path: Path) -> None:
    import time

    parts = [Part(refdes=f"C{n}", x=-50 + 10 * (n % 11), y=-25 + 5 * (n // 11)) for n in range(110)]
    make_tree(tmp_path, parts, {"x0_y0": camera(size=(1920, 1080))})
    start = time.process_time()
    assert len(crop_tree(tmp_path, rules(min_coverage=0.1), tmp_path).rows) == 110
    assert time.process_time() - start < 2
