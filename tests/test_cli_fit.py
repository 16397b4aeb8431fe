"""The command line of fit: what was typed is what is fitted, or it is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import room_maker
from noescape.anomaly.bundle import Bundle
from noescape.cli.main import main


@pytest.mark.parametrize(("given", "size"), [(["64"], [64, 64]), (["64", "96"], [64, 96])])
def test_an_image_size_is_one_side_or_height_and_width(given: list[str], size: list[int], tmp_path: Path) -> None:
    room_maker.parts(tmp_path / "part", train=3, good=0, blot=0)
    where = ["--data-root", str(tmp_path / "part"), "--output-dir", str(tmp_path / "runs"), "--run-id", "one"]
    assert main(["fit", *where, "--image-size", *given]) == 0
    bundle = Bundle(tmp_path / "runs" / "patchcore" / "part" / "one")
    assert list(bundle.view.image_size) == list(bundle.config.data.image_size) == size


@pytest.mark.parametrize("given", [["1", "2", "3"], ["64", "64", "64", "64"]])
def test_a_third_number_is_wrong_use_and_not_dropped(
    given: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    where = ["--good", str(tmp_path), "--output-dir", str(tmp_path / "runs")]
    assert main(["fit", *where, "--image-size", *given]) == 2
    said = capsys.readouterr().err
    assert f"--image-size {' '.join(given)}" in said and "one number" in said and f"got {len(given)}" in said
    assert not (tmp_path / "runs").exists()


def test_the_result_as_json_names_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = room_maker.parts(tmp_path / "part", train=3, good=0, blot=0)
    where = ["--data-root", str(root), "--output-dir", str(tmp_path), "--run-id", "one", "--image-size", "64"]
    assert main(["fit", *where, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert Path(said["run_dir"]) == tmp_path / "patchcore" / "part" / "one" and said["metrics"] is None


@pytest.mark.parametrize("extra", [["--data-root", "elsewhere"], ["--category", "bracket"]])
def test_good_images_and_a_data_set_are_not_both_taken(
    extra: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One of the two would have been ignored."""
    where = ["--good", str(tmp_path), "--output-dir", str(tmp_path / "runs"), *extra]
    assert main(["fit", *where]) == 2
    assert f"{extra[0]} a data set: give one of them" in capsys.readouterr().err and not (tmp_path / "runs").exists()


def test_a_data_set_in_a_folder_without_a_name_of_its_own_is_called_as_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As where a workflow puts it; a folder above several keeps their names; a name is one folder's."""
    root = room_maker.parts(tmp_path / "input" / "0", train=3, good=1, blot=1)
    where = ["--output-dir", str(tmp_path / "runs"), "--run-id", "one", "--image-size", "64"]
    assert main(["fit", *where, "--data-root", str(root), "--data-name", "my parts"]) == 0
    run = tmp_path / "runs" / "patchcore" / "my parts" / "one"
    assert Bundle(run).meta["category"] == "my parts"
    assert main(["evaluate", "--run-dir", str(run), "--data-root", str(root)]) == 0
    assert main(["fit", *where, "--data-root", str(root.parent), "--data-name", "my parts"]) == 0
    assert (tmp_path / "runs" / "patchcore" / "0" / "one").is_dir()
    capsys.readouterr()
    assert main(["data", "check", str(root), "--data-name", "my parts", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["categories"][0]["category"] == "my parts"
    for bad in ("..", "a/b", "a\nb", "../../out"):
        assert main(["fit", *where, "--data-root", str(root), "--data-name", bad]) == 2
        assert "the name of one folder" in capsys.readouterr().err
