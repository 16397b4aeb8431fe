"""Export and the command line: a copy that does not agree is never left behind; commands say what they did."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from changenet_rows import mixed, put_rows, spec_for
from noescape.changenet import export as export_module
from noescape.changenet.checkpoint import read_checkpoint, write_checkpoint
from noescape.changenet.export import export
from noescape.changenet.export_graph import load_graph
from noescape.changenet.kpi_files import FILES
from noescape.changenet.scorer import open_scorer
from noescape.changenet.spec import Spec
from noescape.changenet.spec_file import spec_text
from noescape.changenet.train import train
from noescape.changenet.trained import Trained
from noescape.cli.main import main
from noescape.records import BundleError, UsageError, WorkError


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Spec, Trained]:
    root = tmp_path_factory.mktemp("export")
    put_rows(root, "train", mixed(18), side=32)
    put_rows(root, "test", mixed(9), seed=1, side=32)
    spec = spec_for(root, side=32, noescape={"strengths": [1.0, 0.1]})
    return root, spec, train(spec, spec.folder("train"))


@pytest.mark.parametrize("form", ["openvino", "onnx"])
def test_the_graph_gives_the_scores_of_the_checkpoint(
    world: tuple[Path, Spec, Trained], tmp_path: Path, form: str
) -> None:
    """Also from the file on disk, fed as export.json says."""
    root, spec, trained = world
    found = export(spec, trained.best, form, tmp_path / form)
    assert found.holds and found.probes > 10
    told = json.loads((tmp_path / form / "export.json").read_text())
    assert set(told["files"]) == set(export_module.FORMATS[form]) and told["input"]["shape"] == [1, 64, 32, 3]
    scorer = open_scorer(trained.best, spec, root / "img")
    rows = export_module.named_rows("test_dataset", spec.dataset.classify.test_dataset).rows
    run = load_graph(form, tmp_path / form)
    for row in rows[:3]:
        loaded = scorer.load(row)
        got = run(np.concatenate([loaded.input, loaded.goldens[0]]))
        assert got == pytest.approx(scorer.score([loaded])[0], abs=1e-4)
    assert sorted(p.name for p in (tmp_path / form).iterdir() if p.name != ".lock") == sorted(
        [*export_module.FORMATS[form], "export.json"]
    )


def test_a_graph_that_does_not_agree_is_thrown_away(
    world: tuple[Path, Spec, Trained], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from noescape.changenet import export_graph

    real = export_graph.load_graph
    monkeypatch.setattr(export_graph, "load_graph", lambda *a: lambda pair: real(*a)(pair) + 1e-3)
    with pytest.raises(WorkError, match="does not agree"):
        export(world[1], world[2].best, "openvino", tmp_path / "out")
    assert not list((tmp_path / "out").rglob("*.xml"))


def test_what_cannot_be_exported_is_said(world: tuple[Path, Spec, Trained], tmp_path: Path) -> None:
    _, spec, trained = world
    with pytest.raises(UsageError, match="expected one of openvino, onnx"):
        export(spec, trained.best, "tensorrt", tmp_path / "out")
    tensors, card = read_checkpoint(trained.best)
    plain = {k: v for k, v in card.items() if k not in ("kind", "format")}
    write_checkpoint(tmp_path / "m.safetensors", "cached", tensors, {**plain, "num_golden": 2})
    with pytest.raises(UsageError, match="one golden"):
        export(spec, tmp_path / "m.safetensors", "openvino", tmp_path / "out")


def test_a_damaged_checkpoint_is_refused(world: tuple[Path, Spec, Trained], tmp_path: Path) -> None:
    root, spec, trained = world
    data = trained.best.read_bytes()
    for name, content in (("cut", data[:-9]), ("empty", b""), ("text", b"hello" * 99)):
        path = tmp_path / f"{name}.safetensors"
        path.write_bytes(content)
        with pytest.raises(BundleError, match=name):
            open_scorer(path, spec, root)
    from safetensors.numpy import save_file

    save_file({"a": np.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(BundleError, match="card is missing"):
        open_scorer(tmp_path / "other.safetensors", spec, root)


def test_the_commands_do_it_from_one_file(
    world: tuple[Path, Spec, Trained], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """inference of both checkpoints with KPI files beside, evaluate, kpi; row order and columns kept."""
    root, spec, trained = world
    path = tmp_path / "spec.yaml"
    path.write_text(spec_text(spec))
    assert main(["changenet", "train", "-e", str(path)]) == 0
    assert f"best_val: {trained.best}" in capsys.readouterr().out
    assert main(["changenet", "inference", "-e", str(path), f"inference.results_dir={tmp_path / 'inf'}"]) == 0
    out = capsys.readouterr().out
    assert out.count("100% recall threshold: ") == 2
    for name in ("best_val", "latest"):
        folder = tmp_path / "inf" / name
        assert {"inference.csv", *FILES} <= {p.name for p in folder.iterdir()}
        with (folder / "inference.csv").open() as f, (root / "test.csv").open() as g:
            scored, given = list(csv.DictReader(f)), list(csv.DictReader(g))
        assert [{k: v for k, v in row.items() if k != "siamese_score"} for row in scored] == given
        assert list(scored[0]) == [*given[0], "siamese_score"]
    args = ["changenet", "evaluate", "-e", str(path), "--json", f"evaluate.checkpoint={trained.best}"]
    assert main([*args, f"evaluate.results_dir={tmp_path / 'ev'}"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {"test_acc", "test_fpr", "test_fnr", "defect_acc", "kpi"} == set(told)
    assert main(["changenet", "kpi", str(tmp_path / "ev"), "--group", "boardname", "--target", "0.1%"]) == 0
    assert "needs 2,995 good parts" in (tmp_path / "ev" / "summary.txt").read_text() or told["kpi"]["fp"]


def test_wrong_use_is_2_and_a_missing_training_1(
    world: tuple[Path, Spec, Trained], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(spec_text(world[1]))
    assert main(["changenet", "train", "-e", str(path), "train.num_epoch=3"]) == 2
    assert "did you mean 'train.num_epochs'" in capsys.readouterr().err
    assert main(["changenet", "inference", "-e", str(path), "-r", str(tmp_path / "none")]) == 1
    assert main(["changenet", "kpi", str(tmp_path), "--target", "lots"]) == 2
    assert main(["changenet", "kpi", str(tmp_path)]) == 1
