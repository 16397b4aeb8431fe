"""The next training set: nothing is lost, everything has an origin, and what is wrong is said before training."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deft_maker import World, full_world, write_rows
from noescape.changenet.rows import Files, missing, read_rows
from noescape.changenet.spec_file import load_spec
from noescape.cli.main import main
from noescape.datasets.changenet_write import COLUMNS
from noescape.deft.assemble import Assembled, assemble, canonical
from noescape.deft.hardstop import HardStop
from noescape.deft.leakage_key import Holdout
from noescape.deft.pool import build_pool
from noescape.deft.validate import require_valid, validate
from noescape.files import read_csv


def _mined(world: World, which: slice, name: str) -> Path:
    done = world.home / "results/run/synth_pool"
    if not done.exists():
        build_pool(world.home, done, load_spec(world.spec))
    rows = read_csv(done / "source_pool.csv")
    return write_rows(world.home / name, rows[which], list(rows[0]))


def _first(world: World, which: slice = slice(0, 8, 3)) -> Assembled:
    base = world.home / "train/base/training_set.csv"
    return assemble(base, _mined(world, which, "m1.csv"), world.home / "d1", iteration=1, workspace=world.home)


def test_the_first_set_is_the_base_and_what_was_mined_with_paths_from_the_workspace(tmp_path: Path) -> None:
    world = full_world(tmp_path)
    done = _first(world)
    rows = read_csv(done.csv)
    assert (done.rows, done.previous, done.mined, done.synthetic, len(rows)) == (7, 4, 3, 1, 7)
    assert list(rows[0]) == list(COLUMNS)
    assert [r["label"] for r in rows] == ["PASS", "PASS", "bridge", "missing", "PASS", "bridge", "bridge"]
    assert (
        rows[0]["input_path"] == "kpi/images/base" and rows[4]["input_path"] == "augmentation/mining_pool/images/pool"
    )
    files = Files.of(load_spec(world.spec).dataset.classify, tmp_path)
    assert missing(read_rows(done.csv), files) == {}
    origin = read_csv(done.provenance)
    assert [r["source"] for r in origin] == ["base_train"] * 4 + ["mining_pool"] * 3
    assert [r["provenance"] for r in origin] == ["real"] * 6 + ["sdg"]


def test_sets_only_grow_and_the_base_is_never_added_again(tmp_path: Path) -> None:
    world = full_world(tmp_path)
    first = _first(world)
    second = assemble(
        first.csv, _mined(world, slice(1, 9, 3), "m2.csv"), tmp_path / "d2", iteration=2, workspace=tmp_path
    )
    before, after = read_csv(first.csv), read_csv(second.csv)
    assert after[: len(before)] == before and len(after) == 10
    assert [r["source"] for r in read_csv(second.provenance)] == ["previous_iter_train"] * 7 + ["mining_pool"] * 3
    assert second.synthetic == 2  # that of the first iteration is still known as synthetic


def test_a_row_that_is_there_already_is_left_out_and_logged(tmp_path: Path) -> None:
    world = full_world(tmp_path)
    first = _first(world)
    assert not (tmp_path / "d1/train_combined_iter1_dropped.csv").exists()
    second = assemble(first.csv, tmp_path / "m1.csv", tmp_path / "d2", iteration=2, workspace=tmp_path)
    assert (second.rows, second.mined, len(second.dropped)) == (7, 0, 3)
    log = read_csv(tmp_path / "d2/train_combined_iter2_dropped.csv")
    assert len(log) == 3 and all("already" in row["reason"] for row in log)


def test_production_rows_as_delivered_are_placed_by_the_path_rule(tmp_path: Path) -> None:
    """Their input_path names a file; the folder counts."""
    world = full_world(tmp_path)
    base = tmp_path / "train/base/training_set.csv"
    done = assemble(base, tmp_path / "augmentation/mining_pool/mining_pool.csv", tmp_path / "d", iteration=1,
                    workspace=tmp_path)  # fmt: skip
    files = Files.of(load_spec(world.spec).dataset.classify, tmp_path)
    assert done.mined == 6 and missing(read_rows(done.csv), files) == {}


@pytest.mark.parametrize("name", ["/etc", "../../etc", "a/../../..", "C:\\x", "~root", "a\0b"])
@pytest.mark.parametrize("side", ["input_path", "golden_path"])
def test_paths_that_leave_the_workspace_stop_hard(tmp_path: Path, name: str, side: str) -> None:
    row = {"input_path": "a", "golden_path": "g", "label": "PASS", "object_name": "o"} | {side: name}
    base = write_rows(tmp_path / "base.csv", [row])
    with pytest.raises(HardStop) as stop:
        assemble(base, write_rows(tmp_path / "m.csv", []), tmp_path / "d", iteration=1, workspace=tmp_path)
    assert stop.value.code == "path_rule"


def test_rows_that_do_not_reach_the_disk_stop_hard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer that loses its last row is caught."""
    from noescape.deft import assemble as module

    world = full_world(tmp_path)
    plain = module.write_csv
    monkeypatch.setattr(module, "write_csv", lambda path, header, rows: plain(path, header, list(rows)[:-1]))
    with pytest.raises(HardStop) as stop:
        _first(world)
    assert stop.value.code == "silent_drop"


