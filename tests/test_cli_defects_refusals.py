"""What a command refuses, it refuses before it works; and what it prints is for people."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from gain_maker import plates
from generator_maker import cases, metal_set, write
from noescape.cli.main import main
from noescape.defects.gain import choose as choosing
from noescape.defects.generators.exemplar.generator import ExemplarGenerator
from noescape.defects.quality import score as scoring
from noescape.files import one_at_a_time


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """raw/, ck/, testcase.jsonl and out/."""
    root = tmp_path_factory.mktemp("made")
    assert main(["defects", "finetune", "--dataset-dir", str(metal_set(root / "raw")), "--output-dir",
                 str(root / "ck"), "--no-validation"]) == 0  # fmt: skip
    cases(root / "raw", root)
    assert main(["defects", "generate", "--checkpoint-dir", str(root / "ck"), "--input-jsonl",
                 str(root / "testcase.jsonl"), "--output-dir", str(root / "out")]) == 0  # fmt: skip
    return root


def commands(made: Path, target: Path) -> dict[str, list[str]]:
    """Every command that works long and then writes to `target`."""
    data = plates(made / "plates", parts=4, shots=1, good=6) if not (made / "plates").exists() else made / "plates"
    return {
        "finetune": ["finetune", "--dataset-dir", str(made / "raw"), "--output-dir", str(target)],
        "generate": ["generate", "--checkpoint-dir", str(made / "ck"), "--input-jsonl",
                     str(made / "testcase.jsonl"), "--output-dir", str(target)],
        "score": ["score", str(made / "raw"), str(made / "out"), "--out", str(target)],
        "choose": ["choose", str(data), "--output-dir", str(target), "--splits", "1", "--steps", "10", "--made", "2"],
    }  # fmt: skip


def no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    def work(*_: object, **__: object) -> None:
        raise AssertionError("work was started")

    monkeypatch.setattr(ExemplarGenerator, "finetune", work)
    monkeypatch.setattr(ExemplarGenerator, "load", work)
    monkeypatch.setattr(scoring, "look_at_real", work)
    monkeypatch.setattr(choosing, "rows_of", work)


@pytest.mark.parametrize("name", ["finetune", "generate", "score", "choose"])
def test_an_output_folder_that_cannot_be_is_refused_before_any_work(
    name: str, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    no_work(monkeypatch)
    (tmp_path / "a file").touch()
    assert main(["defects", *commands(made, tmp_path / "a file")[name]]) == 2
    assert "a file is no folder" in capsys.readouterr().err
    (tmp_path / "locked" / ".lock").mkdir(parents=True)  # stands for a disk that cannot be written to
    assert main(["defects", *commands(made, tmp_path / "locked")[name]]) == 1
    assert f"{tmp_path / 'locked'}: cannot be written" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["finetune", "generate", "score", "choose"])
def test_two_in_one_folder_are_refused_and_the_other_is_named(
    name: str, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    no_work(monkeypatch)
    with one_at_a_time(tmp_path / "out"):
        assert main(["defects", *commands(made, tmp_path / "out")[name]]) == 1
        assert f"process {os.getpid()} works in this folder already" in capsys.readouterr().err


def test_what_only_the_other_generator_understands_is_refused(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fit = ["defects", "finetune", "--dataset-dir", str(made / "raw"), "--output-dir", str(tmp_path / "ck")]
    for flags in (["--base-model", "m"], ["--generator", "diffusion", "--step", "3"],
                  ["--generator", "diffusion", "--choice", "c.json"]):  # fmt: skip
        assert main([*fit, *flags]) == 2
        assert f"{flags[-2]}: only for --generator" in capsys.readouterr().err
    assert not (tmp_path / "ck").exists()


@pytest.mark.parametrize("name", ["s.txt", "s", "s.jpg"])
def test_a_sheet_is_a_png_and_is_called_one(
    name: str, made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sheet = ["defects", "sheet", str(made / "raw"), str(made / "out"), "--out"]
    assert main([*sheet, str(tmp_path / name)]) == 2 and list(tmp_path.iterdir()) == []
    assert "name it s.png" in capsys.readouterr().err
    assert main([*sheet, str(tmp_path / "s.PNG")]) == 0


@pytest.mark.parametrize("form", ["coco", "yolo-seg", "mvtec", "daft", "changenet"])
def test_labels_are_told_in_words_and_refuse_a_foreign_folder_alike(
    form: str, made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    label = ["defects", "label", str(made / "out"), "--format", form, "--out"]
    assert main([*label, str(tmp_path / "new")]) == 0
    said = capsys.readouterr().out
    assert not set("[]{}'") & set(said) and ("metal+dark spot, metal+scratch" in said or form in ("mvtec", "changenet"))
    write(tmp_path / "mine" / "holiday.png", np.zeros((4, 4), np.uint8))
    assert main([*label, str(tmp_path / "mine")]) == 2
    assert f"holds other files: choose an empty folder for the {form} labels" in capsys.readouterr().err
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["holiday.png"]


def test_a_wrong_configuration_of_appearance_is_told_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All unknown keys in one sentence, each with what is near it; the known ones once."""
    write(tmp_path / "in" / "a.png", np.zeros((8, 8, 3), np.uint8))
    (tmp_path / "ag_config.yaml").write_text(
        "trainer: {max_iter: 3}\noptimizer: {}\nseeed: 3\nlocal: {tone: 1, x: 2}\n"
    )
    restyle = ["defects", "restyle", str(tmp_path / "in"), str(tmp_path / "out"), "--config"]
    assert main([*restyle, str(tmp_path / "ag_config.yaml")]) == 2
    said = capsys.readouterr().err
    assert "unknown keys 'trainer', 'optimizer', 'seeed' (did you mean 'seed'?); known are alignment" in said
    assert said.count("known are alignment") == 1 and "'local.x'" in said and not (tmp_path / "out").exists()


