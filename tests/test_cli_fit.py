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
