"""What the flows read is made of what people have: nothing leaks into what is left for tests, nothing wrong gets in."""

from __future__ import annotations

import csv
import json
import shutil
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from dataset_maker import put, tree
from noescape.cli.main import main
from noescape.datasets.anomalygen import read_anomalygen
from noescape.datasets.magnetic_few import take_few
from noescape.datasets.mobile_screen import take_screens
from noescape.defects.base_models import bring
from noescape.files import read_jsonl, safe_name
from noescape.files.yamlfile import load_yaml
from noescape.records import DataError
from raw_maker import SIZE, TYPES, make_screens, make_tiles, zipped


@pytest.fixture(scope="module")
def tiles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiles(tmp_path_factory.mktemp("tiles"))


def test_no_tile_that_is_learnt_from_is_left_for_tests(tiles: Path, tmp_path: Path) -> None:
    told = take_few(tiles, tmp_path / "raw", per_type=3, clean=4)
    dataset = read_anomalygen(tmp_path / "raw").require_usable()
    assert [kind.key for kind in dataset.types] == [f"metal_surface+{name}" for name in TYPES]
    assert [len(kind.pairs) for kind in dataset.types] == [3] * 5 and len(dataset.clean["metal_surface"]) == 4
    assert {spec.spatial_dependency for spec in dataset.spec.values()} == {"free"}
    uses = defaultdict(set)
    counts: dict[str, int] = defaultdict(int)
    with (tmp_path / "raw" / "captures.csv").open(encoding="utf-8") as f:
        for row in csv.DictReader(f):
            assert (tiles / row["file"]).is_file()
            uses[row["tile"]].add(row["use"])
            counts[row["use"]] += 1
    assert all(own == {"test"} for own in uses.values() if "test" in own)
    assert counts["example"] == 15 and counts["clean"] == 4 and counts["test"] >= 30
    assert all(n["left"] >= 1 for n in told["tiles"].values())
    again = take_few(tiles, tmp_path / "again", per_type=3, clean=4)
    assert again == told and tree(tmp_path / "again") == tree(tmp_path / "raw")
    other = take_few(tiles, tmp_path / "other", per_type=3, clean=4, seed=1)
    assert other["images"] == told["images"] and tree(tmp_path / "other") != tree(tmp_path / "raw")


def test_captures_without_a_sound_mask_are_passed_over_and_said(tiles: Path, tmp_path: Path) -> None:
    src = tmp_path / "src"
    shutil.copytree(tiles, src)
    broken = sorted((src / "MT_Fray" / "Imgs").glob("*.png"))
    broken[0].unlink()
    put(broken[1], np.zeros(SIZE, np.uint8))
    put(broken[2], np.full((9, 9), 255, np.uint8))
    put(broken[3], np.tile(np.linspace(0, 255, SIZE[1]), (SIZE[0], 1)).astype(np.uint8))
    told = take_few(src, tmp_path / "raw", per_type=5, clean=4)
    assert len(told["skipped"]) == 4
    assert all(word in " ".join(told["skipped"]) for word in ("no mask", "marks nothing", "9x9", "no binary mask"))
    read_anomalygen(tmp_path / "raw").require_usable()


def test_a_folder_that_is_not_the_set_is_said_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["defects", "setup", "metal", str(tmp_path), "--output-dir", str(tmp_path / "raw")]) == 1
    assert "MT_Free" in capsys.readouterr().err and not (tmp_path / "raw").exists()
    make_tiles(tmp_path / "t", per_type=1, good=1, captures=1)
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "mine.txt").write_text("mine")
    assert main(["defects", "setup", "metal", str(tmp_path / "t"), "--output-dir", str(tmp_path / "raw")]) == 1
    assert "holds files already" in capsys.readouterr().err and tree(tmp_path / "raw") == {"mine.txt": b"mine"}


