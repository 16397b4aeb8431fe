"""An export that is refused says why and leaves nothing behind."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path

import pytest

from dataset_maker import put, texture, tree
from export_maker import all_exports, answers, both_runs
from noescape.anomaly import export as export_module
from noescape.anomaly import exported_graph
from noescape.anomaly.bundle import Bundle, sign
from noescape.anomaly.export import export
from noescape.cli.main import main
from noescape.imaging import blur_map
from noescape.records import BundleError, UsageError, WorkError


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return both_runs(tmp_path_factory)


@pytest.fixture(scope="module")
def exports(runs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Path]:
    return all_exports(runs, tmp_path_factory)


def test_a_planted_disagreement_is_refused(
    runs: dict[str, Path],
    exports: dict[tuple[str, str], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Another blur than the native one: exit code 1, the figures on stderr, an earlier export untouched."""
    out = tmp_path / "out"
    shutil.copytree(exports["padim", "openvino"], out)
    before = tree(tmp_path)
    monkeypatch.setattr(exported_graph, "blur_map", lambda values, sigma: blur_map(values, sigma * 1.05))
    arguments = ["export", "--run-dir", str(runs["padim"]), "--format", "openvino", "--output-dir", str(out)]
    assert main([*arguments, "--overwrite"]) == 1
    said = capsys.readouterr()
    assert "does not agree with the native detector" in said.err and "maps by at most" in said.err
    assert said.out == ""
    assert tree(tmp_path) == before and [p.name for p in tmp_path.iterdir()] == ["out"]


def test_a_label_that_flips_is_refused(
    runs: dict[str, Path], exports: dict[tuple[str, str], Path], tmp_path: Path
) -> None:
    """The threshold lies exactly between the native score of a probe and the copy's, a millionth apart."""
    run = tmp_path / "run"
    shutil.copytree(runs["padim"], run)
    bundle = Bundle(run)
    native = bundle.detector(precision="f32")
    copy = exports["padim", "openvino"]
    pairs = [(native.score(rgb)[0], answers(copy, rgb)[0]) for rgb in bundle.tensors["probe_inputs"]]
    limit = next(min(pair) for pair in pairs if pair[0] != pair[1])
    (run / "thresholds.json").write_text(json.dumps({**bundle.thresholds, "image_threshold": limit}), "utf-8")
    sign(run)
    with pytest.raises(WorkError, match="labels flipped on probes"):
        export(run, "openvino", tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["run"]


def test_weights_of_another_network_are_refused(runs: dict[str, Path], tmp_path: Path) -> None:
    other = tmp_path / "other.pth"
    other.write_bytes(b"weights of something else")
    with pytest.raises(BundleError, match="not the weights file"):
        export(runs["padim"], "openvino", tmp_path / "out", weights=other)
    assert [p.name for p in tmp_path.iterdir()] == ["other.pth"]


def test_nothing_but_an_earlier_export_is_ever_replaced(runs: dict[str, Path], tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(runs["padim"], run)
    before = tree(tmp_path)
    for out in (run, tmp_path, run / ".."):
        with pytest.raises(UsageError, match="run folder itself"):
            export(run, "bundle", out, overwrite=True)
    other = tmp_path / "another run"
    shutil.copytree(runs["patchcore"], other)
    with pytest.raises(UsageError, match="other things"):
        export(run, "bundle", other, overwrite=True)
    shutil.rmtree(other)
    with pytest.raises(UsageError, match="is a file"):
        export(run, "bundle", run / "meta.json", overwrite=True)
    with pytest.raises(UsageError, match="expected one of openvino, onnx, bundle"):
        export(run, "tensorrt", tmp_path / "out")
    assert tree(tmp_path) == before
    export(run, "bundle", tmp_path / "out")
    with pytest.raises(UsageError, match="--overwrite"):
        export(run, "bundle", tmp_path / "out")
    export(run, "bundle", tmp_path / "out", overwrite=True)


def test_what_a_killed_export_left_is_cleaned_up(runs: dict[str, Path], tmp_path: Path) -> None:
    left = export_module._beside(tmp_path / "out", "exporting")
    put(left / "half.png", texture(0))
    export(runs["padim"], "bundle", tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    assert not (tmp_path / "out" / "half.png").exists()


def test_a_missing_extra_is_named_before_anything_is_done(
    runs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    known = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "onnxscript" else known(name, *a))
    out = tmp_path / "out"
    code = main(["export", "--run-dir", str(runs["padim"]), "--format", "onnx", "--output-dir", str(out)])
    assert code == 2
    assert "pip install 'noescape[onnx]'" in capsys.readouterr().err
    assert not any(tmp_path.iterdir())
