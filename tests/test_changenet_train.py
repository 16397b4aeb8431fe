"""Training as a whole: what is refused before anything is written, what is left behind, and that it goes on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from changenet_maker import pair
from changenet_rows import mixed, put_rows, spec_for
from noescape.changenet.evaluate import evaluate
from noescape.changenet.spec import Spec
from noescape.changenet.spec_file import load_spec
from noescape.changenet.train import train
from noescape.changenet.trained import read_trained
from noescape.files import write_bytes, write_csv
from noescape.imaging import png_bytes
from noescape.records import BundleError, DataError, UsageError


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("train")
    put_rows(folder, "train", mixed(16), side=32)
    return folder


def _spec(root: Path) -> Spec:
    return spec_for(root, side=32, noescape={"strengths": [1.0, 0.1], "cache_dir": str(root / "cache")})


def test_a_training_leaves_what_the_contract_says(root: Path, tmp_path: Path) -> None:
    """status.json line by line, the spec with every default, and a fifth of the rows held out by board."""
    trained = train(_spec(root), tmp_path / "run")
    lines = [json.loads(line) for line in (tmp_path / "run" / "status.json").read_text().splitlines()]
    assert [line["status"] for line in lines] == ["STARTED", "RUNNING", "RUNNING", "SUCCESS"]
    assert all({"date", "time", "status", "verbosity", "message"} <= set(line) for line in lines)
    assert set(lines[1]["kpi"]) == {"train_loss", "val_loss"}
    assert load_spec(tmp_path / "run" / "experiment.yaml") == _spec(root)
    record = json.loads((tmp_path / "run" / "checkpoints.json").read_text())
    assert record["chosen_on"] == "4 rows of train_dataset, by board"
    best = min(trained.epochs, key=lambda e: e.val_loss or 0.0)
    assert trained.best.name == best.file and trained.latest.name == trained.epochs[-1].file
    assert read_trained(tmp_path / "run") == trained


def test_a_finished_training_is_read_back_and_another_refused(root: Path, tmp_path: Path) -> None:
    spec, said = _spec(root), []
    trained = train(spec, tmp_path / "run")
    assert train(spec, tmp_path / "run", on_line=said.append) == trained
    assert said == [f"{tmp_path / 'run'}: trained already"]
    other = spec_for(root, side=32, noescape={"strengths": [0.5]})
    with pytest.raises(DataError, match="another spec or other rows"):
        train(other, tmp_path / "run")
    (tmp_path / "holiday").mkdir()
    (tmp_path / "holiday" / "a.jpg").write_bytes(b"x")
    with pytest.raises(DataError, match="holds files already"):
        train(spec, tmp_path / "holiday")


def test_what_cannot_be_trained_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    put_rows(tmp_path, "train", ["PASS"] * 4, side=32)
    with pytest.raises(DataError, match="4 PASS and 0 NO_PASS"):
        train(_spec(tmp_path), tmp_path / "run")
    put_rows(tmp_path, "train", mixed(6), side=32)
    (tmp_path / "img" / "golden" / "002@train.png").unlink()
    with pytest.raises(DataError, match="1 of 6 rows"):
        train(_spec(tmp_path), tmp_path / "run")
    with pytest.raises(UsageError, match="csv_path is not set"):
        train(Spec(), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_an_image_that_breaks_costs_its_row(tmp_path: Path) -> None:
    put_rows(tmp_path, "train", mixed(16), side=32)
    (tmp_path / "img" / "input" / "004@train.png").write_bytes(b"no image at all")
    train(_spec(tmp_path), tmp_path / "run")
    listed = (tmp_path / "run" / "skipped_rows.csv").read_text().splitlines()
    assert len(listed) == 2 and "004@train" in listed[1]


def test_a_finished_folder_that_lost_a_checkpoint_says_so(root: Path, tmp_path: Path) -> None:
    trained = train(_spec(root), tmp_path / "run")
    trained.best.unlink()
    with pytest.raises(BundleError, match=trained.best.name):
        read_trained(tmp_path / "run")
    with pytest.raises(BundleError, match="no finished training"):
        read_trained(tmp_path)


def test_start_from_an_earlier_head(root: Path, tmp_path: Path) -> None:
    """The problem is convex: another start ends at (nearly) the same scores; a model of another kind is refused."""
    first = train(_spec(root), tmp_path / "a")
    value = _spec(root).model_dump(mode="json")
    value["train"]["pretrained_model_path"] = str(first.best)
    again = train(Spec.model_validate(value), tmp_path / "b")
    assert again.val_loss == pytest.approx(first.val_loss, abs=1e-3)
    value["noescape"]["trainer"] = "finetune"
    with pytest.raises(BundleError, match="of kind cached"):
        train(Spec.model_validate(value), tmp_path / "c")


def _boards(root: Path, name: str, numbers: range) -> None:
    """Whole pairs of bare boards, every other one without a defect, with boxes."""
    rows, boxes = [], []
    for n in numbers:
        made = pair(n, defects=("open", "short", "spot") if n % 2 else (), side=192)
        golden, test = made.images()
        for folder, image in (("golden", golden), ("input", test)):
            write_bytes(root / "img" / folder / f"{n:03d}.png", png_bytes(image))
        rows.append(("input", "golden", "Open" if n % 2 else "PASS", f"{n:03d}", made.group))
        boxes += [("input", f"{n:03d}", *box, "open") for box in made.boxes]
    write_csv(root / f"{name}.csv", ("input_path", "golden_path", "label", "object_name", "boardname"), rows)
    write_csv(root / f"{name}_boxes.csv", ("input_path", "object_name", "x0", "y0", "x1", "y1", "type"), boxes)


def test_whole_pairs_train_a_map_network(tmp_path: Path) -> None:
    """Boxes in the spec pick it; it finds the boards with defects, and its boxes lie on the test image."""
    for name, numbers in (("train", range(8)), ("test", range(100, 106))):
        _boards(tmp_path, name, numbers)
    ours = {"trainer": "auto", "boxes": str(tmp_path / "train_boxes.csv"), "nets": 1, "steps": 60, "width": 0.5}
    spec = spec_for(tmp_path, noescape=ours)
    trained = train(spec, tmp_path / "run")
    assert trained.trainer == "mapnet" and trained.best.suffix == ".safetensors"
    done = evaluate(spec, trained.best, tmp_path / "out", heatmaps=2)
    assert done.kpi.far_pct == 0
    boxes = (tmp_path / "out" / "change_boxes.csv").read_text().splitlines()
    assert len(boxes) > 1


def test_a_map_network_needs_to_know_where_defects_are(tmp_path: Path) -> None:
    _boards(tmp_path, "train", range(4))
    spec = spec_for(tmp_path, trainer="mapnet")
    with pytest.raises(DataError, match=r"noescape\.boxes(?s:.*)no box"):
        train(spec, tmp_path / "run")
    write_csv(tmp_path / "b.csv", ("input_path", "object_name", "x0", "y0", "x1", "y1"), [("i", "x", 5, 5, 5, 9)])
    spec = spec_for(tmp_path, noescape={"trainer": "mapnet", "boxes": str(tmp_path / "b.csv")})
    with pytest.raises(DataError, match="holds nothing"):
        train(spec, tmp_path / "run2")