def test_screens_come_out_of_the_zip_with_their_outlines_as_masks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    zipped(make_screens(tmp_path / "screens"), tmp_path / "zips" / "mobile_screen.zip")
    raw = tmp_path / "raw"
    assert main(["defects", "setup", "glass", str(tmp_path / "zips"), "--output-dir", str(raw), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["images"] == {
        "Phone+oil": 3, "Phone+scratch": 3, "Phone+stain": 3, "clean": 4,
    }  # fmt: skip
    dataset = read_anomalygen(raw).require_usable()
    assert [kind.key for kind in dataset.types] == ["Phone+oil", "Phone+scratch", "Phone+stain"]
    assert sorted(p.name for p in raw.iterdir()) == ["Phone", "defect_spec.jsonl", "source.json"]


def test_a_box_alone_is_no_mask_and_a_folder_of_masks_mends_it(tmp_path: Path) -> None:
    folder = make_screens(tmp_path / "screens", outlines=False)
    with pytest.raises(DataError, match=r"no usable oil, scratch, stain .*no outline: 3.*give a folder of masks"):
        take_screens(folder, tmp_path / "raw")
    masks = tmp_path / "masks"
    for k, picture in enumerate(sorted((folder / "train").glob("*.jpg"))):
        mask = np.zeros(SIZE, np.uint8)
        mask[20:30, 20:30] = 255
        stem = picture.stem.partition(".rf.")[0] if k % 2 else picture.stem
        put(masks / f"{stem}_mask.png", np.zeros((5, 5), np.uint8) if "oil_0000" in stem else mask)
    told = take_screens(folder, tmp_path / "raw", masks=masks)
    assert told["images"]["Phone+oil"] == 2 and told["passed_over"] == {"oil: size": 1}
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match="expected masks"):
        take_screens(folder, tmp_path / "other", masks=tmp_path / "none")


def test_copies_of_one_photo_count_once_and_hostile_names_stop_it(tmp_path: Path) -> None:
    folder = make_screens(tmp_path / "screens", examples=2)
    path = folder / "train" / "_annotations.coco.json"
    record = json.loads(path.read_text("utf-8"))
    first = next(image for image in record["images"] if image["file_name"].startswith("oil"))
    copy = first | {"id": 99, "file_name": first["file_name"].replace(".rf.", ".rf.f")}
    shutil.copy(folder / "train" / first["file_name"], folder / "train" / copy["file_name"])
    record["images"].append(copy)
    shape = next(s for s in record["annotations"] if s["image_id"] == first["id"])
    record["annotations"].append(shape | {"id": 99, "image_id": 99})
    path.write_text(json.dumps(record), "utf-8")
    assert take_screens(folder, tmp_path / "raw")["images"]["Phone+oil"] == 2
    copy["file_name"] = "../../secret.png"
    path.write_text(json.dumps(record), "utf-8")
    with pytest.raises(DataError, match=r"\.\./\.\./secret\.png"):
        take_screens(folder, tmp_path / "other")


def test_a_zip_that_is_not_there_or_leads_out_is_one_clear_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import zipfile

    line = ["defects", "setup", "glass", str(tmp_path), "--output-dir", str(tmp_path / "raw")]
    assert main(line) == 1
    assert "expected mobile_screen.zip" in capsys.readouterr().err
    with zipfile.ZipFile(tmp_path / "mobile_screen.zip", "w") as out:
        out.writestr("../up.json", "{}")
    assert main(line) == 1
    assert "'../up.json'" in capsys.readouterr().err
    assert not list((tmp_path / "raw").iterdir()) and not (tmp_path / "up.json").exists()


def _render(raw: Path, out: Path, *more: str, usecase: str = "metal_surface") -> int:
    return main(["defects", "cookbook", "render", usecase, "--dataset-dir", str(raw), "--output-dir", str(out), *more])


def test_the_rendered_cookbook_is_the_shipped_one_with_the_types_of_the_run(tiles: Path, tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    take_few(tiles, raw, per_type=2, clean=2)
    (raw / "defect_spec.jsonl").unlink()
    types = '[["metal_surface","MT_Crack"],["metal_surface","MT_Break"]]'
    assert _render(raw, tmp_path / "c", "--anomaly-types", types, "--default-spatial-dependency", "cad") == 0
    config = load_yaml(tmp_path / "c" / "ag_config.yaml")
    assert isinstance(config, dict)
    assert config["dataloader_train"]["dataset"]["anomaly_types"] == [["metal_surface", "MT_Break"], ["metal_surface", "MT_Crack"]]  # fmt: skip  # noqa: E501
    assert config["trainer"]["max_iter"] == 10000 and "early_stop" not in config["trainer"]
    rows = list(read_jsonl(tmp_path / "c" / "defect_spec.jsonl"))
    assert [row["spatial_dependency"] for row in rows] == ["free", "free"]  # the cookbook's word, not the default


def test_a_use_case_of_ones_own_brings_its_cookbook_in_its_data_set(tiles: Path, tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    take_few(tiles, raw, per_type=2, clean=2)
    (raw / "defect_spec.jsonl").unlink()
    assert _render(raw, tmp_path / "a", "--default-spatial-dependency", "free", usecase="my_part") == 0
    assert len(list(read_jsonl(tmp_path / "a" / "defect_spec.jsonl"))) == 5
    (raw / "ag_config.yaml").write_text("max_iter: 77\nanomaly_types: [[metal_surface, MT_Fray]]\n", "utf-8")
    assert _render(raw, tmp_path / "b", usecase="my_part") == 0
    config = load_yaml(tmp_path / "b" / "ag_config.yaml")
    assert isinstance(config, dict) and config["trainer"]["max_iter"] == 77
    assert [row["defect_type"] for row in read_jsonl(tmp_path / "b" / "defect_spec.jsonl")] == ["metal_surface+MT_Fray"]


def test_what_a_run_cannot_have_is_said_when_it_is_rendered(
    tiles: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = tmp_path / "raw"
    take_few(tiles, raw, per_type=2, clean=2)
    assert _render(raw, tmp_path / "c", "--anomaly-types", '[["metal_surface","MT_Brake"]]') == 2
    assert "did you mean metal_surface+MT_Break" in capsys.readouterr().err
    assert _render(raw, tmp_path / "c", usecase="glass") == 2
    assert "no Phone+oil" in capsys.readouterr().err
    assert _render(raw, tmp_path / "c", "--checkpoint-dir", str(tmp_path / "none")) == 1
    assert "no such checkpoint folder" in capsys.readouterr().err
    assert _render(raw, tmp_path / "c", "--base-model", str(tmp_path / "none")) == 1
    assert "setup_pretrained" in capsys.readouterr().err
    assert _render(raw, tmp_path / "c", usecase="../up") == 2
    assert safe_name("../up") in capsys.readouterr().err
    next((raw / "metal_surface" / "mask" / "MT_Fray").iterdir()).unlink()
    assert _render(raw, tmp_path / "c") == 1
    assert "no mask; expected" in capsys.readouterr().err


def test_base_models_are_brought_without_what_runs_code(tmp_path: Path) -> None:
    assert bring(None, tmp_path / "none").files == 0 and (tmp_path / "none" / "base_models.json").is_file()
    with pytest.raises(DataError, match="pretrained_url_root"):
        bring(None, tmp_path / "x", required=True)
    src = tmp_path / "src" / "model"
    (src / "unet").mkdir(parents=True)
    with pytest.raises(DataError, match=r"found: none"):
        bring(tmp_path / "src", tmp_path / "x")
    (src / "model_index.json").write_text("{}")
    (src / "unet" / "weights.bin").write_bytes(b"code")
    with pytest.raises(DataError, match="safetensors"):
        bring(tmp_path / "src", tmp_path / "x")
    (src / "unet" / "weights.safetensors").write_bytes(b"1")
    brought = bring(tmp_path / "src", tmp_path / "out")
    assert brought.files == 2 and "1 files were left out" in brought.notes[0]
    assert set(tree(tmp_path / "out")) == {
        "base_models.json", "inpainting/model_index.json", "inpainting/unet/weights.safetensors",
    }  # fmt: skip
