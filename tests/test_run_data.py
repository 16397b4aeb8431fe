"""Which images a run is tested on: those of its data set, those given, or a clear word that there are none."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import room_maker
from dataset_maker import tree
from noescape.anomaly.evaluate import evaluate
from noescape.anomaly.fit import fit, good_folder
from noescape.anomaly.recompute import recompute_thresholds
from noescape.anomaly.run_data import tested_data as data_of
from noescape.cli.main import main
from noescape.datasets import read_mvtec
from noescape.records import DataError, UsageError


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return room_maker.parts(tmp_path_factory.mktemp("data") / "part", train=4, good=3, blot=3)


@pytest.fixture(scope="module")
def made(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on the plain folder of good images, whose configuration names a data set that it never saw."""
    out = tmp_path_factory.mktemp("run")
    return fit(room_maker.configured(root, out), data=good_folder(root / "train" / "good"))


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "a run"))


@pytest.fixture
def tests_alone(root: Path, tmp_path: Path) -> Path:
    """Test images and masks, and nothing to learn from."""
    for name in ("test", "ground_truth"):
        shutil.copytree(root / name, tmp_path / "more" / name)
    return tmp_path / "more"


@pytest.mark.parametrize("command", [["evaluate"], ["predict"]])
def test_a_run_on_a_plain_folder_says_what_it_lacks_and_what_to_do(
    command: list[str], run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not even a data set that happens to lie where the configuration points is taken for its own."""
    before = tree(run)
    assert main([*command, "--run-dir", str(run)]) == 2
    said = capsys.readouterr().err
    for part in ("plain folder of good images (fit --good)", "test/good/", "--data-root DIR", f"--model-dir '{run}'"):
        assert part in said
    assert tree(run) == before


def test_with_test_images_given_it_is_evaluated_like_any_other(
    run: Path, tests_alone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", "--run-dir", str(run), "--data-root", str(tests_alone)]) == 0
    said = capsys.readouterr().out
    assert "6 images: 3 good, 3 defective" in said
    (line,) = [text for text in said.splitlines() if text.startswith("next: noescape predict")]
    assert line.endswith(f"--data-root {tests_alone}"), "the next command as it must be typed"
    assert main(["predict", "--run-dir", str(run), "--data-root", str(tests_alone)]) == 0
    assert len(room_maker.rows(run / "predictions" / "preds.jsonl")) == 6


def test_its_thresholds_are_not_computed_from_another_data_set(run: Path) -> None:
    before = tree(run)
    with pytest.raises(UsageError, match=r"fit again with --threshold-source.*noescape tune"):
        recompute_thresholds(run)
    assert tree(run) == before


def test_a_run_on_a_data_set_is_tested_on_it(root: Path, tmp_path: Path) -> None:
    whole = fit(room_maker.configured(root, tmp_path))
    assert evaluate(whole)["n"]["images"] == 6


def test_a_data_set_that_moved_is_asked_for(root: Path, tmp_path: Path) -> None:
    moved = Path(shutil.copytree(root, tmp_path / "here" / "part"))
    whole = fit(room_maker.configured(moved, tmp_path))
    shutil.move(moved, tmp_path / "there")
    with pytest.raises(DataError, match=r"no such folder\n.*name another place by --data-root"):
        evaluate(whole)
    assert evaluate(whole, root=tmp_path / "there")["n"]["images"] == 6


def test_a_data_set_without_test_images_says_where_to_put_them(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root / "train", tmp_path / "part" / "train")
    whole = fit(room_maker.configured(tmp_path / "part", tmp_path))
    with pytest.raises(DataError, match=r"no test images: expected test/good/.*--data-root.*noescape inspect"):
        evaluate(whole)


def test_test_images_alone_are_enough_to_test_and_never_to_learn(tests_alone: Path) -> None:
    assert len(read_mvtec(tests_alone, "part", to_learn=False).test) == 6, "whatever the category was called"
    assert len(read_mvtec(tests_alone.parent, "more", to_learn=False).test) == 6
    with pytest.raises(DataError, match="train/good"):
        read_mvtec(tests_alone)


def test_the_python_name_is_the_rule_of_all_commands(run: Path, tests_alone: Path) -> None:
    from noescape.anomaly.bundle import Bundle

    assert data_of(Bundle(run), tests_alone).test == read_mvtec(tests_alone, to_learn=False).test
