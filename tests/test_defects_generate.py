"""Generating keeps its promises: exact labels, untouched surroundings, the same bytes again, a bad row costs a row."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from generator_maker import SIZE, board_set, cases, metal_set, tree_bytes, write
from noescape.datasets.anomalygen import read_anomalygen
from noescape.defects.generators.checkpoints import open_checkpoint
from noescape.defects.generators.exemplar.generator import ExemplarGenerator
from noescape.defects.generators.plan import plan
from noescape.defects.generators.recipe import ExemplarOptions, Recipe
from noescape.defects.generators.run import generate
from noescape.defects.generators.tree import COLUMNS, read_tree
from noescape.defects.placement.testcase import TestCase, read_testcases, write_testcases
from noescape.files import read_jsonl
from noescape.imaging import read_picture
from noescape.records import DataError, ImageError, UsageError

CONTRACT = (
    "output_filename,image_filename,mask_filename,anomaly_type,guidance,num_steps,seed,num_generated_images,"
    "crop_and_paste,crop_grid_X,crop_grid_Y,crop_ratio,poisson_blend,shift_values,rotation_angle,morph_operation,PSNR,"
    "index,guardrail_pass"
)


@pytest.fixture(scope="module")
def learnt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set and its checkpoint: <root>/raw, <root>/ck, <root>/testcase.jsonl."""
    root = tmp_path_factory.mktemp("learnt with space")
    fit(metal_set(root / "raw"), root / "ck")
    cases(root / "raw", root)
    return root


def fit(raw: Path, out: Path, **options: object) -> Path:
    recipe = Recipe(exemplar=ExemplarOptions.model_validate(options))
    return ExemplarGenerator.finetune(read_anomalygen(raw).require_usable(), recipe, out, lambda done, total: None)


def test_the_tree_and_its_table_are_those_of_the_contract(learnt: Path, tmp_path: Path) -> None:
    summary = generate(plan(learnt / "ck", learnt / "testcase.jsonl"), tmp_path / "out")
    assert summary["made"] == 6 and summary["failed"] == 0 and ",".join(COLUMNS) == CONTRACT
    lines = (tmp_path / "out" / "SDG_result.csv").read_text().splitlines()
    assert lines[0] == CONTRACT and lines[1].startswith("metal+dark_spot_00000.png,")
    for folder in ("reconstructed_image", "original_image", "original_mask", "annotated_image"):
        assert len(list((tmp_path / "out" / folder).iterdir())) == 6
    rows = list(read_jsonl(tmp_path / "out" / "provenance.jsonl"))
    crops = {f"metal+{r['output_filename'][6:-4]}_{j}.png" for r in rows for j in range(len(r["instances"]))}
    assert crops == {p.name for p in (tmp_path / "out" / "cropped_mask").iterdir()}
    assert [item.anomaly_type for item in read_tree(tmp_path / "out")] == [r["anomaly_type"] for r in rows]
    assert all(r["image_sha256"] and r["mask_sha256"] and r["checkpoint_sha256"] and r["parts"] for r in rows)


def test_outside_of_the_widened_label_the_picture_is_the_clean_one_to_the_bit(learnt: Path, tmp_path: Path) -> None:
    """And inside something is seen everywhere, and the label lies in the mask that was given."""
    generate(plan(learnt / "ck", learnt / "testcase.jsonl"), tmp_path / "out", seed=3)
    rows = list(read_jsonl(tmp_path / "out" / "provenance.jsonl"))
    given = read_testcases(learnt / "testcase.jsonl")
    for row, item, case in zip(rows, read_tree(tmp_path / "out"), given, strict=True):
        image, clean = read_picture(item.image).rgb.astype(int), read_picture(item.clean).rgb.astype(int)
        label = read_picture(item.mask).rgb[..., 0]
        assert (clean == read_picture(case.image).rgb).all()
        assert not (label & ~read_picture(case.mask).rgb[..., 0]).any() and set(np.unique(label)) == {0, 255}
        wide = cv2.dilate(label, np.ones((2 * row["widening_px"] + 1,) * 2, np.uint8))
        change = np.abs(image - clean).max(axis=2)
        assert change[wide == 0].max() == 0 and row["widening_px"] <= 4
        assert change[label > 0].mean() > 5 and row["outside_max_diff"] == 0