def test_labels_have_one_form() -> None:
    assert [canonical(x) for x in ("PASS", " pass ", "Bridge", " MISSING", "passed")] == [
        "PASS", "PASS", "bridge", "missing", "passed",
    ]  # fmt: skip


def _codes(world: World, rows: list[dict[str, str]], columns: tuple[str, ...] = COLUMNS, **more: object) -> list[str]:
    csv = write_rows(world.home / "t.csv", rows, columns)
    found = validate(csv, load_spec(world.spec), workspace=world.home, **more)  # type: ignore[arg-type]
    return [problem.code for problem in found]


def test_a_sound_set_has_no_problem_and_each_planted_one_is_found(tmp_path: Path) -> None:
    world = full_world(tmp_path)
    rows = read_csv(_first(world).csv)
    assert _codes(world, rows) == []
    assert _codes(world, []) == ["table"]
    assert _codes(world, rows, COLUMNS[1:]) == ["table"]
    assert _codes(world, [*rows, rows[0]]) == ["repeated"]
    assert _codes(world, [rows[0], rows[2] | {"label": "Bridge"}]) == ["label"]
    assert _codes(world, [rows[0] | {"label": "pass"}, rows[2]]) == ["label"]
    assert _codes(world, [rows[0], rows[2] | {"object_name": "C99@9"}]) == ["picture"]
    assert _codes(world, [rows[0], rows[2] | {"golden_path": "nowhere"}]) == ["picture"]
    assert _codes(world, [rows[0], rows[2] | {"input_path": "../x"}]) == ["path"]
    assert _codes(world, rows[:2]) == ["class"] == _codes(world, rows[2:4])


def test_a_held_out_row_in_training_is_found_under_its_other_path(tmp_path: Path) -> None:
    """Training paths start at the workspace, those of the held-out set at kpi/images; labels differ in case."""
    world = full_world(tmp_path)
    rows = read_csv(_first(world).csv)
    held = read_csv(tmp_path / "train/base/validation_set.csv")
    stolen = (
        held[1] | {side: f"kpi/images/{held[1][side]}" for side in ("input_path", "golden_path")} | {"label": "bridge"}
    )
    holdouts = [Holdout(name="validation", csv=tmp_path / "train/base/validation_set.csv")]
    assert _codes(world, rows, holdouts=holdouts) == []
    assert _codes(world, [*rows, stolen], holdouts=holdouts) == ["leak"]
    found = validate(tmp_path / "t.csv", load_spec(world.spec), holdouts, workspace=tmp_path)
    with pytest.raises(HardStop) as stop:
        require_valid(tmp_path / "t.csv", found)
    assert stop.value.code == "leakage" and "row 8: is row 2 of the validation set" in str(stop.value)


def test_the_commands_assemble_and_validate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    world = full_world(tmp_path)
    mined = _mined(world, slice(0, 9), "m.csv")
    home = ["--workspace", str(tmp_path)]
    base = str(tmp_path / "train/base/training_set.csv")
    assert main(["deft", "assemble", "--previous", base, "--mined", str(mined), "--iteration", "1", "--out",
                 str(tmp_path / "d"), *home, "--json"]) == 0  # fmt: skip
    told = json.loads(capsys.readouterr().out)
    assert told["rows"] == 13
    held = ["--held-out", "validation=train/base/validation_set.csv", "--held-out", "kpi=kpi/testing_set.csv"]
    check = ["deft", "validate", told["csv"], "-e", str(world.spec), *home]
    assert main([*check, *held]) == 0
    assert main([*check, "--held-out", "kpi=train/base/training_set.csv"]) == 1
    assert "key: same" in capsys.readouterr().out
