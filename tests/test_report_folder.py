"""What the report reads: broken rows cost themselves only, and the gallery's choice follows its rule."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from noescape.files import write_json
from noescape.records import DataError
from noescape.report.choose import choose_cards, worst_cases
from noescape.report.run_folder import load_run
from noescape.report.tables import tidy_threshold
from report_sample import make_row, write_run


def test_rows_without_a_usable_score_become_errors(tmp_path: Path) -> None:
    folder = write_run(tmp_path, [make_row("a.png", 1.0, 2.0)], threshold=2.0)
    odd = [
        {"image_path": "list.png", "pred_score": [1.0]},
        {"image_path": "text.png", "pred_score": "13"},
        {"image_path": "true.png", "pred_score": True},
        {"image_path": "huge.png", "pred_score": 10**400},
        {"pred_score": None},
        {"image_path": "e.png", "label": None, "error": "went wrong"},
        {"image_path": "ok.png", "pred_score": 3, "gt_label": "maybe", "defects": 7, "flags": None, "image_size": "x"},
    ]
    with (folder / "preds.jsonl").open("a") as f:
        f.writelines(json.dumps(row) + "\n" for row in odd)
    run = load_run(folder)
    assert [row.name for row in run.rows] == ["a.png", "ok.png"]
    assert run.rows[1].truth is None
    assert [error.code for error in run.errors] == ["no_score"] * 5 + ["error"]


def test_a_torn_last_line_is_left_out(tmp_path: Path) -> None:
    folder = write_run(tmp_path, [make_row("a.png", 1.0, 2.0)], threshold=2.0)
    with (folder / "preds.jsonl").open("a") as f:
        f.write('{"image_path": "b.png", "pred_sc')
    assert [row.name for row in load_run(folder).rows] == ["a.png"]


@pytest.mark.parametrize("text", ["", "[]", "{", '{"thresholds": {}}', '{"thresholds": {"image_threshold": "1"}}'])
def test_a_folder_that_is_no_run_is_refused_with_the_file_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "preds.jsonl").write_text("")
    (tmp_path / "report.json").write_text(text)
    with pytest.raises(DataError, match=r"report\.json"):
        load_run(tmp_path)


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"report\.json"):
        load_run(tmp_path)
    write_json(tmp_path / "report.json", {"thresholds": {"image_threshold": 1.0}})
    with pytest.raises(DataError, match=r"preds\.jsonl"):
        load_run(tmp_path)
    (tmp_path / "preds.jsonl").write_text("not json\n")
    with pytest.raises(DataError, match="line 1"):
        load_run(tmp_path)


def test_the_gallery_holds_the_worst_of_each_kind(tmp_path: Path) -> None:
    goods = [make_row(f"g{i}", i / 10, 5.0, gt_label=0) for i in range(60)]
    bads = [make_row(f"b{i}", 3 + i / 5, 5.0, gt_label=1) for i in range(60)]
    rows = load_run(write_run(tmp_path, goods + bads, threshold=5.0)).rows
    chosen = choose_cards(rows, 5.0, 24)
    assert len(chosen) == len(set(chosen)) == 24
    names = {rows[i].name for i in chosen}
    assert {"b0", "b1", "b2"} <= names  # lowest-scoring defects
    assert {"g59", "g58", "g57"} <= names  # highest-scoring good parts
    assert {"g50", "b10"} <= names  # on the threshold
    assert {"b59", "b58"} <= names  # highest scores
    assert [rows[i].score for i in chosen] == sorted((rows[i].score for i in chosen), reverse=True)
    assert {rows[i].name for i in worst_cases(rows, chosen, 5.0, 3)} == {"b0", "b1", "b2"}


@pytest.mark.parametrize("limit", [0, 1, 3, 10, 11])
def test_the_gallery_never_exceeds_its_limit(tmp_path: Path, limit: int) -> None:
    rows = load_run(write_run(tmp_path, [make_row(f"{i}", 1.0, 1.0) for i in range(10)], threshold=1.0)).rows
    assert choose_cards(rows, 1.0, limit) == list(range(min(limit, 10)))


@pytest.mark.parametrize("threshold", [8.719999999, 1.0, -3.25, 0.1 + 0.2, 1e-9])
def test_a_printed_threshold_judges_like_the_stored_one(threshold: float) -> None:
    scores = [threshold - 1e-7, threshold, threshold + 1e-12 * max(1.0, abs(threshold)), threshold + 0.004]
    tidy = tidy_threshold(scores, threshold, 2)
    assert [s > tidy for s in scores] == [s > threshold for s in scores]
