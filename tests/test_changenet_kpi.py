"""The KPI: thresholds and tie-breaks as written down, against plain enumeration; files that say the same."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noescape.changenet.kpi import ScoredRow, kpi, read_scored
from noescape.changenet.kpi_files import FILES, headline, summary, write_kpi
from noescape.files import write_csv
from noescape.metrics import upper_bound
from noescape.records import DataError

Rows = list[tuple[bool, float]]
SCORES = st.lists(
    st.tuples(st.booleans(), st.sampled_from([0.0, 0.1, 0.2, 0.25, 0.5, 0.75, 0.9, 1.0])), min_size=2, max_size=25
)


def _rows(pairs: Rows) -> list[ScoredRow]:
    return [ScoredRow(label="Missing" if ng else "PASS", score=s) for ng, s in pairs]


def _by_hand(pairs: Rows, recall: float) -> tuple[float, int, int, int, int]:
    """Every candidate, counted one by one."""
    scores = sorted({s for _, s in pairs})
    best = None
    for t in [float(np.nextafter(scores[0], -np.inf)), *scores]:
        tp = sum(ng and s > t for ng, s in pairs)
        fp = sum(not ng and s > t for ng, s in pairs)
        fn = sum(ng and s <= t for ng, s in pairs)
        if tp / (tp + fn) < recall - 1e-12:
            continue
        f1 = 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else 0.0
        key = (f1, tp / (tp + fp) if tp + fp else 0.0, t)
        if best is None or key > best[0]:
            best = (key, (t, tp, fp, len(pairs) - tp - fp - fn, fn))
    assert best is not None
    return best[1]


@settings(max_examples=150, deadline=None)
@given(SCORES, st.sampled_from([1.0, 0.9, 0.5]))
def test_the_threshold_is_that_of_the_enumeration(pairs: Rows, recall: float) -> None:
    """With ties between classes and between thresholds."""
    if len({ng for ng, _ in pairs}) < 2:
        return
    p = kpi(_rows(pairs), recall).point
    assert (p.threshold, p.tp, p.fp, p.tn, p.fn) == _by_hand(pairs, recall)


@settings(max_examples=150, deadline=None)
@given(SCORES)
def test_far_at_full_recall_is_the_share_of_good_not_under_the_lowest_defect(pairs: Rows) -> None:
    if len({ng for ng, _ in pairs}) < 2:
        return
    lowest = min(s for ng, s in pairs if ng)
    good = [s for ng, s in pairs if not ng]
    found = kpi(_rows(pairs))
    assert found.far_pct == 100 * sum(s >= lowest for s in good) / len(good)
    below = [s for _, s in pairs if s < lowest]
    assert found.threshold == (max(below) if below else np.nextafter(lowest, -np.inf))
    assert found.point.fn == 0


def test_labels_are_read_without_case_and_blanks() -> None:
    rows = [ScoredRow(label=label, score=s) for label, s in ((" Pass", 0.1), ("pass", 0.2), ("missing", 0.9))]
    found = kpi(rows)
    assert (found.n_pass, found.n_fail, found.far_pct) == (2, 1, 0)
    assert [t.label for t in found.types] == ["MISSING", "PASS"]


def test_bounds_are_exact_and_rates_have_their_n() -> None:
    found = kpi(_rows([(False, 0.0)] * 299 + [(True, 1.0)] * 29))
    assert found.far.upper == upper_bound(0, 299) and found.miss.upper == upper_bound(0, 29)
    text = summary(found, [], target=0.001)
    assert "0 of 299 PASS stopped, at most 0.997% with 95% confidence" in text
    assert "cannot prove < 0.1%, that needs 2,995 good parts" in text and "0 of 29" in text


def test_what_hangs_on_the_lowest_defects_is_said() -> None:
    """Without the one defect that scores low, nothing good is stopped."""
    good = [(False, 0.1 * i) for i in range(10)]
    found = kpi(_rows([*good, (True, 0.35), (True, 2.0), (True, 3.0), (True, 3.0)]))
    assert found.far_pct == 60 and found.dropped == {1: 0.0, 3: 0.0}


def test_one_threshold_serves_all_groups() -> None:
    """One group alone would do with a higher one; together the lower counts, and each group's cost is shown."""
    a = [ScoredRow(label="PASS", score=s, group="a") for s in (0.1, 0.2)] + [ScoredRow(label="X", score=0.3, group="a")]
    b = [ScoredRow(label="PASS", score=s, group="b") for s in (0.4, 0.5)] + [ScoredRow(label="X", score=0.9, group="b")]
    assert kpi(b).far_pct == 0
    found = kpi([*a, *b])
    assert found.threshold == 0.2 and found.far_pct == 50
    assert {name: at.far_pct for name, at in found.groups} == {"a": 0, "b": 100}


