"""The workspace: nothing outside of it, and no group on two sides."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deft_loop_maker import bare_workspace, new_run
from noescape.deft.hardstop import HardStop
from noescape.deft.init_split import PARTS, split_groups
from noescape.deft.workspace import Workspace
from noescape.files import write_text
from noescape.records import DataError, UsageError


@pytest.mark.parametrize(
    "override",
    [
        "results_dir=/results/x", "train.results_dir=../out", "dataset.classify.train_dataset.csv_path=/etc/passwd",
        "dataset.classify.infer_dataset.images_dir=../..", "noescape.boxes=../boxes.csv", "noescape.cache_dir=/tmp/c",
    ],
)  # fmt: skip
def test_a_spec_that_leads_out_of_the_workspace_is_a_hard_stop(override: str, tmp_path: Path) -> None:
    """`output: /results/...` and every other place of data or results."""
    workspace = bare_workspace(tmp_path / "w")
    with pytest.raises(HardStop) as stop:
        workspace.spec((override,))
    assert stop.value.code == "path_rule"


def test_a_link_out_of_the_workspace_is_seen(tmp_path: Path) -> None:
    workspace = bare_workspace(tmp_path / "w")
    (tmp_path / "outside").mkdir()
    (workspace.root / "kpi/more").symlink_to(tmp_path / "outside")
    for name in ("kpi/more", "kpi/more/x.png", "../outside"):
        with pytest.raises(HardStop, match="path_rule"):
            workspace.path_of(name)
    assert workspace.path_of("kpi/images") == workspace.root / "kpi/images"


def test_relative_paths_of_the_spec_start_at_the_workspace(tmp_path: Path) -> None:
    """Also where the spec names no rows at all: then those of the contract are meant."""
    spec = bare_workspace(tmp_path / "w").spec()
    data = spec.dataset.classify
    assert data.train_dataset.csv_path == str(tmp_path / "w/train/base/training_set.csv")
    assert data.infer_dataset.images_dir == str(tmp_path / "w/kpi/images")


def test_runs_are_found_by_their_state_and_named_by_the_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """run_<YYYYMMDD_HHMMSS> in UTC; two in one second get two names."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1769698800")
    workspace = bare_workspace(tmp_path)
    assert workspace.new_run().folder.name == "run_20260129_150000" and not (tmp_path / "results").exists()
    run = new_run(workspace)
    assert workspace.new_run().folder.name == "run_20260129_150001"
    write_text(tmp_path / "results/other/deft_state.json", "{}")
    (tmp_path / "results/run_20270101_000000").mkdir()
    assert workspace.runs() == [run] and workspace.run(run.folder.name) == run
    with pytest.raises(UsageError, match="run_20260129_150000"):
        workspace.run("run_1")
    with pytest.raises(UsageError, match="deft init"):
        Workspace.open(tmp_path / "none")


ROWS = st.dictionaries(
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8),
    st.tuples(st.integers(1, 30), st.integers(1, 9)),
    min_size=1,
    max_size=12,
)


@given(groups=ROWS, seed=st.integers(0, 5))
def test_a_split_places_every_group_once_and_leaves_no_set_empty(groups: dict[str, tuple[int, int]], seed: int) -> None:
    """With 5 groups or more all five sets; with 4 no blind one; with fewer a refusal. Order of rows does not matter."""
    rows = [(g, d) for g, (ok, ng) in groups.items() for d, n in ((False, ok), (True, ng)) for _ in range(n)]
    if len(groups) < 4:
        with pytest.raises(DataError, match="group"):
            split_groups(rows, seed=seed)
        return
    placed = split_groups(rows, seed=seed)
    assert set(placed) == set(groups)
    assert set(placed.values()) == set(PARTS) - ({"blind"} if len(groups) == 4 else set())
    assert placed == split_groups(rows[::-1], seed=seed)


def test_groups_can_be_placed_by_hand() -> None:
    rows = [(f"g{n}", d) for n in range(6) for d in (False, True)]
    placed = split_groups(rows, {"kpi": ["g3"], "blind": ["g5"]})
    assert placed["g3"] == "kpi" and placed["g5"] == "blind" and set(placed.values()) == set(PARTS)
    with pytest.raises(UsageError, match="no such group"):
        split_groups(rows, {"kpi": ["g9"]})
    with pytest.raises(UsageError, match="twice"):
        split_groups(rows, {"kpi": ["g1"], "base": ["g1"]})


def test_a_set_of_one_class_is_refused() -> None:
    """A KPI set without defects could not judge."""
    rows = [(f"g{n}", d) for n in range(5) for d in (False, True)] + [("h", False)] * 5
    with pytest.raises(DataError, match="NO_PASS"):
        split_groups(rows, {"kpi": ["h"]})
