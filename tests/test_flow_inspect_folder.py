"""The shipped flow `inspect_folder`, run for real and small."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from noescape.cli.main import main
from small_runs import plates


def test_it_looks_learns_measures_and_inspects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """From a data set to verdicts and figures, in folders of their own; a resume of it has nothing to do."""
    plates(tmp_path / "good and bad")
    (data,) = [p.parent for p in (tmp_path / "good and bad").rglob("train")]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NOESCAPE_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    words = ["--set", "dig_url_root=work", f"data={data}", "recipe=padim_mvtec", "name=plates"]
    assert main(["flow", "run", "inspect_folder", *words]) == 0
    made = tmp_path / "work" / "runs" / "plates"
    assert (made / "check" / "preview.png").stat().st_size > 1000
    rows = (made / "inspection" / "report" / "preds.jsonl").read_text("utf-8").splitlines()
    images = list((data / "test").rglob("*.png"))
    assert len(rows) == len(images) and {json.loads(r)["label"] for r in rows} <= {"OK", "NG"}
    assert [p.name for p in (made / "model").glob("*/*/model")] and not list((made / "model").glob("*/0"))
    check = json.loads((made / "check" / "check.json").read_text("utf-8"))
    report = json.loads((made / "inspection" / "report" / "report.json").read_text("utf-8"))
    assert {check["categories"][0]["category"], report["category"]} == {data.name}, "not the name of a task's input"
    (metrics,) = (made / "evaluation").rglob("metrics.json")
    assert json.loads(metrics.read_text("utf-8"))
    assert "work/runs/plates/inspection" in capsys.readouterr().out
    assert main(["flow", "resume", "plates-1"]) == 0
    assert "RUNNING" not in capsys.readouterr().out
