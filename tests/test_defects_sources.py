"""What results call the files that they were made from: names that a receiver of the folder can use."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest

from generator_maker import cases, metal_set, tree_bytes
from noescape.cli.main import main
from noescape.defects.generators.sources import name_sources
from noescape.defects.generators.tree import read_tree
from noescape.files import read_jsonl, sha256_file


def made(place: Path, name: str, work: str) -> Path:
    """Data set at `<place>/<name>`, test cases in `<place>/<work>`; returns the output."""
    raw = metal_set(place / name)
    jsonl = cases(raw, place / work)
    out = place / "out"
    run = ["defects", "finetune", "--dataset-dir", str(raw), "--output-dir", str(place / "ck"), "--no-validation"]
    assert main(run) == 0
    assert main(["defects", "generate", "--checkpoint-dir", str(place / "ck"), "--input-jsonl", str(jsonl),
                 "--output-dir", str(out)]) == 0  # fmt: skip
    return out


def test_names_are_relative_to_the_data_set_and_to_the_test_cases(tmp_path: Path) -> None:
    """Not to where a task of a workflow happened to find them; a data set is named by its digest, and each named file
    is where its name says, with the content that its row says."""
    out = made(tmp_path / "task", "input/0", "output/0/placement")
    raw, work = tmp_path / "task/input/0", tmp_path / "task/output/0/placement"
    with (out / "SDG_result.csv").open(newline="") as f:
        table = list(csv.DictReader(f))
    rows = list(read_jsonl(out / "provenance.jsonl"))
    assert len(table) == len(rows) == 6
    for line, row in zip(table, rows, strict=True):
        for key in ("image_filename", "mask_filename"):
            assert line[key] == row[key] and ".." not in Path(row[key]).parts and not Path(row[key]).is_absolute()
        assert sha256_file(raw / row["image_filename"]) == row["image_sha256"]
        assert sha256_file(work / row["mask_filename"]) == row["mask_sha256"]
    assert {row["image_filename"] for row in rows} == {f"metal/clean_image/good {k}.png" for k in range(3)}
    assert len({row["dataset_sha256"] for row in rows}) == 1 and rows[0]["dataset_sha256"]


def test_the_same_work_elsewhere_gives_the_same_bytes_and_is_read_and_resumed(tmp_path: Path) -> None:
    one = made(tmp_path / "a", "input/0", "output/0/placement")
    two = made(tmp_path / "b", "my raw data", "cases")
    assert tree_bytes(one) == tree_bytes(two)
    moved = tmp_path / "received"
    shutil.copytree(one, moved / "out")
    assert {item.group for item in read_tree(moved / "out")} == {"good 0", "good 1", "good 2"}
    for form in ("coco", "changenet"):
        assert main(["defects", "label", str(moved / "out"), "--format", form, "--out", str(moved / form)]) == 0
    assert main(["defects", "score", str(tmp_path / "b/my raw data"), str(moved / "out")]) == 0
    (moved / "out" / "original_mask" / "metal+scratch_00003.png").unlink()
    again = ["defects", "generate", "--checkpoint-dir", str(tmp_path / "b/ck"), "--input-jsonl",
             str(tmp_path / "b/cases/testcase.jsonl"), "--output-dir", str(moved / "out")]  # fmt: skip
    assert main(again) == 0 and tree_bytes(moved / "out") == tree_bytes(one)


def test_a_failed_row_names_its_files_alike(tmp_path: Path) -> None:
    raw = metal_set(tmp_path / "raw")
    jsonl = cases(raw, tmp_path / "work")
    (raw / "metal/clean_image/good 1.png").write_bytes(b"broken")
    ck = ["defects", "finetune", "--dataset-dir", str(metal_set(tmp_path / "whole")), "--output-dir"]
    assert main([*ck, str(tmp_path / "ck"), "--no-validation"]) == 0
    assert main(["defects", "generate", "--checkpoint-dir", str(tmp_path / "ck"), "--input-jsonl", str(jsonl),
                 "--output-dir", str(tmp_path / "out")]) == 0  # fmt: skip
    errors = list(read_jsonl(tmp_path / "out" / "errors.jsonl"))
    assert [e["image_filename"] for e in errors] == ["metal/clean_image/good 1.png"] * 2
    assert all(e["reason"].startswith("metal/clean_image/good 1.png: ") for e in errors)


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("/d/raw/metal/clean_image/a.png", "metal/clean_image/a.png"),
        ("/d/raw/metal/anomaly_image/spot/a.png", "metal/anomaly_image/spot/a.png"),
        ("/d/raw/metal/mask/spot/a.png", "metal/mask/spot/a.png"),
        ("/d/task/masks/a/x.png", "masks/a/x.png"),
        ("/d/task/raw/metal/clean_image/a.png", "metal/clean_image/a.png"),
        ("/elsewhere/a/x.png", "a/x.png"),
        ("/elsewhere/mask/x.png", "mask/x.png"),
        ("/d/task/../raw/metal/cad_mask/a.png", "metal/cad_mask/a.png"),
    ],
)
def test_each_file_is_named_from_its_own_folder(file: str, name: str) -> None:
    files = {file: "1" * 64, "/elsewhere/b/y.png": None}
    found = name_sources(files, Path("/d/task"))
    assert found.names[file] == name and found.names["/elsewhere/b/y.png"] in ("b/y.png", "y.png")


def test_the_digest_knows_names_and_contents_of_the_data_set_alone() -> None:
    base = {"/a/raw/m/clean_image/1.png": "1" * 64, "/a/task/masks/1.png": "2" * 64}
    digest = name_sources(base, Path("/a/task")).dataset_sha256
    moved = {"/b/m/clean_image/1.png": "1" * 64, "/c/masks/1.png": "3" * 64}
    assert name_sources(moved, Path("/c")).dataset_sha256 == digest is not None
    for other in ({"/b/m/clean_image/1.png": "4" * 64}, {"/b/m/clean_image/2.png": "1" * 64}):
        assert name_sources(other, Path("/c")).dataset_sha256 != digest
    assert name_sources({"/x/1.png": "1" * 64}, Path("/c")).dataset_sha256 is None
