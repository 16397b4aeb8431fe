"""Comparing two runs: only like with like, a winner only where the same images decide."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from noescape.anomaly.compare import compare, labels
from noescape.anomaly.compare_table import cell
from noescape.anomaly.evaluate import summary
from noescape.anomaly.paired import chance_of_disagreement, rate_difference_interval
from noescape.cli.main import main
from noescape.files import read_jsonl, write_json, write_jsonl
from noescape.records import DataError, UsageError


def evaluated(
    folder: Path, good: Sequence[float], bad: Sequence[float], *, kind: str = "scratch", **fields: Any
) -> Path:
    """A run folder as `evaluate` leaves it, for scores of good and of defective images; threshold 5."""
    rows: list[dict[str, Any]] = [
        {"image_path": f"test/{name}/{i:03d}.png", "gt_label": label, "gt_type": name, "pred_score": float(score)}
        for label, name, scores in ((0, "good", good), (1, kind, bad))
        for i, score in enumerate(scores)
    ]
    for row in rows:
        row["label"] = "NG" if row["pred_score"] > 5.0 else "OK"
    metrics = summary(rows, {}, {"image_threshold": 5.0})
    metrics |= {"model": folder.name, "category": "plate", "run_id": "one", "uncertain": "none"}
    metrics |= {"data_digest": "d" * 64, "evaluator_digest": "e" * 64} | fields
    write_json(folder / "metrics.json", metrics)
    write_jsonl(folder / "preds_test.jsonl", rows)
    return folder


GOOD = [float(v) for v in np.linspace(0, 4.5, 40)]
BAD = [float(v) for v in np.linspace(6, 9, 30)]
BLIND = [float(v) for v in np.linspace(0.5, 4.0, 30)]


def test_a_clear_winner_is_marked_and_turning_the_sides_turns_the_result(tmp_path: Path) -> None:
    sharp, blind = evaluated(tmp_path / "sharp", GOOD, BAD), evaluated(tmp_path / "blind", GOOD, BLIND)
    one = compare(sharp, blind, tmp_path / "one", draw=False)
    two = compare(blind, sharp, tmp_path / "two", draw=False)
    found = {row["figure"]: row for row in one["differences"]}
    assert {k: v["winner"] for k, v in found.items()} == {
        "image_auroc": "a",
        "false_alarm_rate": None,
        "miss_rate": "a",
    }
    for row, turned in zip(one["differences"], two["differences"], strict=True):
        assert (row["difference"], row["lower"], row["upper"]) == pytest.approx(
            (-turned["difference"], -turned["upper"], -turned["lower"]), abs=1e-9
        )
        assert {row["winner"], turned["winner"]} in ({"a", "b"}, {None})
    table = (tmp_path / "one" / "comparison_table.md").read_text()
    assert re.search(r"\| image AUROC \| \*\*1\.0000 .*\*\* \| 0\.\d{4} ", table)
    assert "where 40 good and 30 defective images decide, sharp is better" in one["what_n_allows"]


def test_equal_models_have_no_winner(tmp_path: Path) -> None:
    """Nothing is bold, and the words say that the images do not decide."""
    rng = np.random.default_rng(0)
    runs = [
        evaluated(tmp_path / name, rng.normal(3, 1, 60).tolist(), rng.normal(5, 1, 40).tolist()) for name in ("p", "q")
    ]
    report = compare(*runs, tmp_path / "out", draw=False)
    assert [row["winner"] for row in report["differences"]] == [None] * 3
    assert "60 good and 40 defective images do not show which of p and q is better" in report["what_n_allows"]
    assert not re.search(r"\| \*\*\d", (tmp_path / "out" / "comparison_table.md").read_text())


def test_few_cases_decide_nothing(tmp_path: Path) -> None:
    """With 4 defects a normal interval may exclude 0; it is shown and not believed."""
    sharp = evaluated(tmp_path / "sharp", GOOD, BAD[:4])
    blind = evaluated(tmp_path / "blind", GOOD, [0.05, 0.1, 0.2, 4.6])
    report = compare(sharp, blind, tmp_path / "out", draw=False)
    found = {row["figure"]: row for row in report["differences"]}
    assert found["image_auroc"]["lower"] > 0 and found["image_auroc"]["winner"] is None
    assert "too few cases" in found["image_auroc"]["text"]
    assert (
        found["miss_rate"]["n"] == {"defective": 4, "only_a": 0, "only_b": 4} and found["miss_rate"]["winner"] is None
    )


def test_what_does_not_compare_is_refused_and_said(tmp_path: Path) -> None:
    """Every reason at once, exit code 2, nothing written."""
    a = evaluated(tmp_path / "a", GOOD, BAD)
    cases = [
        (evaluated(tmp_path / "data", GOOD, BAD, data_digest="x" * 64), "the test data differ: data_digest dddd"),
        (evaluated(tmp_path / "ruler", GOOD, BAD, evaluator_digest="y" * 64), "the evaluators differ"),
        (
            evaluated(tmp_path / "fewer", GOOD[:-2], BAD),
            r"only .*/a holds 'test/good/038.png', .* \(2 in",
        ),
        (evaluated(tmp_path / "kinds", GOOD, BAD, kind="pit"), "holds 'test/pit/000.png'"),
    ]
    for b, reason in cases:
        with pytest.raises(UsageError, match=reason):
            compare(a, b, tmp_path / "out", draw=False)
    both = evaluated(tmp_path / "both", GOOD[:-1], BAD, data_digest="x" * 64, evaluator_digest="y" * 64)
    with pytest.raises(UsageError, match=r"test data differ.*evaluators differ.*only"):
        compare(a, both, tmp_path / "out", draw=False)
    words = ["compare", "--run-dir-a", str(a), "--run-dir-b", str(both), "--output-dir", str(tmp_path / "out")]
    assert main([*words, "--no-samples"]) == 2
    assert not (tmp_path / "out").exists()


def test_truth_that_differs_is_refused(tmp_path: Path) -> None:
    a, b = (evaluated(tmp_path / name, GOOD, BAD) for name in "ab")
    rows = list(read_jsonl(b / "preds_test.jsonl"))
    rows[0]["gt_type"] = "fine"
    write_jsonl(b / "preds_test.jsonl", rows)
    with pytest.raises(UsageError, match=r"the truth of 'test/good/000.png' differs"):
        compare(a, b, tmp_path / "out", draw=False)


def test_runs_that_are_not_ready_are_sent_to_evaluate(tmp_path: Path) -> None:
    a, b = (evaluated(tmp_path / name, GOOD, BAD) for name in "ab")
    with pytest.raises(UsageError, match="the same run"):
        compare(a, tmp_path / "." / "a", tmp_path / "out", draw=False)
    with pytest.raises(UsageError, match="expected a run folder"):
        compare(a, tmp_path / "none", tmp_path / "out", draw=False)
    (b / "metrics.json").unlink()
    with pytest.raises(UsageError, match=r"has no metrics.json: run `noescape evaluate --run-dir"):
        compare(a, b, tmp_path / "out", draw=False)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda rows: rows + rows[:1], "row 71"),
        (lambda rows: rows[:-1], "count different images"),
        (lambda rows: [{**rows[0], "label": "NG"}, *rows[1:]], "of different thresholds"),
        (lambda rows: [{**rows[0], "gt_label": None}, *rows[1:]], "row 1"),
        (lambda rows: [{"image_path": 3}, *rows[1:]], "row 1"),
    ],
)
def test_rows_that_do_not_fit_their_figures_are_refused(spoil: Any, reason: str, tmp_path: Path) -> None:
    a, b = (evaluated(tmp_path / name, GOOD, BAD) for name in "ab")
    write_jsonl(b / "preds_test.jsonl", spoil(list(read_jsonl(b / "preds_test.jsonl"))))
    with pytest.raises(DataError, match=reason):
        compare(a, b, tmp_path / "out", draw=False)


def test_an_image_that_one_run_could_not_read_is_left_out_of_differences(tmp_path: Path) -> None:
    a, b = evaluated(tmp_path / "a", GOOD, BAD), evaluated(tmp_path / "b", GOOD, BAD)
    rows = list(read_jsonl(b / "preds_test.jsonl"))
    rows[3] = {
        "image_path": rows[3]["image_path"],
        "gt_label": 0,
        "gt_type": "good",
        "error": {"code": "x", "reason": ""},
    }
    write_jsonl(b / "preds_test.jsonl", rows)
    metrics = json.loads((b / "metrics.json").read_text())
    metrics["n"] |= {"images": 69, "good": 39, "errors": 1}
    write_json(b / "metrics.json", metrics)
    report = compare(a, b, tmp_path / "out", draw=False)
    assert report["n"] == {"images": 70, "compared": 69, "good": 39, "defect": 30, "unreadable_in_a_or_b": 1}
    assert "1 unreadable, left out of differences" in (tmp_path / "out" / "comparison_table.md").read_text()


def test_hostile_names_stay_in_their_cells(tmp_path: Path) -> None:
    """Pipes, HTML, new lines and Markdown in names: every row keeps its columns, nothing becomes markup."""
    kind = "a|b<script>alert(1)</script>\n| x | **y** [z](javascript:1)"
    runs = [evaluated(tmp_path / name, GOOD, BAD, kind=kind, category=kind, run_id=kind) for name in "ab"]
    compare(*runs, tmp_path / "out", draw=False)
    text = (tmp_path / "out" / "comparison_table.md").read_text()
    assert "<script" not in text and "](" not in text.replace("\\](", "")
    columns = [len(re.findall(r"(?<!\\)\|", line)) for line in text.splitlines() if line.startswith("|")]
    assert set(columns) == {6, 10}
    assert cell("a|b\n`c`") == "a\\|b\\\\n\\`c\\`"


@pytest.mark.parametrize(
    ("a", "b", "names"),
    [
        (("padim", "x"), ("patchcore", "x"), ("padim", "patchcore")),
        (("padim", "first"), ("padim", "second run"), ("first", "second_run")),
        (("padim", "one"), ("PaDiM", "ONE"), ("one_a", "ONE_b")),
        (("../..", "a/b"), ("../..", "c"), ("a_b", "c")),
    ],
)
def test_folders_are_called_by_model_then_by_run(a: Any, b: Any, names: tuple[str, str]) -> None:
    assert labels(*({"model": model, "run_id": run} for model, run in (a, b))) == names


def test_the_exact_test_of_disagreements() -> None:
    assert chance_of_disagreement(8, 0) == pytest.approx(2 / 256)
    assert chance_of_disagreement(0, 0) == chance_of_disagreement(3, 3) == 1.0
    assert chance_of_disagreement(900, 700) < 1e-5


def test_the_interval_is_the_published_one() -> None:
    """1 and 7 disagreements of 21: -0.517 to -0.026 (Fagerland, Lydersen and Laake 2014, Tango's interval)."""
    assert rate_difference_interval(1, 7, 21) == pytest.approx((-0.517, -0.026), abs=6e-4)
    low, high = rate_difference_interval(0, 0, 40)
    assert low == pytest.approx(-high) and high == pytest.approx(1.96**2 / (40 + 1.96**2), abs=1e-3)


@pytest.mark.parametrize("rates", [(0.1, 0.1), (0.3, 0.1), (0.02, 0.2), (0.5, 0.3)])
def test_the_interval_holds_as_often_as_it_says(rates: tuple[float, float]) -> None:
    """Exact coverage, summed over every possible pair of counts."""
    n, (p, q) = 30, rates
    total = 0.0
    for x in range(n + 1):
        for y in range(n + 1 - x):
            chance = math.comb(n, x) * math.comb(n - x, y) * p**x * q**y * (1 - p - q) ** (n - x - y)
            if chance > 1e-9:
                low, high = rate_difference_interval(x, y, n)
                total += chance * (low <= p - q <= high)
    assert 0.93 < total <= 1
