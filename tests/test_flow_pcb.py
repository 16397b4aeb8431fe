"""The board flows, run for real with the toy engine and small: from nothing but this package to labelled images."""

from __future__ import annotations

import csv
import json
import os
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from noescape.board.crop.agreement import agreement
from noescape.board.crop.frames import read_tree
from noescape.board.scene.cookbook import load_cookbook
from noescape.board.scene.draws import frame_rng
from noescape.board.scene.poses import defects_of, draw_poses
from noescape.board.scene.posing import pose
from noescape.board.scene.read import open_scene
from noescape.changenet.rows import read_rows
from noescape.cli.main import main
from noescape.datasets.anomalygen import read_anomalygen
from noescape.datasets.changenet_write import COLUMNS
from noescape.defects.generators.tree import read_tree as read_results
from noescape.imaging import read_picture

DAY0, DAY1 = "texture_defect_generation_day0", "texture_defect_generation_day1_real_alignment"
GOOD, STRUCTURAL, PAIRED = "good_image_generation", "structural_defect_generation", "paired_generation"
TOY = ("dig_url_root=./dig", "engine=toy")
SMALL = (*TOY, "resolution=128,128")
SEED = 42  # of the flows


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in which the setup flows have run; the current folder of all tests here."""
    folder = tmp_path_factory.mktemp("place with a blank")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("NOESCAPE_CONFIG_DIR", str(folder / "config"))
        patch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
        patch.setenv("SOURCE_DATE_EPOCH", "1750000000")
        few = ["boards=0603_H100", "per_type=5", "clean=2", "example_size=96"]
        assert main(["flow", "run", "setup_pcb", "--set", *TOY, *few]) == 0
        assert main(["flow", "run", "setup_pretrained", "--set", "dig_url_root=./dig", "fit_usecases=pcb"]) == 0
        yield folder


def run(flow: str, name: str, *sets: str) -> Path:
    """Run a flow that must end well; the folder of its run."""
    assert main(["flow", "run", flow, "--name", name, "--set", *sets]) == 0
    return Path("dig/runs") / name


def test_setup_leaves_scenes_and_five_rendered_examples_of_each_defect(place: Path) -> None:
    dig = place / "dig"
    home = dig / "datasets/pcb/assets/0603_H100"
    assert {"spark_lighting.usd", "pcba_target.yaml", "day0_image.yaml", "day0_crop.yaml", "structural_image.yaml",
            "usd2roi_day1.yaml", "augmentation_config.yaml"} <= {p.name for p in home.iterdir()}  # fmt: skip
    truth = json.loads((dig / "datasets/pcb/assets/input_real_image/0603_H100.truth.json").read_text("utf-8"))
    assert "no photo" in json.dumps(truth) or "stand-in" in json.dumps(truth), "it must say what it is"
    raw = read_anomalygen(dig / "datasets/pcb/raw")
    assert {kind.key: len(kind.pairs) for kind in raw.types} == {
        "IC+bridge": 5, "passive_component+excess_solder": 5, "passive_component+missing": 5,
    }  # fmt: skip
    assert all((read_picture(mask).rgb > 0).any() for kind in raw.types for _, mask in kind.pairs)
    assert '"origin":"rendered"' in (dig / "datasets/pcb/raw/source.json").read_text("utf-8").replace(" ", "")
    assert (dig / "models/pcb/checkpoints/model/iter_000014000/checkpoint.json").is_file()


def test_day0_ends_with_labelled_images_of_all_three_types(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = run(DAY0, "day0", *SMALL, "render_patches=4", "num_sdg=6", "score=false")
    assert "gave 6 of 6" in capsys.readouterr().out
    rendered = made / "usd2roi-components"
    assert len(list((rendered / "trigger_0000").glob("rgb_*.png"))) == 4
    assert {"day0_crop.yaml", "pcba_target.yaml", "metadata.json"} <= {p.name for p in rendered.iterdir()}
    crops = {path.relative_to(rendered / "crop") for path in rendered.glob("crop/*/*/normal_img/*.png")}
    twins = {path.relative_to(made / "augment/crop") for path in made.glob("augment/crop/*/*/*.png")}
    assert {path.parent.parent / path.name for path in crops} == twins, "the same crops, <MATERIAL>/<cell>/NNNN.png"
    assert {path.parts[0] for path in crops} == {"IC", "bridge", "passive_component"}
    results = read_results(made / "anomaly")
    assert Counter(item.anomaly_type for item in results) == {
        "IC+bridge": 2, "passive_component+excess_solder": 2, "passive_component+missing": 2,
    }  # fmt: skip
    for path in (made / "anomaly/inference/reconstructed_image").iterdir():
        seen, clean = (
            read_picture(path.parent.parent / d / path.name).rgb for d in (path.parent.name, "original_image")
        )
        label = read_picture(path.parent.parent / "original_mask" / path.name).rgb[..., 0] > 0
        changed = (seen != clean).any(axis=2)
        assert label.any() and (changed & label).sum() > 0.3 * label.sum(), path.name
    assert str(place) not in (made / "anomaly/inference/SDG_result.csv").read_text("utf-8")
    assert main(["report", "preview", str(made)]) == 0
    assert "Generated defects: 6 samples" in capsys.readouterr().out


def test_a_texture_that_nobody_asked_for_needs_no_clean_images(place: Path, tmp_path: Path) -> None:
    """Crops of one material alone are enough for the types of that material."""
    clean = place / "dig/runs/day0/anomaly/placement/clean"
    if not clean.is_dir():
        run(DAY0, "day0", *SMALL, "render_patches=4", "num_sdg=6", "score=false")
    shutil.copytree(clean, tmp_path / "clean", ignore=shutil.ignore_patterns("IC"))
    raw, cases = place / "dig/datasets/pcb/raw", tmp_path / "out/cases.jsonl"
    place_it = ["defects", "place", "--dataset-dir", str(raw), "--clean-dir", str(tmp_path / "clean")]
    place_it += ["--default-spatial-dependency", "cad", "--num-sdg", "2", "--output-jsonl", str(cases)]
    assert main([*place_it, "--anomaly-types", '[["passive_component","missing"]]']) == 0
    assert len(cases.read_text("utf-8").splitlines()) == 2
    assert main([*place_it, "--anomaly-types", '[["IC","bridge"]]']) == 1


def test_structural_crops_of_all_modes_lie_where_the_scene_says(place: Path) -> None:
    """Labels re-projected from the scene's triangles agree with the pixels."""
    made = run(STRUCTURAL, "pair", *SMALL, "render_patches=5")
    assert {p.name for p in (made / "structural_defect_edited").iterdir() if p.is_dir()} == {
        "shift", "tombstone", "sideflip",
    }  # fmt: skip
    for mode in ("shift", "tombstone", "sideflip"):
        crops = {p.name for p in (made / f"structural_defect/cropped/{mode}/rgb").iterdir()}
        assert crops and crops == {p.name for p in (made / f"structural_defect_edited/{mode}/rgb").iterdir()}
        assert crops == {p.name for p in (made / f"structural_defect/cropped/{mode}/semantic_segmentation").iterdir()}
    home = place / "dig/datasets/pcb/assets/0603_H100"
    target, config = load_cookbook(home / "pcba_target.yaml", home / "structural_image.yaml", seed=SEED)
    scene = open_scene(home / "spark_lighting.usd", target, config.semantics)
    rng = frame_rng(SEED, 0, "poses")
    drawn = draw_poses(scene, defects_of(config), target.component_types or (), rng, target.pcba_root)
    meshes, wrong = pose(scene, drawn.poses), {one.path for one in drawn.poses}
    tree = read_tree(made / "structural_defect")
    seen = [one for frame in tree.frames for one in agreement(frame, meshes, only=wrong).values()]
    assert len(seen) >= 10 and min(one.iou for one in seen) >= 0.95


