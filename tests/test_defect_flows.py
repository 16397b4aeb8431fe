"""The defect flows, run for real and small, from raw sets to labelled images; and valid on a cluster."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dataset_maker import tree
from noescape.cli.main import main
from noescape.defects.generators.tree import read_tree
from noescape.flow.cards.catalog import find
from noescape.flow.cards.resolve import resolve
from noescape.flow.format.load import load, require
from raw_maker import make_screens, make_tiles, zipped

MANUAL = "texture_defect_generation_day1_manual_roi"
OIL = 'anomaly_types_json=[["Phone","oil"]]'
TYPES = '[["metal_surface","MT_Blowhole"],["metal_surface","MT_Crack"]]'


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with both raw sets, in which the setup flows have run; the current folder of all tests here."""
    folder = tmp_path_factory.mktemp("place with a blank")
    make_tiles(folder / "tiles", per_type=3, good=5, captures=2)
    zipped(make_screens(folder / "screens", examples=2, clean=3), folder / "zips" / "mobile_screen.zip")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("NOESCAPE_CONFIG_DIR", str(folder / "config"))
        patch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
        patch.setenv("SOURCE_DATE_EPOCH", "1750000000")
        assert main(["flow", "run", "setup_metal", "--set", "dig_url_root=./dig", "uc2_url_root=tiles"]) == 0
        assert main(["flow", "run", "setup_glass", "--set", "dig_url_root=./dig", "uc3_zip_url_root=zips"]) == 0
        fitted = ["fit_usecases=pcb,metal_surface"]
        assert main(["flow", "run", "setup_pretrained", "--set", "dig_url_root=./dig", *fitted]) == 0
        yield folder


def test_the_setup_flows_leave_the_tree_that_the_others_read(place: Path) -> None:
    dig = place / "dig"
    assert (dig / "datasets/metal_surface/raw/metal_surface/mask/MT_Crack").is_dir()
    assert (dig / "datasets/glass/raw/Phone/mask/oil").is_dir()
    assert (dig / "models/metal_surface/checkpoints/model/iter_000010000/checkpoint.json").is_file()
    assert (dig / "models/pretrained/base_models.json").is_file()
    assert not (dig / "models/pcb").exists(), "without examples there is no checkpoint, not even an empty one"


