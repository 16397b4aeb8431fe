"""The commands from examples to labels, as a person types them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from generator_maker import cases, metal_set
from noescape.cli.main import main
from noescape.defects.generators.checkpoints import pick_step
from noescape.imaging import read_picture


def test_from_examples_to_labels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    raw, ck, out = metal_set(tmp_path / "my raw data"), tmp_path / "ck", tmp_path / "out"
    (tmp_path / "ag_config.yaml").write_text("trainer: {max_iter: 10000}\n")
    fit = ["defects", "finetune", "--config", str(tmp_path / "ag_config.yaml"), "--dataset-dir", str(raw)]
    assert main([*fit, "--output-dir", str(ck), "--dry-run"]) == 0 and not ck.exists()
    assert "metal+dark spot: 3 examples, 3 clean images" in capsys.readouterr().out
    assert main([*fit, "--output-dir", str(ck), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["step"] == 10000 and 0 < told["nn_score"] <= 1 and pick_step(ck) == 10000
    head, *rows = (ck / "valid" / "10000" / "valid_kpi.csv").read_text().splitlines()
    assert head == "kpi,metal+dark spot,metal+scratch,Average" and rows[-1].startswith("nn_score,")
    assert (ck / "checkpoints" / "best_checkpoint.txt").read_text() == "iter_000010000\n"

    jsonl = cases(raw, tmp_path)
    make = ["defects", "generate", "--checkpoint-dir", str(ck), "--input_jsonl", str(jsonl), "--output-dir", str(out)]
    assert main([*make, "--dry-run"]) == 0 and not out.exists()
    assert "metal+scratch: 3 images" in capsys.readouterr().out
    assert main([*make, "--seed", "1"]) == 0
    said = capsys.readouterr()
    assert "6 images" in said.out and "near copies:" in said.out and "generating: done in" in said.err
    assert main(["defects", "sheet", str(raw), str(out), "--out", str(tmp_path / "sheet.png")]) == 0
    assert read_picture(tmp_path / "sheet.png").width > 1500
    for form in ("coco", "yolo-seg", "mvtec", "daft", "changenet"):
        assert main(["defects", "label", str(out), "--format", form]) == 0
        assert any((out / "labels" / form).iterdir())
    capsys.readouterr()
    assert main(["defects", "label", str(out), "--format", "coco", "--out", str(tmp_path / "c"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["classes"] == ["metal+dark spot", "metal+scratch"]


def test_failing_rows_set_the_exit_code_only_when_asked_or_when_nothing_was_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw, ck = metal_set(tmp_path / "raw"), tmp_path / "ck"
    assert main(["defects", "finetune", "--dataset-dir", str(raw), "--output-dir", str(ck), "--no-validation"]) == 0
    jsonl = cases(raw, tmp_path)
    make = ["defects", "generate", "--checkpoint-dir", str(ck), "--input-jsonl", str(jsonl), "--output-dir"]
    (tmp_path / "masks" / "1.png").unlink()
    assert main([*make, str(tmp_path / "a")]) == 0
    said = capsys.readouterr()
    assert "1 of the files named are not there" in said.err and "1 failed ({'unreadable': 1})" in said.out
    assert main([*make, str(tmp_path / "a"), "--strict"]) == 1
    for k in range(6):
        (tmp_path / "masks" / f"{k}.png").unlink(missing_ok=True)
    assert main([*make, str(tmp_path / "b")]) == 1


@pytest.mark.parametrize(
    ("change", "says", "code"),
    [
        ({"--checkpoint-dir": "nowhere"}, "no such checkpoint folder", 1),
        ({"--input-jsonl": "nowhere.jsonl"}, "nowhere.jsonl", 1),
        ({"--step": "7"}, "no step 7; there are 15000", 1),
        ({"--seed": "-1"}, "--seed: expected 0 or more", 2),
        ({"--workers": "-1"}, "number of workers", 2),
    ],
)
def test_wrong_calls_say_what_to_do(
    change: dict[str, str], says: str, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw, ck = metal_set(tmp_path / "raw"), tmp_path / "ck"
    assert main(["defects", "finetune", "--dataset-dir", str(raw), "--output-dir", str(ck), "--no-validation"]) == 0
    flags = {
        "--checkpoint-dir": str(ck),
        "--input-jsonl": str(cases(raw, tmp_path)),
        "--output-dir": str(tmp_path / "o"),
    }
    capsys.readouterr()
    assert main(["defects", "generate", *(w for pair in (flags | change).items() for w in pair)]) == code
    assert says in capsys.readouterr().err


def test_a_data_set_that_cannot_be_used_is_refused_before_anything_is_learnt(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = metal_set(tmp_path / "raw")
    (raw / "metal" / "mask" / "scratch" / "1_mask.png").unlink()
    fit = ["defects", "finetune", "--dataset-dir", str(raw), "--output-dir", str(tmp_path / "ck")]
    assert main(fit) == 1
    assert "expected metal/mask/scratch/1_mask.png" in capsys.readouterr().err and not (tmp_path / "ck").exists()
