"""Routing and the source pool: nothing goes missing unsaid, pairs are whole, and what was ingested stays as it was."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from deft_maker import cell, full_world, generated, save
from noescape.changenet.spec_file import load_spec
from noescape.datasets.changenet_write import COLUMNS
from noescape.deft.hardstop import CODES, HardStop
from noescape.deft.ledger import Dropped, account, account_allocation
from noescape.deft.parquet import write_parquet
from noescape.deft.pool import Manifest, build_pool, check_unchanged, read_manifest, with_generated
from noescape.deft.pregen import find_pairs
from noescape.deft.rca import GAP_TYPES
from noescape.deft.route import route
from noescape.files import read_csv
from noescape.imaging import read_picture
from noescape.records import UsageError

NG, OK = "augmentation/anomalygen/reconstructed_image", "augmentation/anomalygen/original_image"
RUN = "results/run_20260129_150000"


def _build(home: Path, **more: bool) -> Manifest:
    return build_pool(home, home / RUN / "synth_pool", load_spec(home / "specs/baseline_spec.yaml"), **more)


def _gaps(path: Path, labels: list[str]) -> Path:
    n = len(labels)
    write_parquet(path, {"filepath": [f"kpi/images/{i}.png" for i in range(n)], "label": labels,
                         "siamese_score": [0.5] * n, "weakness": [0.1] * n}, GAP_TYPES)  # fmt: skip
    return path


def test_gaps_go_where_their_label_is_known_and_the_rest_is_named(tmp_path: Path) -> None:
    full_world(tmp_path)
    pool = tmp_path / "augmentation/mining_pool/mining_pool.csv"
    gaps = _gaps(tmp_path / "gaps.parquet", ["PASS", "Bridge", "bridge", "MISSING", "Tombstone"])
    done = route(gaps, pool, ["IC+bridge", "PCB+missing"], tmp_path / "out")
    assert (done.total, done.mining, done.generation) == (5, 3, 3)
    assert [one.row for one in done.dropped] == ["kpi/images/4.png"]
    said = (tmp_path / "out/routing_summary.txt").read_text()
    assert (
        "BRIDGE: 2 (mining=yes, anomalygen=yes)" in said and "TOMBSTONE: 1 (mining=no, anomalygen=no), DROPPED" in said
    )
    assert pq.read_table(done.mining_gaps).column_names == list(GAP_TYPES)


def test_without_a_generator_every_gap_is_mined(tmp_path: Path) -> None:
    full_world(tmp_path)
    pool = tmp_path / "augmentation/mining_pool/mining_pool.csv"
    done = route(_gaps(tmp_path / "gaps.parquet", ["PASS", "Tombstone"]), pool, (), tmp_path / "out")
    assert (done.mining, done.generation, done.generation_gaps, done.uncovered) == (2, 0, None, ("TOMBSTONE",))
    assert pq.read_table(tmp_path / "out/anomalygen_gaps.parquet").num_rows == 0


def test_nowhere_to_go_is_a_hard_stop(tmp_path: Path) -> None:
    with pytest.raises(HardStop) as stop:
        route(_gaps(tmp_path / "gaps.parquet", ["Tombstone"]), None, ["IC+bridge"], tmp_path / "out")
    assert stop.value.code == "nothing_routed"


def test_the_pool_joins_real_and_generated_rows(tmp_path: Path) -> None:
    full_world(tmp_path)
    done = _build(tmp_path)
    assert done.counts == {"real_rows": 6, "sdg_rows": 3, "total_rows": 9}
    rows = read_csv(done.source_pool_csv)
    assert list(rows[0])[:16] == [*COLUMNS, "provenance", "filepath"]
    assert [r["provenance"] for r in rows] == ["real"] * 6 + ["sdg"] * 3
    assert all((tmp_path / r["filepath"]).is_file() for r in rows)
    assert [r["label"] for r in rows[6:]] == ["bridge", "bridge", "missing"]  # the type is kept
    assert pq.read_table(done.source_pool_parquet).num_rows == 9
    assert rows[0]["input_path"] == "augmentation/mining_pool/images/pool" and rows[0]["golden_path"].startswith(
        "kpi/images/"
    )
    for row in rows[6:]:  # partners of different suffixes became one name under the light and suffix of the spec
        for side in ("input_path", "golden_path"):
            assert (tmp_path / row[side] / f"{row['object_name']}_SolderLight.png").is_file()


def test_a_staged_picture_keeps_its_pixels_where_the_format_is_kept(tmp_path: Path) -> None:
    full_world(tmp_path)
    row = read_csv(_build(tmp_path).sdg_rows_csv)[0]
    given = read_picture(tmp_path / NG / f"{row['description']}.png").rgb
    assert (read_picture(tmp_path / row["filepath"]).rgb == given).all()


@pytest.mark.parametrize(
    ("break_it", "code"),
    [
        (lambda w: shutil.rmtree(w / NG), "pregen_missing"),
        (lambda w: [p.unlink() for p in (w / OK).iterdir()], "pregen_empty"),
        (lambda w: next((w / OK).iterdir()).unlink(), "pregen_unpaired"),
        (lambda w: save(w / NG / "IC+bridge_00000.jpg", cell(1)), "pregen_unpaired"),
        (lambda w: (w / "augmentation/mining_pool/mining_pool.csv").unlink(), "pool_missing"),
        (lambda w: (w / "augmentation/mining_pool/mining_pool.csv").write_text(",".join(COLUMNS) + "\n"), "pool_empty"),
        (lambda w: shutil.rmtree(w / "augmentation/mining_pool/images"), "pool_empty"),
        (lambda w: [p.write_bytes(b"no picture") for p in (w / NG).iterdir()], "pregen_empty"),
    ],
)
def test_what_is_not_whole_stops_hard_and_leaves_nothing(tmp_path: Path, break_it: object, code: str) -> None:
    full_world(tmp_path)
    break_it(tmp_path)  # type: ignore[operator]
    with pytest.raises(HardStop) as stop:
        _build(tmp_path)
    assert stop.value.code == code and code in str(stop.value)
    assert not list((tmp_path / RUN).iterdir()) if (tmp_path / RUN).exists() else True


def test_absent_folders_are_fine_only_when_defects_are_generated_in_the_loop(tmp_path: Path) -> None:
    full_world(tmp_path)
    shutil.rmtree(tmp_path / NG)
    with pytest.raises(HardStop):  # the other one is there: it must be whole
        _build(tmp_path, inline=True)
    shutil.rmtree(tmp_path / OK)
    assert _build(tmp_path, inline=True).counts["sdg_rows"] == 0
    with pytest.raises(HardStop):
        _build(tmp_path, force=True)


def test_one_bad_pair_costs_its_row_and_is_named(tmp_path: Path) -> None:
    full_world(tmp_path)
    (tmp_path / NG / "IC+bridge_00001.png").write_bytes((tmp_path / NG / "IC+bridge_00001.png").read_bytes()[:200])
    save(tmp_path / NG / "IC+short_00009.png", cell(7))
    save(tmp_path / OK / "IC+short_00009.png", cell(7))  # nothing was generated there
    done = _build(tmp_path)
    assert done.counts["sdg_rows"] == 2
    told = json.loads((done.folder / "ingest_summary.json").read_text())
    assert (told["input_count"], told["paired_count"]) == (4, 2)
    assert {one["row"] for one in told["skipped"]} == {"IC+bridge_00001", "IC+short_00009"}
    assert all(one["reason"] for one in told["skipped"])


def test_a_pool_is_not_overwritten_without_force_and_is_the_same_again(tmp_path: Path) -> None:
    full_world(tmp_path)
    first = {p.name: p.read_bytes() for p in _build(tmp_path).folder.iterdir() if p.is_file()}
    with pytest.raises(UsageError, match="--force"):
        _build(tmp_path)
    again = {p.name: p.read_bytes() for p in _build(tmp_path, force=True).folder.iterdir() if p.is_file()}
    assert first == again
    moved = tmp_path.with_name(tmp_path.name + "_elsewhere")
    shutil.copytree(tmp_path, moved)
    check_unchanged(read_manifest(moved / RUN / "synth_pool/manifest.json", moved))


@pytest.mark.parametrize("change", ["more", "fewer", "other"])
def test_a_change_of_what_was_ingested_is_noticed(tmp_path: Path, change: str) -> None:
    """Also where the number of files stays."""
    full_world(tmp_path)
    done = _build(tmp_path)
    check_unchanged(done)
    path = tmp_path / NG / "IC+bridge_00000.png"
    if change == "more":
        generated(tmp_path, "IC+bridge_00077", 77)
    elif change == "fewer":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(HardStop) as stop:
        check_unchanged(done)
    assert stop.value.code == "pregen_mutated"


def test_types_come_from_the_table_the_name_or_the_specification(tmp_path: Path) -> None:
    home = tmp_path / "augmentation/anomalygen"
    for stem in ("PCB+Excess Solder_00001", "x1", "cold_joint-7", "thing", "bridges_1"):
        generated(tmp_path, stem, 5)
    (home / "SDG_result.csv").write_text("output_filename,anomaly_type\nx1.png,IC+Lifted\n")
    (home / "defect_spec.jsonl").write_text(
        '{"defect_type": "PCB+Cold_Joint", "spatial_dependency": "free"}\n'
        '{"defect_type": "PCB+bridge", "spatial_dependency": "free"}\n'
    )
    kinds = {pair.stem: pair.kind for pair in find_pairs(home)}
    assert kinds == {"PCB+Excess Solder_00001": "excess solder", "x1": "lifted", "cold_joint-7": "cold_joint",
                     "thing": "ng", "bridges_1": "ng"}  # fmt: skip


def test_rows_generated_in_the_loop_join_the_pool_once(tmp_path: Path) -> None:
    full_world(tmp_path)
    done = _build(tmp_path)
    new = [read_csv(done.sdg_rows_csv)[0] | {"filepath": "results/x/new.png", "object_name": "new"}]
    path = with_generated(done.source_pool_csv, [*new, *read_csv(done.sdg_rows_csv)], tmp_path / RUN / "iter1/pool")
    assert pq.read_table(path).num_rows == 10


def test_rows_that_vanish_without_a_reason_stop_hard() -> None:
    """Repeats count; a blank reason is none."""
    account(
        "a stage", ["a", "a", "b"], ["a"], [Dropped(row="a", reason="twice"), Dropped(row="b", reason="unreadable")]
    )
    for after, dropped in ((["a"], []), (["a", "b"], []), (["a", "a"], [Dropped(row="b", reason=" ")])):
        with pytest.raises(HardStop) as stop:
            account("a stage", ["a", "a", "b"], after, dropped)
        assert stop.value.code == "silent_drop" and "a stage" in str(stop.value)


def test_images_that_were_allocated_and_not_delivered_stop_hard() -> None:
    account_allocation({"bridge": 3}, {"bridge": 2}, [Dropped(row="bridge", reason="no place for it")])
    for delivered in ({"bridge": 2}, {"bridge": 4}, {"bridge": 3, "missing": 1}):
        with pytest.raises(HardStop) as stop:
            account_allocation({"bridge": 3}, delivered, [])
        assert stop.value.code == "amp_allocation"


def test_every_hard_stop_is_defined_in_the_manual() -> None:
    text = (Path(__file__).parent.parent / "docs/deft-hard-stops.md").read_text("utf-8")
    assert [code for code in CODES if f"`{code}`" not in text] == []