def test_with_the_checkpoint_it_ends_with_the_images_that_were_asked_for(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["usecase=metal_surface", "dig_url_root=./dig", f"anomaly_types_json={TYPES}", "score=false"]
    assert main(["flow", "run", MANUAL, "--images", "3", "--name", "one", "--set", *given]) == 0
    said = capsys.readouterr().out
    anomaly = place / "dig" / "runs" / "one" / "anomaly"
    assert f"results:          {anomaly}/inference" in said and "gave 3 of 3" in said
    made = read_tree(anomaly)
    assert [item.anomaly_type for item in made].count("metal_surface+MT_Blowhole") == 2 and len(made) == 3
    names = {p.name for p in (anomaly / "inference").iterdir()}
    assert names >= {
        "reconstructed_image", "annotated_image", "cropped_image", "cropped_mask", "original_image", "original_mask",
        "SDG_result.csv", "labels",
    }  # fmt: skip
    labels = json.loads((anomaly / "inference/labels/coco/coco_annotations.json").read_text("utf-8"))
    assert len(labels["annotations"]) >= 3 and (anomaly / "sheet.png").is_file()
    assert str(place) not in (anomaly / "inference/SDG_result.csv").read_text("utf-8")


def test_without_the_checkpoint_it_is_finetuned_first_and_scored_in_the_end(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["usecase=glass", "dig_url_root=./dig", "use_pretrained_checkpoint=false", "num_sdg=3", OIL]
    assert main(["flow", "run", MANUAL, "--name", "two", "--set", *given, "--json"]) == 0
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last["results"]["made"] == last["results"]["asked"] == 3
    run = place / "dig" / "runs" / "two"
    assert (run / "finetune/checkpoints/best_checkpoint.txt").is_file()
    assert (run / "finetune/validation/validation.jsonl").is_file()
    assert json.loads((run / "quality/quality.json").read_text("utf-8"))
    before = tree(run)
    assert main(["flow", "resume", "two-1"]) == 0
    assert "kept" in capsys.readouterr().out and tree(run) == before


def test_finetune_leaves_a_checkpoint_by_step_also_for_a_use_case_of_ones_own(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = place / "dig/datasets/my_part/raw"
    shutil.copytree(place / "dig/datasets/glass/raw", raw)
    (raw / "ag_config.yaml").write_text("max_iter: 300\nanomaly_types: [[Phone, stain]]\n", "utf-8")
    given = ["usecase=my_part", "dig_url_root=./dig", "name=three"]
    assert main(["flow", "run", "finetune", "--set", *given]) == 0
    assert "gave 1 result\n" in capsys.readouterr().out
    step = place / "dig/runs/three/finetune/checkpoints/model/iter_000000300/checkpoint.json"
    assert json.loads(step.read_text("utf-8"))["anomaly_types"] == ["Phone+stain"]


def test_what_is_not_there_is_said_with_the_command_that_makes_it(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = sorted((place / "flow-runs").iterdir())
    assert main(["flow", "run", MANUAL, "--set", "usecase=metal_surface", "dig_url_root=./new"]) == 2
    said = capsys.readouterr().err
    assert "./new/datasets/metal_surface/raw (read by config, anomaly-infer, score)" in said
    assert "noescape flow run setup_metal --set dig_url_root=./new 'uc2_url_root=<uc2_url_root>'" in said
    assert "noescape flow run setup_pretrained --set dig_url_root=./new" in said
    assert main(["flow", "run", "setup_metal", "--set", "dig_url_root=./new", "uc2_url_root=./nowhere"]) == 2
    assert "./nowhere" in capsys.readouterr().err
    assert main(["flow", "run", "setup_metal", "--set", "dig_url_root=./new"]) == 2
    assert "Where is the magnetic-tile set?" in capsys.readouterr().err
    assert sorted((place / "flow-runs").iterdir()) == runs and not (place / "new").exists()


def test_a_wrong_wish_stops_in_the_first_seconds_with_its_reason(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["usecase=metal_surface", "dig_url_root=./dig", "checkpoint_step=7"]
    assert main(["flow", "run", MANUAL, "--name", "bad", "--set", *given]) == 1
    said = capsys.readouterr().out
    assert "no step 7; there are 10000" in said and "anomaly-infer-group  FAILED_UPSTREAM" in said
    assert not (place / "dig/runs/bad").exists()


ROOT = "dig_url_root=s3://bucket/dig"
CASES = [
    (MANUAL, ("usecase=metal_surface",)),
    (MANUAL, ("usecase=glass", "use_pretrained_checkpoint=false", "score=false")),
    (MANUAL, ("usecase=glass", "use_pretrained_checkpoint=false", "profile=gpu1")),
    (MANUAL, ("usecase=metal_surface", "profile=gpu8")),
    ("finetune", ("usecase=glass",)),
    ("finetune", ("usecase=my_part", "profile=gpu8", "cpu=9", "memory=3Gi", "gpu=2")),
    ("setup_metal", ("uc2_url_root=s3://bucket/tiles",)),
    ("setup_glass", ("uc3_zip_url_root=s3://bucket/zips", "uc3_masks_url_root=s3://bucket/masks")),
    ("setup_pretrained", ()),
    ("setup_pretrained", ("profile=gpu1", "pretrained_url_root=s3://bucket/model", "fit_usecases=glass")),
]


@pytest.mark.parametrize(("stem", "sets"), CASES)
def test_the_same_files_are_valid_on_a_cluster(stem: str, sets: tuple[str, ...]) -> None:
    flow = find(stem)
    decided = resolve(flow, sets=(ROOT, *sets), target="osmo")
    assert flow.path
    loaded = load(flow.path, sets=decided.sets, string_sets=decided.string_sets, target="osmo")
    assert loaded.problems == ()
    tasks = {task.name: task for task in require(loaded).tasks}
    if stem == MANUAL:
        assert ("finetune-job" in tasks) == ("use_pretrained_checkpoint=false" in sets)
        assert ("score" in tasks) == ("score=false" not in sets)
    for task in tasks.values():
        for script in (one for one in task.args if "\n" in one):
            lines = [line for line in script.splitlines() if line.strip()]
            assert "\\\n\n" not in script and not lines[-1].endswith("\\"), "a line that goes on into nothing"
            assert (" -m noescape defects" in script) == ("profile=gpu8" in sets and "defects " in script and task.name != "config")  # fmt: skip  # noqa: E501