@pytest.mark.parametrize("pairs", [[], [(True, 1.0)], [(False, 1.0)], [(True, float("nan")), (False, 0.0)]])
def test_what_carries_no_rate_is_refused(pairs: Rows) -> None:
    with pytest.raises(DataError):
        kpi(_rows(pairs))
    with pytest.raises(DataError):
        kpi(_rows([(True, 1.0), (False, 0.0)]), 0.0)


def _inference(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    rows: list[tuple[object, ...]] = []
    for n in range(60):
        ng = n % 5 == 0
        score: object = float(rng.beta(5, 2) if ng else rng.beta(1, 9))
        rows.append(("i", "g", "Missing" if ng else "PASS", f"{n:03d}", f"b{n % 3}", "" if n == 7 else score))
    head = ("input_path", "golden_path", "label", "object_name", "boardname", "siamese_score")
    folder.mkdir()
    write_csv(folder / "inference.csv", head, rows)
    return folder


def test_the_files_are_those_of_the_contract_and_agree(tmp_path: Path) -> None:
    one, two = _inference(tmp_path / "one"), _inference(tmp_path / "two")
    found = write_kpi(one, group="boardname")
    write_kpi(two, group="boardname")
    assert {p.name for p in one.iterdir()} == {"inference.csv", *FILES}
    for name in FILES:
        assert (one / name).read_bytes() == (two / name).read_bytes()
    with (one / FILES[0]).open() as f:
        table = list(csv.DictReader(f))
    assert list(table[0]) == [
        "threshold", "tp", "fp", "tn", "fn", "precision", "recall", "f1", "accuracy", "far", "predicted_no_pass_count",
        "actual_no_pass_count", "actual_pass_count",
    ]  # fmt: skip
    assert len(table) == 60  # 59 scores and one below
    own = next(row for row in table if float(row["threshold"]) == found.threshold)
    assert (float(own["far"]), float(own["recall"])) == (found.far_pct / 100, 1.0)
    assert headline(found).startswith(f"100% recall threshold: {found.threshold!r} (FAR=")
    assert (one / "summary.txt").read_text().startswith(headline(found))
    assert json.loads((one / "kpi.json").read_text())["unscored"] == 1
    for name in FILES[4:]:
        assert (one / name).read_bytes().startswith(b"\x89PNG")


def test_missed_defects_are_listed_lowest_first(tmp_path: Path) -> None:
    folder = _inference(tmp_path / "one")
    found = write_kpi(folder)
    with (folder / FILES[3]).open() as f:
        missed = list(csv.DictReader(f))
    scores = [float(row["siamese_score"]) for row in missed]
    assert len(missed) == found.best_f1.fn and scores == sorted(scores)
    assert all(s <= found.best_f1.threshold for s in scores)
    assert {row["analysis_predicted"] for row in missed} <= {"PASS"}


def test_scores_that_are_none_are_named(tmp_path: Path) -> None:
    folder = _inference(tmp_path / "one")
    rows, lost = read_scored(folder / "inference.csv")
    assert len(rows) == 59 and [row.object_name for row, _ in lost] == ["007"]
    path = folder / "inference.csv"
    path.write_text(path.read_text().replace("PASS,008,b2,", "PASS,008,b2,x"))
    with pytest.raises(DataError, match="row 9: expected a number"):
        read_scored(path)
    write_csv(path, ("input_path", "golden_path", "label", "object_name"), [("i", "g", "PASS", "x")])
    with pytest.raises(DataError, match="siamese_score"):
        read_scored(path)