def test_what_place_cannot_write_is_refused_before_it_places(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = ["defects", "place", "--dataset-dir", str(made / "raw"), "--num-sdg", "4", "--output-jsonl"]
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    for words, says in (
        ([str(tmp_path / "folder")], "it is a folder"),
        ([str(tmp_path / "file" / "t.jsonl")], "file is no folder"),
        ([str(tmp_path / "t.jsonl"), "--amp-output-dir", str(tmp_path / "file")], "file is no folder"),
        ([str(tmp_path / "t.jsonl"), "--preview", str(tmp_path / "p.txt")], "name it p.png"),
    ):
        assert main([*place, *words]) == 2
        assert says in capsys.readouterr().err
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["file", "folder"]


def test_an_unknown_type_is_looked_for_in_the_specification_that_was_given(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = tmp_path / "mine.jsonl"
    spec.write_text('{"defect_type": "metal+rust", "spatial_dependency": "free"}\n')
    place = ["defects", "place", "--dataset-dir", str(made / "raw"), "--num-sdg", "4", "--output-jsonl"]
    assert main([*place, str(tmp_path / "t.jsonl"), "--defect-spec", str(spec)]) == 1
    assert f"{spec}: unknown type 'metal+rust'" in capsys.readouterr().err


def test_a_threshold_that_is_no_number_is_refused(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = commands(made, tmp_path / "out")["generate"]
    for value in ("nan", "inf"):
        assert main(["defects", *run, "--threshold", value]) == 2
        assert "expected a number as threshold" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_restyle_refuses_a_file_in_the_way_and_a_model_that_nobody_serves(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "in" / "a.png", np.zeros((8, 8, 3), np.uint8))
    (tmp_path / "file").touch()
    restyle = ["defects", "restyle", str(tmp_path / "in")]
    assert main([*restyle, str(tmp_path / "file")]) == 2
    said = capsys.readouterr().err
    assert "file is no folder" in said and "restyle: 1" not in said
    assert main([*restyle, str(tmp_path / "out"), "--model", "m"]) == 2
    assert "add --endpoint" in capsys.readouterr().err and not (tmp_path / "out").exists()