def test_the_same_bytes_whatever_the_number_of_workers(learnt: Path, tmp_path: Path) -> None:
    planned = plan(learnt / "ck", learnt / "testcase.jsonl")
    for name, workers in (("one", 1), ("four", 4)):
        generate(planned, tmp_path / name, workers=workers)
    assert tree_bytes(tmp_path / "one") == tree_bytes(tmp_path / "four")
    generate(planned, tmp_path / "other", seed=1)
    assert tree_bytes(tmp_path / "one") != tree_bytes(tmp_path / "other")


def test_killed_anywhere_it_goes_on_and_ends_with_the_same_bytes(learnt: Path, tmp_path: Path) -> None:
    jsonl = cases(learnt / "raw", tmp_path / "many", count=80)
    command = [sys.executable, "-m", "noescape", "defects", "generate", "--checkpoint-dir", str(learnt / "ck"),
               "--input-jsonl", str(jsonl), "--output-dir", str(tmp_path / "out"), "--workers", "2"]  # fmt: skip
    made = tmp_path / "out" / "reconstructed_image"
    for least in (3, 15):
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 30
        while child.poll() is None and (not made.is_dir() or len(list(made.glob("*.png"))) < least):
            assert time.monotonic() < deadline
            time.sleep(0.001)
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    assert not (tmp_path / "out" / "SDG_result.csv").exists()
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    generate(plan(learnt / "ck", jsonl), tmp_path / "whole")
    assert tree_bytes(tmp_path / "out") == tree_bytes(tmp_path / "whole")


def test_a_file_that_was_lost_or_altered_is_made_again(learnt: Path, tmp_path: Path) -> None:
    planned = plan(learnt / "ck", learnt / "testcase.jsonl")
    generate(planned, tmp_path / "out")
    whole = tree_bytes(tmp_path / "out")
    (tmp_path / "out" / "original_mask" / "metal+scratch_00003.png").write_bytes(b"no picture")
    generate(planned, tmp_path / "out")
    assert tree_bytes(tmp_path / "out") == whole


def test_bad_rows_cost_themselves_and_are_told(learnt: Path, tmp_path: Path) -> None:
    good = list(read_testcases(learnt / "testcase.jsonl"))
    raw, base = learnt / "raw", good[0]
    ramp = np.tile(np.arange(SIZE[1], dtype=np.uint8), (SIZE[0], 1))
    bad = {
        "size": write(tmp_path / "size.png", np.full((40, 40), 255, np.uint8)),
        "mask_blank": write(tmp_path / "blank.png", np.zeros(SIZE, np.uint8)),
        "not_binary": write(tmp_path / "grey.png", ramp),
        "unreadable": tmp_path / "nowhere.png",
    }
    rows = [base, *(base.model_copy(update={"mask_filename": str(p)}) for p in bad.values()), good[1]]
    rows.append(base.model_copy(update={"image_filename": str(raw / "no such image.png")}))
    write_testcases(tmp_path / "rows.jsonl", rows)
    summary = generate(plan(learnt / "ck", tmp_path / "rows.jsonl"), tmp_path / "out")
    assert (summary["asked"], summary["made"], summary["failed"]) == (7, 2, 5)
    errors = list(read_jsonl(tmp_path / "out" / "errors.jsonl"))
    assert [e["code"] for e in errors] == [*bad, "unreadable"] and [e["row"] for e in errors] == [1, 2, 3, 4, 6]
    assert all(str(tmp_path) not in e["reason"] and e["reason"] for e in errors)
    with (tmp_path / "out" / "SDG_result.csv").open(newline="") as f:
        assert [r["index"] for r in csv.DictReader(f)] == ["0", "5"]


def test_types_that_the_checkpoint_does_not_know_stop_it_before_it_starts(learnt: Path, tmp_path: Path) -> None:
    rows = [c.model_copy(update={"anomaly_type": "metal+rust"}) for c in read_testcases(learnt / "testcase.jsonl")]
    write_testcases(tmp_path / "rows.jsonl", rows)
    with pytest.raises(UsageError, match=r"metal\+rust \(6 rows\).*metal\+dark spot"):
        plan(learnt / "ck", tmp_path / "rows.jsonl")