def test_good_and_structural_under_one_name_pair_up(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two submissions, one name: the same cells under the same light; shifted parts are off by what was drawn."""
    if not (place / "dig/runs/pair/structural_defect").is_dir():
        run(STRUCTURAL, "pair", *SMALL, "render_patches=5")
    made = run(GOOD, "pair", *SMALL, "render_patches=5", "crop_max_emit=1", "max_images=3")
    assert "gave 3 results" in capsys.readouterr().out, "max_images"
    kept = Counter(p.parent.parent for p in made.glob("usd2roi-components/crop/*/*/normal_img/*.png"))
    assert sum(kept.values()) == 3 and max(kept.values()) == 1, "crop_max_emit: per material and cell"
    good, bad = str(made / "usd2roi-components"), str(made / "structural_defect")
    assert main(["board", "pairs", good, bad, "--out", str(made / "pairs")]) == 0
    assert "unpaired" not in capsys.readouterr().err
    rows = read_rows(made / "pairs/pairs.csv")
    assert {row.label for row in rows} >= {"PASS", "shift", "sideflip"}
    told = [json.loads(path.read_text("utf-8")) for path in sorted((made / "pairs/mask").glob("*.json"))]
    off = [np.hypot(*np.subtract(t["measured_mm"], [t["drawn"]["dx"], t["drawn"]["dy"]])) for t in told
           if t["mode"] == "shift"]  # fmt: skip
    assert off and max(off) < 0.5 * 12 / 128, "half a pixel"


def test_paired_generation_gives_a_table_that_change_classifiers_read(place: Path) -> None:
    made = run(PAIRED, "both", *SMALL, "render_patches=2", "pass_rows=4", "defect_modes=shift,tombstone")
    with (made / "pairs/pairs.csv").open(newline="", encoding="utf-8") as file:
        assert tuple(next(csv.reader(file))) == tuple(COLUMNS) and len(COLUMNS) == 14
    rows = read_rows(made / "pairs/pairs.csv")
    labels = Counter(row.label for row in rows)
    assert labels["PASS"] <= 4 and set(labels) <= {"PASS", "shift", "tombstone"} and len(labels) > 1
    for row in rows:
        for folder in (row.input_path, row.golden_path):
            pictures = list((made / "pairs" / folder).glob(f"{row.object_name}_*Light.png"))
            assert len(pictures) == 1 and read_picture(pictures[0]).rgb.size
    assert main(["report", "preview", str(made)]) == 0


def test_day1_lines_the_photo_up_and_draws_into_its_crops(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = run(DAY1, "day1", *TOY, "num_sdg=3", "score=false")
    assert "gave 3 of 3" in capsys.readouterr().out
    aligned = made / "usd2roi-day1"
    assert {"scaleX", "scaleY", "rotation_deg", "tx", "ty", "mi_before", "mi_after"} <= set(
        json.loads((aligned / "aligned/params.json").read_text("utf-8"))
    )
    crops = list((aligned / "crop/passive_component/normal_img").iterdir())
    assert crops and (aligned / "usd2roi_day1.yaml").is_file() and (aligned / "aligned/blink.gif").is_file()
    assert all((aligned / f"crop/passive_component/cad_mask/{p.stem}_cad_mask.png").is_file() for p in crops)
    assert {item.anomaly_type for item in read_results(made / "anomaly")} == {"passive_component+missing"}
