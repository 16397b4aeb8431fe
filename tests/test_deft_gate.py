"""The target is read as people write it, and the gate claims no more than so many parts can prove."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deft_maker import make_world, write_rows
from noescape.changenet.kpi import Point
from noescape.cli.main import main
from noescape.deft.gate import gate, gate_csv
from noescape.deft.plan_samples import plan_samples
from noescape.deft.target import DEFAULT_TARGET, parse_target
from noescape.metrics import upper_bound
from noescape.records import DataError, UsageError

COLUMNS = ("input_path", "golden_path", "label", "object_name", "siamese_score")


@pytest.mark.parametrize(
    ("text", "limit", "strict", "recall"),
    [
        (DEFAULT_TARGET, 0.001, True, 1.0),
        ("FAR<10% at Recall=100%", 0.1, True, 1.0),
        ("far <= 0.5%", 0.005, False, 1.0),
        ("False Alarm Rate ≤ 0,5 % @ recall >= 99.5 %", 0.005, False, 0.995),
        ("far_pct < 2% at 99% recall", 0.02, True, 0.99),
    ],
)
def test_a_target_is_read_exactly_and_kept_as_given(text: str, limit: float, strict: bool, recall: float) -> None:
    target = parse_target(text)
    assert (target.limit, target.strict, target.recall, target.text) == (limit, strict, recall, text)
    assert "FP/(FP+TN)" in target.shown


@pytest.mark.parametrize("text", ["", "far < 0.1", "far > 1 %", "far < 0 %", "far < 100 %", "far < 1 % at recall = 0 %",
                                  "far < 1 % at recall = 101 %", "recall = 100 %",
                                  "far < 1 % at recall = 1"])  # fmt: skip
def test_what_is_no_target_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError, match=r"expected|percent"):
        parse_target(text)


def _point(fp: int, tn: int, tp: int = 50, fn: int = 0) -> Point:
    return Point(threshold=0.5, tp=tp, fp=fp, tn=tn, fn=fn)


def test_not_met_says_by_how_many_percentage_points() -> None:
    verdict = gate(_point(24, 976), parse_target(DEFAULT_TARGET))
    assert not verdict.met and verdict.headline.startswith("NOT MET, 2.3 pp above target")
    assert verdict.gap_pp == pytest.approx(2.3)


def test_exactly_the_limit_fails_a_strict_target_and_passes_the_other() -> None:
    """1 of 1,000 is 0.1%."""
    assert not gate(_point(1, 999), parse_target("far < 0.1 %")).met
    assert gate(_point(1, 999), parse_target("far <= 0.1 %")).met


@pytest.mark.parametrize("n", [1, 30, 400, 2994, 2995, 5000])
def test_no_false_alarm_is_a_proof_only_from_2995_parts(n: int) -> None:
    verdict = gate(_point(0, n), parse_target(DEFAULT_TARGET))
    assert verdict.met and verdict.proved == (n >= 2995)
    assert ("2,995 good parts" in verdict.refusal) == (n < 2995)
    assert verdict.refusal == "" or verdict.refusal in verdict.lines


def test_a_missed_defect_fails_full_recall_however_few_the_false_alarms() -> None:
    verdict = gate(_point(0, 5000, tp=49, fn=1), parse_target(DEFAULT_TARGET))
    assert not verdict.met and "recall" in verdict.headline
    assert gate(_point(0, 5000, tp=49, fn=1), parse_target("far < 0.1 % at recall = 98 %")).met


def test_a_set_of_one_class_meets_nothing() -> None:
    assert not gate(_point(0, 0), parse_target(DEFAULT_TARGET)).met
    assert not gate(_point(0, 9000, tp=0), parse_target(DEFAULT_TARGET)).met


def test_the_gate_of_a_file_takes_the_threshold_of_the_targets_recall(tmp_path: Path) -> None:
    """One hopeless defect: at full recall half the good parts are stopped, at 90% none."""
    rows = [{"input_path": "a", "golden_path": "g", "object_name": f"o{i}", "label": "PASS", "siamese_score": i / 100}
            for i in range(20)]  # fmt: skip
    rows += [{"input_path": "a", "golden_path": "g", "object_name": f"d{i}", "label": "bridge",
              "siamese_score": 0.1 if i == 0 else 0.9} for i in range(10)]  # fmt: skip
    path = write_rows(tmp_path / "inference.csv", rows, COLUMNS)
    assert gate_csv(path, parse_target("far < 1 % at recall = 100 %")).point.fp == 10
    assert gate_csv(path, parse_target("far < 1 % at recall = 90 %")).met
    assert not gate_csv(path, parse_target("far < 1 %"), threshold=0.5).met  # a defect is missed there


def test_the_command_answers_by_its_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"input_path": "a", "golden_path": "g", "object_name": f"o{i}", "label": "PASS" if i < 40 else "x",
             "siamese_score": 0.1 if i < 40 else 0.9} for i in range(50)]  # fmt: skip
    path = str(write_rows(tmp_path / "inference.csv", rows, COLUMNS))
    assert main(["deft", "gate", path]) == 0
    assert "refused as a claim" in capsys.readouterr().out
    assert main(["deft", "gate", path, "--proved"]) == 1
    capsys.readouterr()
    assert main(["deft", "gate", path, "--threshold", "0.05", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["met"] is False
    assert main(["deft", "gate", path, "--kpi-target", "soon"]) == 2


def test_a_score_that_is_no_number_is_an_error_and_a_blank_one_a_counted_row(tmp_path: Path) -> None:
    make_world(tmp_path)
    rows = [{"input_path": "a", "golden_path": "g", "object_name": f"o{i}", "label": label, "siamese_score": s}
            for i, (label, s) in enumerate([("PASS", "0.1"), ("x", "0.9"), ("x", "")])]  # fmt: skip
    assert gate_csv(write_rows(tmp_path / "i.csv", rows, COLUMNS), parse_target("far < 1 %")).point.tp == 1
    for bad in ("nan", "inf", "high"):
        table = [rows[0], rows[1] | {"siamese_score": bad}]
        with pytest.raises(DataError, match="finite number"):
            gate_csv(write_rows(tmp_path / "i.csv", table, COLUMNS), parse_target("far < 1 %"))


def test_the_plan_is_the_smallest_number_that_proves_the_claim() -> None:
    for claim, limit in (("far<0.1%", 0.001), ("miss < 1 %", 0.01), ("recall>99%", 0.01), ("escape<0,5%", 0.005)):
        plan = plan_samples(claim)
        assert plan.limit == pytest.approx(limit)
        for step in plan.steps:
            assert upper_bound(step.events, step.n) < plan.limit <= upper_bound(step.events, step.n - 1)
    assert plan_samples("far<0.1%").steps[0].n == 2995
    assert plan_samples("far<0.1%", 99).steps[0].n > 2995


def test_chances_of_a_plan_are_those_of_the_binomial() -> None:
    """Against sums of binomial terms."""
    from scipy.stats import binom

    for step in plan_samples("far<1%").steps:
        for share, chance in step.chance.items():
            assert chance == pytest.approx(binom.cdf(step.events, step.n, share * 0.01), abs=1e-9)


@pytest.mark.parametrize("claim", ["far>0.1%", "recall<99%", "far<0.1", "quality<1%", "recall>100%", "far<0%"])
def test_claims_that_cannot_be_made_are_refused(claim: str) -> None:
    with pytest.raises(UsageError, match="claim"):
        plan_samples(claim)
    assert main(["deft", "plan-samples", "--claim", claim]) == 2