def test_another_generation_is_not_mixed_in(learnt: Path, tmp_path: Path) -> None:
    planned = plan(learnt / "ck", learnt / "testcase.jsonl")
    generate(planned, tmp_path / "out")
    with pytest.raises(UsageError, match="another generation"):
        generate(planned, tmp_path / "out", seed=1)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("work of years")
    with pytest.raises(UsageError, match="other files"):
        generate(planned, tmp_path / "mine")
    generate(planned, tmp_path / "out", seed=1, overwrite=True)
    generate(planned, tmp_path / "fresh", seed=1)
    assert tree_bytes(tmp_path / "out") == tree_bytes(tmp_path / "fresh")


def test_a_row_may_ask_for_several_images_and_they_differ(learnt: Path, tmp_path: Path) -> None:
    jsonl = cases(learnt / "raw", tmp_path / "rows", count=1, num_generated_images=3)
    generate(plan(learnt / "ck", jsonl), tmp_path / "out")
    pictures = [read_picture(item.image).rgb for item in read_tree(tmp_path / "out")]
    assert len(pictures) == 3 and not (pictures[0] == pictures[1]).all() and not (pictures[1] == pictures[2]).all()


def test_guidance_scales_the_contrast(learnt: Path) -> None:
    step = open_checkpoint(learnt / "ck").path
    generator, (case, *_) = ExemplarGenerator.load(step), read_testcases(learnt / "testcase.jsonl")
    changes = []
    for guidance in (3.0, 7.0, 10.0):
        made = generator.infer(case.model_copy(update={"guidance": guidance}), np.random.default_rng(4))
        changes.append(np.abs(made.image.astype(int) - made.clean)[made.mask > 0].mean())
    assert changes[0] < changes[1] < changes[2]


def test_most_pictures_are_no_copies(learnt: Path, tmp_path: Path) -> None:
    jsonl = cases(learnt / "raw", tmp_path / "rows", count=30)
    copies = generate(plan(learnt / "ck", jsonl), tmp_path / "out")["near_copies"]
    assert copies["n"] == 30 and copies["count"] <= 15
    row = next(iter(read_jsonl(tmp_path / "out" / "provenance.jsonl")))
    assert -1 <= row["ncc"] <= 1 and row["most_like"].endswith(".png")


def test_parts_of_a_mask_are_drawn_one_by_one_up_to_the_number_asked_for(learnt: Path, tmp_path: Path) -> None:
    mask = np.zeros(SIZE, np.uint8)
    for x in (20, 60, 100):
        cv2.circle(mask, (x, 40), 6, 255, -1)
    path = write(tmp_path / "three.png", mask)
    clean = learnt / "raw" / "metal" / "clean_image" / "good 0.png"
    case = TestCase(image_filename=str(clean), mask_filename=str(path), anomaly_type="metal+dark spot")
    generator = ExemplarGenerator.load(open_checkpoint(learnt / "ck").path)
    made = generator.infer(case, np.random.default_rng(0))
    assert len(made.instances) == 3 and len(made.provenance["parts"]) == 3
    at_once = generator.infer(
        case.model_copy(update={"iteration_generation_max_instance": 2}), np.random.default_rng(0)
    )
    assert len(at_once.provenance["parts"]) == 1 and len(at_once.instances) == 3


def test_moves_that_a_row_still_asks_for_are_done(learnt: Path) -> None:
    case = read_testcases(learnt / "testcase.jsonl")[0]
    generator = ExemplarGenerator.load(open_checkpoint(learnt / "ck").path)
    (box, _), *_ = generator.infer(case, np.random.default_rng(0)).instances
    moved = case.model_copy(update={"shift_values": "6,-4"})
    (other, _), *_ = generator.infer(moved, np.random.default_rng(0)).instances
    assert np.abs(np.subtract(other, box) - (6, -4, 6, -4)).max() <= 1
    with pytest.raises(ImageError, match="marks nothing after"):
        generator.infer(case.model_copy(update={"shift_values": "5000,0"}), np.random.default_rng(0))


def test_jitter_changes_the_whole_picture_and_its_twin_alike(learnt: Path, tmp_path: Path) -> None:
    step = fit(learnt / "raw", tmp_path / "ck", jitter=True)
    case = read_testcases(learnt / "testcase.jsonl")[0]
    made = ExemplarGenerator.load(step).infer(case, np.random.default_rng(1))
    assert not (made.clean == read_picture(case.image).rgb).all() and made.provenance["jitter"]
    change = np.abs(made.image.astype(int) - made.clean).max(axis=2)
    assert change[cv2.dilate(made.mask, np.ones((9, 9), np.uint8)) == 0].max() == 0


