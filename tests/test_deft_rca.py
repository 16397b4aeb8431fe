"""Root cause analysis: the documented threshold, weakness and tables, and verdicts that the pictures bear out."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deft_maker import LIGHT, cell, make_world, spoilt, write_rows
from noescape.cli.main import main
from noescape.deft.hardstop import HardStop
from noescape.deft.rca import rca
from noescape.deft.target import parse_target
from noescape.files import read_csv
from noescape.imaging import read_picture
from noescape.records import UsageError


def _plain_sweep(labels: list[str], scores: list[float], recall: float) -> float:
    """The rule in its plainest form: every candidate, one at a time."""
    best: tuple[float, float, float] | None = None
    for t in [float(np.nextafter(min(scores), -np.inf)), *sorted(set(scores))]:
        tp = sum(s > t and y != "PASS" for y, s in zip(labels, scores))
        fp = sum(s > t and y == "PASS" for y, s in zip(labels, scores))
        fn = sum(s <= t and y != "PASS" for y, s in zip(labels, scores))
        if tp / (tp + fn) >= recall - 1e-12:
            f1 = 2 * tp / (2 * tp + fp + fn)
            best = max(best or (-1, -1, -1), (f1, tp / max(1, tp + fp), t))
    assert best
    return best[2]


@given(
    st.lists(
        st.tuples(st.sampled_from(["PASS", "pass ", "Bridge", "missing"]), st.integers(0, 6)), min_size=2, max_size=25
    ),
    st.sampled_from([1.0, 0.9, 0.5]),
)
def test_the_threshold_is_that_of_the_plain_rule(rows: list[tuple[str, int]], recall: float) -> None:
    """Ties everywhere: scores are sevenths."""
    from noescape.changenet.rows import Row
    from noescape.deft.scored import Scored

    labels = [label.strip().upper() for label, _ in rows]
    if set(labels) <= {"PASS"}:
        return
    scores = [score / 7 for _, score in rows]
    found = Scored(
        rows=tuple(Row(number=i, fields={"label": label}) for i, label in enumerate(labels)),
        scores=np.array(scores), defect=np.array([y != "PASS" for y in labels]), lost=(),
    ).best(recall)  # fmt: skip
    assert found.threshold == _plain_sweep(labels, scores, recall)


LABELS = ["PASS", "pass", "PASS", "PASS", "Bridge", "bridge", "Missing"]
SCORES = [0.1, 0.3, 0.55, 0.7, 0.5, 0.8, 0.9]


def test_gaps_are_the_weakest_of_each_label_in_the_documented_table(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    csv = world.scored(world.rows("kpi", LABELS, seed=3), SCORES)
    done = rca(csv, world.spec, tmp_path / "out", workspace=tmp_path, top_k=2)
    assert done.swept and done.threshold == 0.3  # the largest PASS score under the lowest defect
    table = pq.read_table(done.kpi_gaps)
    assert table.column_names == ["filepath", "label", "siamese_score", "weakness"]
    rows = table.to_pylist()
    assert [(r["label"], r["siamese_score"]) for r in rows] == [
        ("BRIDGE", 0.5), ("BRIDGE", 0.8), ("MISSING", 0.9), ("PASS", 0.7), ("PASS", 0.55),
    ]  # fmt: skip
    assert [r["weakness"] for r in rows] == pytest.approx([-0.2, -0.5, -0.6, 0.4, 0.25])
    assert all((tmp_path / r["filepath"]).is_file() for r in rows)
    assert float((tmp_path / "out/threshold.txt").read_text()) == done.threshold
    said = (tmp_path / "out/weak_samples_breakdown.txt").read_text()
    assert "total KPI samples: 7" in said and "PASS: 2 (40.0%) — 2 misclassified, 0 marginal" in said
    figures = json.loads((tmp_path / "out/metrics.json").read_text())
    assert (figures["tp"], figures["fp"], figures["tn"], figures["fn"]) == (3, 2, 2, 0)
    assert figures["per_label"]["PASS"]["n_misclassified"] == 2


def test_a_given_threshold_is_used_and_not_written_as_found(tmp_path: Path) -> None:
    """At its own score a defect is missed, at weakness 0; a good part there is right."""
    world = make_world(tmp_path)
    csv = world.scored(world.rows("kpi", ["PASS", "Bridge", "Bridge"], seed=3), [0.5, 0.5, 0.9])
    done = rca(csv, world.spec, tmp_path / "out", workspace=tmp_path, threshold=0.5)
    assert not done.swept and not (tmp_path / "out/threshold.txt").exists()
    assert (done.point.fn, done.point.fp, done.misclassified) == (1, 0, 1)


def test_a_target_out_of_reach_is_explained_and_a_met_one_is_not(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    csv = world.scored(world.rows("kpi", LABELS, seed=3), SCORES)
    out = tmp_path / "out"
    assert not rca(csv, world.spec, out, workspace=tmp_path).reachable
    said = (out / "unreachable_kpi.txt").read_text()
    assert "NOT MET, 49.9 pp above target" in said and "without the lowest 1: 0%" in said
    assert rca(csv, world.spec, out, workspace=tmp_path, target=parse_target("far < 60 %")).reachable
    assert not (out / "unreachable_kpi.txt").exists()


def test_verdicts_follow_the_pictures(tmp_path: Path) -> None:
    """Each rule has its planted sample; the weak one without any is an edge case."""
    world = make_world(tmp_path)
    golden = [cell(900 + i) for i in range(6)]
    blurred = cv2.GaussianBlur(golden[1], (0, 0), 4)
    made = [
        ("nothing", "Bridge", golden[0], golden[0]), ("blurred", "PASS", blurred, golden[1]),
        ("dark", "PASS", (golden[2] * 0.2).astype(np.uint8), golden[2]),
        ("edge", "PASS", spoilt(golden[3], 1), golden[3]),
        ("twice_a", "PASS", spoilt(golden[4], 2), golden[4]), ("twice_b", "Shift", spoilt(golden[4], 2), golden[4]),
        ("fine", "Bridge", spoilt(golden[5], 3), golden[5]),
    ]  # fmt: skip
    rows = [world.pair("kpi", name, rgb, gold) | {"label": label} for name, label, rgb, gold in made]
    rows.append({"input_path": "kpi", "golden_path": "golden_kpi", "object_name": "gone", "label": "PASS"})
    csv = world.scored(rows, [0.2, 0.9, 0.8, 0.7, 0.6, 0.4, 0.95, 0.5])
    done = rca(csv, world.spec, tmp_path / "out", workspace=tmp_path)
    verdicts = {row["object_name"]: (row["verdict"], row["reason"]) for row in read_csv(tmp_path / "out/verdicts.csv")}
    expected = {"nothing": "mislabeled", "blurred": "data quality", "dark": "data quality", "edge": "edge case",
                "twice_a": "mislabeled", "twice_b": "mislabeled", "gone": "data quality",
                "fine": "edge case"}  # fmt: skip
    assert {name: verdict for name, (verdict, _) in verdicts.items()} == expected
    assert "blurred" in verdicts["blurred"][1] and "dark" in verdicts["dark"][1]
    assert sum(done.verdicts.values()) == 8


def test_what_weak_samples_share_is_systematic(tmp_path: Path) -> None:
    """All diodes are weak, of many more resistors hardly one."""
    world = make_world(tmp_path)
    rows = world.rows("kpi", ["PASS"] * 24 + ["Bridge"], seed=3)
    rows = [r | {"comp_type_1": "diode" if i < 4 else "resistor", "boardname": ""} for i, r in enumerate(rows)]
    csv = world.scored(rows, [0.9 - 0.01 * i if i < 4 else 0.1 for i in range(24)] + [0.5])
    rca(csv, world.spec, tmp_path / "out", workspace=tmp_path, top_k=5)
    table = read_csv(tmp_path / "out/verdicts.csv")
    found = {row["object_name"]: row["verdict"] for row in table}
    assert [found[f"C{i}@3"] for i in range(4)] == ["systematic"] * 4
    assert sum(v == "systematic" for v in found.values()) == 4
    assert "4 of 4 PASS rows with comp_type_1 'diode'" in next(r["reason"] for r in table if r["object_name"] == "C0@3")


def test_thumbnails_are_five_of_each_class_128_px(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    csv = world.scored(world.rows("kpi", ["PASS"] * 7 + ["Bridge"] * 6, seed=3), [0.1 * i for i in range(13)])
    rca(csv, world.spec, tmp_path / "out", workspace=tmp_path)
    thumbs = sorted((tmp_path / "out/thumbnails").iterdir())
    assert len(thumbs) == 2 * 10
    assert {read_picture(p).rgb.shape for p in thumbs} == {(128, 128, 3)}
    named = [r["thumbnail"] for r in read_csv(tmp_path / "out/verdicts.csv") if r["thumbnail"]]
    assert {f"thumbnails/{p.name}" for p in thumbs if "_input" in p.name} == set(named)


def test_several_lights_give_a_row_each(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    world.spec.write_text(world.spec.read_text().replace("num_input: 1", "num_input: 2").replace(
        "{SolderLight: 0}", "{SolderLight: 0, WhiteLight: 1}"))  # fmt: skip
    rows = world.rows("kpi", ["PASS", "Bridge"], seed=3)
    csv = world.scored(rows, [0.6, 0.5])
    done = rca(csv, world.spec, tmp_path / "out", workspace=tmp_path)
    names = pq.read_table(done.kpi_gaps)["filepath"].to_pylist()
    assert [n.rpartition("_")[2] for n in names] == ["SolderLight.png", "WhiteLight.png"] * 2
    assert names[0].endswith(f"C1@3_{LIGHT}.png")


def test_same_input_same_bytes(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    csv = world.scored(world.rows("kpi", LABELS, seed=3), SCORES)
    for name in "ab":
        rca(csv, world.spec, tmp_path / name, workspace=tmp_path)
    files = [p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*") if p.is_file()]
    assert files and all((tmp_path / "a" / f).read_bytes() == (tmp_path / "b" / f).read_bytes() for f in files)


def test_hostile_names_stay_text_and_in_place(tmp_path: Path) -> None:
    """Quotes, line ends, formulas and other scripts in labels and names."""
    world = make_world(tmp_path)
    rows = world.rows("kpi", ["PASS", "=cmd|' /C calc'!A0", 'ショート\n"x", y'], seed=3)
    rows[0] |= {"object_name": "no such, 'part' \n<b>"}
    csv = world.scored(rows, [0.6, 0.5, 0.4])
    done = rca(csv, world.spec, tmp_path / "out", workspace=tmp_path)
    assert done.samples == 3
    assert all(p.is_relative_to(tmp_path / "out") for p in (tmp_path / "out").rglob("*"))
    labels = {row["label"] for row in read_csv(tmp_path / "out/verdicts.csv")}
    assert 'ショート\n"X", Y'.upper() in labels


def test_what_is_not_there_stops_hard_and_what_is_wrong_is_usage(tmp_path: Path) -> None:
    world = make_world(tmp_path)
    csv = world.scored(world.rows("kpi", LABELS, seed=3), SCORES)
    with pytest.raises(HardStop, match="reference_missing"):
        rca(csv, tmp_path / "no.yaml", tmp_path / "out", workspace=tmp_path)
    with pytest.raises(HardStop, match="reference_missing"):
        rca(tmp_path / "no.csv", world.spec, tmp_path / "out", workspace=tmp_path)
    with pytest.raises(UsageError, match="top_k"):
        rca(csv, world.spec, tmp_path / "out", workspace=tmp_path, top_k=0)


def test_the_command_tells_what_it_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    world = make_world(tmp_path)
    csv = world.scored(world.rows("kpi", LABELS, seed=3), SCORES)
    call = ["deft", "rca", "--inference", str(csv), "-e", str(world.spec), "--workspace", str(tmp_path)]
    assert main([*call, "--out", str(tmp_path / "out"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["far_pct"] == 50.0 and told["reachable"] is False
    write_rows(tmp_path / "empty.csv", [])
    assert main(["deft", "rca", "--inference", str(tmp_path / "empty.csv"), "-e", str(world.spec), "--out", "x"]) == 1
