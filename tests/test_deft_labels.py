"""Suspected labels go out with pictures; what people decide comes back with a name and changes every figure."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from deft_maker import World, cell, full_world, make_world, spoilt, write_rows
from noescape.changenet.spec_file import load_spec
from noescape.cli.main import main
from noescape.deft.assemble import assemble
from noescape.deft.decisions import read_decisions
from noescape.deft.labels import COLUMNS, export_labels, import_labels
from noescape.deft.rca import rca
from noescape.files import read_csv
from noescape.records import DataError


def _world(home: Path) -> tuple[World, Path]:
    """Five good rows and three defects; one defect shows nothing, one good row is surely a defect."""
    world = make_world(home)
    rows = world.rows("kpi", ["PASS"] * 5 + ["Bridge"] * 2, seed=3)
    rows[4] |= world.pair("kpi", "<script>alert(1)</script>'\"&"[:8] + "x", spoilt(cell(8), 8), cell(8))
    rows.append(world.pair("kpi", "clean", cell(9), cell(9)) | {"label": "Bridge"})
    return world, world.scored(rows, [0.1, 0.11, 0.12, 0.13, 0.95, 0.8, 0.9, 0.05])


def _filled(csv: Path, decide: dict[str, str], **more: str) -> Path:
    rows = read_csv(csv)
    for row in rows:
        name = row["image"].rpartition("/")[2]
        for part, decision in decide.items():
            if part in name:
                row.update({"decision": decision, "by": "Ada", "on": "2026-01-29"} | more)
    return write_rows(csv, rows, COLUMNS)


def test_suspects_go_out_with_pictures_in_one_safe_file(tmp_path: Path) -> None:
    world, csv = _world(tmp_path)
    done = export_labels(csv, world.spec, tmp_path / "out", workspace=tmp_path)
    rows = {row["image"].rpartition("/")[2]: row for row in read_csv(done.csv)}
    assert set(rows) == {"<script>x_SolderLight", "clean_SolderLight"} and done.suspects == 2
    assert rows["clean_SolderLight"]["verdict"] == "mislabeled"
    page = done.page.read_text("utf-8")
    assert page.count("data:image/jpeg;base64,") == 4
    assert (
        "<script" not in page
        and "http" not in page.replace("http-equiv", "")
        and not re.search(r"src=\"(?!data:)", page)
    )


def test_decisions_come_in_with_name_and_date_and_change_the_figures(tmp_path: Path) -> None:
    world, csv = _world(tmp_path)
    log = tmp_path / "labels/decisions.jsonl"
    before = rca(csv, world.spec, tmp_path / "a", workspace=tmp_path, decisions=log)
    assert before.point.far_pct == 100.0
    out = export_labels(csv, world.spec, tmp_path / "out", workspace=tmp_path).csv
    done = import_labels(_filled(out, {"clean": "drop", "script": "Bridge"}), log)
    assert len(done.added) == 2 and {one.by for one in done.added} == {"Ada"}
    after = rca(csv, world.spec, tmp_path / "b", workspace=tmp_path, decisions=log)
    assert after.point.far_pct == 0.0 and after.point.tp == 3
    assert after.decisions == "1 labels changed, 1 rows left out by decision"
    assert after.decisions in (tmp_path / "b/weak_samples_breakdown.txt").read_text()
    assert export_labels(csv, world.spec, tmp_path / "again", workspace=tmp_path, decisions=log).suspects == 0
    call = ["deft", "gate", str(csv), "-e", str(world.spec), "--workspace", str(tmp_path)]
    assert main(call) == 1 and main([*call, "--decisions", str(log)]) == 0


@pytest.mark.parametrize(
    "bad", [{"by": " "}, {"on": "yesterday"}, {"on": "2026-02-30"}, {"on": ""}, {"decision": "NG"}]
)
def test_what_lacks_a_name_a_date_or_a_type_imports_nothing(tmp_path: Path, bad: dict[str, str]) -> None:
    world, csv = _world(tmp_path)
    out = export_labels(csv, world.spec, tmp_path / "out", workspace=tmp_path).csv
    _filled(out, {"script": "Bridge"})
    _filled(out, {"clean": "drop"}, **bad)
    with pytest.raises(DataError, match="nothing was imported"):
        import_labels(out, tmp_path / "log.jsonl")
    assert not (tmp_path / "log.jsonl").exists()


def test_the_log_only_grows_and_the_last_word_counts(tmp_path: Path) -> None:
    world, csv = _world(tmp_path)
    log = tmp_path / "log.jsonl"
    out = export_labels(csv, world.spec, tmp_path / "out", workspace=tmp_path).csv
    import_labels(_filled(out, {"clean": "drop"}), log)
    first = log.read_bytes()
    again = import_labels(out, log)
    assert again.added == () and again.repeated == 1 and log.read_bytes() == first
    import_labels(_filled(out, {"clean": "keep"}), log)
    assert log.read_bytes().startswith(first)
    assert [one.label for one in read_decisions(log).values()] == ["Bridge"]


def test_a_decision_on_another_label_than_the_present_one_is_not_applied(tmp_path: Path) -> None:
    world, csv = _world(tmp_path)
    log = tmp_path / "log.jsonl"
    out = export_labels(csv, world.spec, tmp_path / "out", workspace=tmp_path).csv
    import_labels(_filled(out, {"clean": "drop"}), log)
    rows = [r | ({"label": "Missing"} if r["object_name"] == "clean" else {}) for r in read_csv(csv)]
    write_rows(csv, rows, list(rows[0]))
    done = rca(csv, world.spec, tmp_path / "b", workspace=tmp_path, decisions=log)
    assert "1 decisions not applied" in done.decisions and done.point.tp + done.point.fn == 3


def test_decisions_reach_the_training_set_with_a_reason(tmp_path: Path) -> None:
    """One label changed, one row left out, and the sum still holds."""
    world = full_world(tmp_path)
    base = tmp_path / "train/base/training_set.csv"
    rows = read_csv(base)
    table = [{"image": f"kpi/images/base/{r['object_name']}_SolderLight", "label": r["label"], "decision": d,
              "by": "Ada", "on": "2026-01-29"} for r, d in zip(rows[1:3], ("Shift", "drop"))]  # fmt: skip
    log = tmp_path / "labels/decisions.jsonl"
    import_labels(write_rows(tmp_path / "labels.csv", table, COLUMNS), log)
    empty = write_rows(tmp_path / "m.csv", [])
    done = assemble(
        base, empty, tmp_path / "d", iteration=1, workspace=tmp_path, spec=load_spec(world.spec), decisions=log
    )
    assert [r["label"] for r in read_csv(done.csv)] == ["PASS", "shift", "missing"]
    assert [one.reason for one in done.dropped] == ["left out by Ada on 2026-01-29"]


def test_the_commands_export_and_import(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    world, csv = _world(tmp_path)
    home = ["--workspace", str(tmp_path)]
    assert main(["deft", "labels", "export", "--inference", str(csv), "-e", str(world.spec), "--out",
                 str(tmp_path / "o"), *home]) == 0  # fmt: skip
    _filled(tmp_path / "o/labels.csv", {"clean": "drop"})
    assert main(["deft", "labels", "import", str(tmp_path / "o/labels.csv"), *home]) == 0
    assert "1 decisions added, 0 known before, 1 rows undecided" in capsys.readouterr().out
    assert (tmp_path / "labels/decisions.jsonl").is_file()