def test_a_missing_component_of_another_shape_than_the_examples_leaves_bare_board(tmp_path: Path) -> None:
    raw = board_set(tmp_path / "raw")
    generator = ExemplarGenerator.load(fit(raw, tmp_path / "ck"))
    corner = np.zeros(SIZE, np.uint8)
    corner[30:60, 40:50] = corner[50:60, 40:80] = 255
    for cad in (True, False):  # without a CAD mask, the most usual colour nearby is taken for board
        case = TestCase(
            image_filename=str(raw / "board" / "clean_image" / "0.png"),
            mask_filename=str(write(tmp_path / "corner.png", corner)),
            anomaly_type="board+missing",
        )
        made = generator.infer(case, np.random.default_rng(0))
        inside = made.image[52:58, 42:78].reshape(-1, 3)
        assert np.abs(inside.mean(axis=0) - (40, 90, 50)).max() < 6 and inside.std(axis=0).min() > 0.5
        assert made.provenance["arm"] == "missing" and (made.mask > 0).sum() == (corner > 0).sum()
        if cad:
            (raw / "board" / "cad_mask" / "0.png").unlink()


def test_a_missing_component_shows_the_pads_that_the_examples_show(tmp_path: Path) -> None:
    """Turned with the place that is asked, and in its light: half as bright here as where the example was taken."""
    raw = board_set(tmp_path / "raw")
    for k in range(2):
        path = raw / "board" / "anomaly_image" / "missing" / f"{k}.png"
        gone = read_picture(path).rgb.copy()
        gone[32:58, 42:52] = gone[32:58, 68:78] = (200, 160, 80)
        write(path, gone)
    generator = ExemplarGenerator.load(fit(raw, tmp_path / "ck"))
    upright = np.zeros(SIZE, np.uint8)
    upright[20:60, 30:60] = 255
    dark = np.full((*SIZE, 3), (20, 45, 25), np.uint8)
    dark[20:60, 30:60] = 90
    case = TestCase(
        image_filename=str(write(tmp_path / "dark.png", dark)),
        mask_filename=str(write(tmp_path / "upright.png", upright)),
        anomaly_type="board+missing",
    )
    made = generator.infer(case, np.random.default_rng(0))
    for rows in (slice(24, 30), slice(50, 56)):
        assert np.abs(made.image[rows, 36:54].reshape(-1, 3).mean(axis=0) - (100, 80, 40)).max() < 12
    assert np.abs(made.image[38:42, 36:54].reshape(-1, 3).mean(axis=0) - (20, 45, 25)).max() < 6
    assert made.provenance["parts"][0]["exemplar"] and (made.mask > 0).sum() == (upright > 0).sum()


def test_refining_keeps_the_better_pictures_and_the_filter_fails_the_rest(learnt: Path, tmp_path: Path) -> None:
    from noescape.defects.quality.filter import SearchOptions

    planned = plan(learnt / "ck", learnt / "testcase.jsonl")
    generate(planned, tmp_path / "out", look=SearchOptions(rounds=1))
    with (tmp_path / "out" / "SDG_result.csv").open(newline="") as f:
        rows = list(csv.DictReader(f))
    assert {r["source"] for r in rows} <= {"original", "round_1"} and all(-1 <= float(r["nn_score"]) <= 1 for r in rows)
    summary = generate(planned, tmp_path / "none", look=SearchOptions(threshold=2.0, tries=1))
    assert summary["made"] == 0 and summary["failures"] == {"below_threshold": 6}


def test_a_tree_that_is_not_whole_is_refused_with_every_gap(learnt: Path, tmp_path: Path) -> None:
    generate(plan(learnt / "ck", learnt / "testcase.jsonl"), tmp_path / "inference")
    assert len(read_tree(tmp_path)) == 6  # as workflows nest it
    (tmp_path / "inference" / "original_mask" / "metal+scratch_00001.png").unlink()
    (tmp_path / "inference" / "original_image" / "metal+scratch_00003.png").unlink()
    with pytest.raises(DataError, match=r"(?s)line 3: original_mask/.*line 5: original_image/"):
        read_tree(tmp_path)
    assert json.loads((tmp_path / "inference" / "summary.json").read_text())["made"] == 6
