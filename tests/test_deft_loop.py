"""The loop, with small stand-ins for its stages: order, files, kills, hard stops, the control arm."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from deft_loop_maker import FARS, bare_workspace, new_run, run_killed, standins, tree
from noescape.deft.hardstop import HardStop
from noescape.deft.log import read_log
from noescape.deft.loop import Loop, is_over, unfinished
from noescape.deft.loop_line import duration, status_line
from noescape.deft.loop_plan import ITERATION_STAGES
from noescape.deft.state import Config, State, read_state, write_state
from noescape.deft.summary import WORDS
from noescape.deft.target import parse_target
from noescape.deft.workspace import Run, Workspace
from noescape.files import write_text
from noescape.records import DataError

BASELINE = [("baseline", "train"), ("baseline", "evaluate"), ("baseline", "rca")]


@pytest.fixture(autouse=True)
def _stopped_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1750000000")


def steps(run: Run) -> list[tuple[str, str]]:
    return [(line.iteration, line.stage) for line in read_log(run.log) if line.status == "ok"]


def whole(number: int) -> list[tuple[str, str]]:
    return [(f"iter{number}", stage) for stage in ITERATION_STAGES]


def test_the_loop_goes_through_every_stage_once_in_order(tmp_path: Path) -> None:
    """Baseline, three iterations, loop_stop: one line each, seq from 1, and the state says the same."""
    workspace = bare_workspace(tmp_path)
    run = new_run(workspace)
    state = Loop(workspace=workspace, run=run, stages=standins()).go()
    assert steps(run) == [*BASELINE, *whole(1), *whole(2), *whole(3), ("iter3", "loop_stop")]
    assert [line.seq for line in read_log(run.log)] == list(range(1, 23))
    assert read_state(run.state) == state and state.current_iteration == 3
    assert {name: one.far_pct for name, one in state.iterations.items()} == FARS
    assert all(one.status == "complete" for one in state.iterations.values())
    assert is_over(run) and unfinished(workspace) is None


@pytest.mark.parametrize(
    ("fars", "last"), [({"baseline": 0.05}, "baseline"), ({"baseline": 5.0, "iter1": 0.0999}, "iter1")]
)
def test_the_loop_ends_when_the_target_is_met(fars: dict[str, float], last: str, tmp_path: Path) -> None:
    """At once: the baseline too may meet it. 0.1% itself does not (the operator is <)."""
    workspace = bare_workspace(tmp_path)
    run = new_run(workspace)
    Loop(workspace=workspace, run=run, stages=standins(fars)).go()
    assert steps(run)[-1] == (last, "loop_stop")
    assert "target met" in read_log(run.log)[-1].summary
    exact = new_run(workspace, name="run_20260129_160000", max_iterations=1)
    Loop(workspace=workspace, run=exact, stages=standins({"baseline": 100 * (1 / 1000), "iter1": 0.2})).go()
    assert steps(exact)[-1] == ("iter1", "loop_stop")


LAYOUT = """\
deft_state.json loop_log.jsonl DEFT_Loop_Report.html best_model.json best_model_inference_spec.yaml
iter1_summary.md iter2_summary.md synth_pool/manifest.json
baseline/train/model_epoch_001_step_00010.safetensors baseline/train/status.json baseline/train/experiment.yaml
baseline/inference/best_val/inference.csv baseline/inference/latest/inference.csv
baseline/rca_results/<TS>/kpi_gaps.parquet baseline/rca_results/<TS>/threshold.txt
baseline/rca_results/<TS>/weak_samples_breakdown.txt
"""
PER_ITERATION = """\
routing_results/<TS>/mining_gaps.parquet routing_results/<TS>/anomalygen_gaps.parquet
routing_results/<TS>/routing_summary.txt anomalygen/ingest_summary.json
mining_filter/mining_pool.csv mining_filter/knn_summary.csv mining_filter/target_embeddings.parquet
mining_filter/mining_summary.txt mining_filter/mined.parquet
dataset/train_combined_iterN.csv dataset/train_combined_iterN_provenance.csv
train/model_epoch_001_step_00010.safetensors train/status.json train/experiment.yaml
inference/best_val/inference.csv inference/latest/inference.csv
rca_results/<TS>/kpi_gaps.parquet rca_results/<TS>/threshold.txt rca_results/<TS>/weak_samples_breakdown.txt
"""


def test_a_finished_run_has_the_documented_tree(tmp_path: Path) -> None:
    """Name by name, nothing more and nothing less; <TS> is the run's own stamp."""
    workspace = bare_workspace(tmp_path)
    run = new_run(workspace, max_iterations=2)
    Loop(workspace=workspace, run=run, stages=standins()).go()
    wanted = set(LAYOUT.split())
    for n in (1, 2):
        wanted |= {f"iter{n}/{name.replace('iterN', f'iter{n}')}" for name in PER_ITERATION.split()}
    assert set(tree(run.folder)) == {name.replace("<TS>", "20260129_150000") for name in wanted}


def test_killed_anywhere_it_ends_with_the_same_files(tmp_path: Path) -> None:
    """A child is killed before its n-th change of a file, for many n, and once more on the way; then it is finished."""
    whole_ws = bare_workspace(tmp_path / "whole")
    Loop(workspace=whole_ws, run=new_run(whole_ws, max_iterations=1), stages=standins()).go()
    wanted = _plain(whole_ws)
    change, killed = 1, 0
    while True:
        workspace = bare_workspace(tmp_path / "w")
        run = new_run(workspace, max_iterations=1)
        if not run_killed(workspace, run, change):
            break
        killed += 1
        run_killed(workspace, run, 3 + change % 5)
        run_killed(workspace, run, None)
        assert _plain(workspace) == wanted, f"killed before change {change}"
        shutil.rmtree(tmp_path / "w")
        change += 19
    assert killed >= 6


def _plain(workspace: Workspace) -> dict[str, bytes]:
    """The results, without the names of the folder they lie in."""
    place = str(workspace.root).encode()
    return {name: data.replace(place, b"W") for name, data in tree(workspace.root / "results").items()}


@pytest.mark.parametrize(
    "stage", [("baseline", "train"), ("iter1", "data_mining"), ("iter1", "rca"), ("iter1", "pool")]
)
def test_a_hard_stop_ends_the_loop_and_is_never_tried_again(stage: tuple[str, str], tmp_path: Path) -> None:
    """One error line, loop_stop as an error, status failed, no model; a second start runs nothing at all."""
    workspace = bare_workspace(tmp_path)
    run = new_run(workspace)
    loop = Loop(workspace=workspace, run=run, stages=standins(hard=stage))
    with pytest.raises(HardStop, match="planted"):
        loop.go()
    lines = read_log(run.log)
    assert [line.status for line in lines[-2:]] == ["error", "error"] and lines[-1].stage == "loop_stop"
    assert read_state(run.state).of(stage[0]).status == "failed"
    assert not (run.folder / "best_model.json").exists() and (run.folder / "DEFT_Loop_Report.html").exists()
    before = tree(run.folder)
    with pytest.raises(HardStop) as again:
        Loop(workspace=workspace, run=run, stages=standins()).go()
    assert again.value.code == "leakage"
    assert tree(run.folder) == before
    assert is_over(run)


def test_a_hard_stop_is_kept_although_a_kill_fell_right_behind_its_line(tmp_path: Path) -> None:
    """The error line is in the log, state and loop_stop are not: the next start ends the run and tries nothing."""
    workspace = bare_workspace(tmp_path)
    run = new_run(workspace)
    with pytest.raises(HardStop):
        Loop(workspace=workspace, run=run, stages=standins(hard=("iter1", "train"))).go()
    ended = tree(run.folder)
    lines = run.log.read_bytes().splitlines(keepends=True)
    run.log.write_bytes(b"".join(lines[:-1]))
    write_state(run.state, read_state(run.state).with_iteration("iter1", status="in_progress"))
    with pytest.raises(HardStop):
        Loop(workspace=workspace, run=run, stages=standins()).go()
    assert tree(run.folder) == ended


def test_another_failure_is_logged_and_tried_again(tmp_path: Path) -> None:
    """A full disk: an error line, the error comes up; the next start does that stage, once."""
    workspace = bare_workspace(tmp_path)
    run = new_run(workspace, max_iterations=1)
    stages = standins(fail={("iter1", "train"): 2})
    for _ in range(2):
        with pytest.raises(OSError, match="No space left"):
            Loop(workspace=workspace, run=run, stages=stages).go()
    Loop(workspace=workspace, run=run, stages=stages).go()
    assert steps(run) == [*BASELINE, *whole(1), ("iter1", "loop_stop")]
    assert [line.stage for line in read_log(run.log) if line.status == "error"] == ["train", "train"]


def test_stop_after_ends_early_and_goes_on_later(tmp_path: Path) -> None:
    """One task per iteration gives the files of one long run."""
    one, parts = bare_workspace(tmp_path / "one"), bare_workspace(tmp_path / "parts")
    Loop(workspace=one, run=new_run(one, max_iterations=2), stages=standins()).go()
    run = new_run(parts, max_iterations=2)
    for name in ("baseline", "iter1", "iter2"):
        Loop(workspace=parts, run=run, stages=standins()).go(name)
        assert steps(run)[-1] == (name, "rca")
        assert not (run.folder / "best_model.json").exists()
    Loop(workspace=parts, run=run, stages=standins()).go()
    assert _plain(parts) == _plain(one)


def test_the_control_arm_draws_as_many_rows_as_the_main_arm_mined(tmp_path: Path) -> None:
    """Same baseline, its own state and log, equal budgets in equal iterations; no model, no report of its own."""
    workspace = bare_workspace(tmp_path)
    run = new_run(workspace, max_iterations=2, control="random")
    Loop(workspace=workspace, run=run, stages=standins()).go()
    arm = Run(folder=run.folder / "control_random", stamp=run.stamp)
    assert steps(arm) == [*BASELINE, *whole(1), *whole(2), ("iter2", "loop_stop")]
    for n in (1, 2):
        text = (arm.folder / f"iter{n}/mining_filter/mining_pool.csv").read_text("utf-8")
        assert f"budget {7 * n}\n" in text
    assert read_state(arm.state).of("baseline") == read_state(run.state).of("baseline")
    assert not {"best_model.json", "DEFT_Loop_Report.html", "synth_pool"} & {p.name for p in arm.folder.iterdir()}


def test_a_seeded_baseline_is_not_trained_again(tmp_path: Path) -> None:
    """Skip-train rule, from either place of the baseline; without its checkpoint it is trained."""
    for number, (place, there) in enumerate([("iterations", True), ("baseline", True), ("iterations", False)]):
        workspace = bare_workspace(tmp_path / str(number))
        run = new_run(workspace, max_iterations=0)
        checkpoint = workspace.root / "given.safetensors"
        if there:
            write_text(checkpoint, "weights\n")
        value = json.loads(run.state.read_text("utf-8"))
        seeded = {"stage_completed": "train", "best_ckpt_path": str(checkpoint)}
        value.update({"baseline": seeded} if place == "baseline" else {"iterations": {"baseline": seeded}})
        run.state.write_text(json.dumps(value), "utf-8")
        said: list[str] = []
        Loop(workspace=workspace, run=run, stages=standins(), say=said.append).go()
        assert steps(run) == [*BASELINE, ("baseline", "loop_stop")]
        assert (run.folder / "baseline/train").exists() is not there
        assert ("trained already" in said[0]) is there


def test_a_log_that_tells_another_story_is_refused(tmp_path: Path) -> None:
    """More in the log than in the state, or another order: nothing is run, nothing is changed."""
    workspace = bare_workspace(tmp_path)
    run = new_run(workspace, max_iterations=1)
    Loop(workspace=workspace, run=run, stages=standins()).go("baseline")
    write_state(run.state, read_state(run.state).with_iteration("baseline", stage_completed="train"))
    before = tree(run.folder)
    with pytest.raises(DataError, match="different stories"):
        Loop(workspace=workspace, run=run, stages=standins()).go()
    assert tree(run.folder) == before


def test_summaries_have_at_most_300_words(tmp_path: Path) -> None:
    """Also with very many labels."""
    workspace = bare_workspace(tmp_path)
    run = new_run(workspace, max_iterations=1)
    stages = standins()
    plain = stages.by_name["rca"]
    stages.by_name["rca"] = lambda at: plain(at) | {"rca_target_defects": tuple(f"LABEL {n}" for n in range(500))}
    Loop(workspace=workspace, run=run, stages=stages).go()
    text = (run.folder / "iter1_summary.md").read_text("utf-8")
    assert len(text.split()) <= WORDS and "NOT MET" in text and "6.34%" in text


def test_one_status_line_per_stage_in_the_documented_form(tmp_path: Path) -> None:
    """`[iter 2/3 · train] FAR 6.34% → 3.11% (target <0.5%) · 11m · next: evaluate`."""
    workspace = bare_workspace(tmp_path)
    run = new_run(workspace, kpi_target="far < 0.5 % at recall = 100 %")
    said: list[str] = []
    Loop(workspace=workspace, run=run, stages=standins(), say=said.append).go()
    shape = re.compile(r"\[(baseline|iter \d/3) · \w+\] FAR .+ \(target <0\.5%\) · \d+[sm] · next: .+")
    assert len(said) == 22 and all(shape.fullmatch(line) for line in said)
    assert said[13] == "[iter 2/3 · evaluate] FAR 6.34% → 3.11% (target <0.5%) · 0s · next: rca"
    assert said[0].startswith("[baseline · train] FAR not measured yet")
    assert said[2].endswith("next: routing of iter1") and said[-1].endswith("next: done")


def test_status_line_as_in_the_contract() -> None:
    config = Config(specs_file="s", training_csv="t", validation_csv="v", kpi_test_csv="k", images_dir="i")
    state = State(started_at="", kpi_target="far<0.5%", results_dir="r", config=config)
    for name, far in (("baseline", 9.0), ("iter1", 6.34), ("iter2", 3.11)):
        state = state.with_iteration(name, far_pct=far)
    line = status_line(state, "iter2", "train", parse_target("far<0.5%"), 660, ("iter2", "evaluate"))
    assert line == "[iter 2/3 · train] FAR 6.34% → 3.11% (target <0.5%) · 11m · next: evaluate"
    assert [duration(s) for s in (0.4, 59, 61, 3600 * 2 + 301)] == ["0s", "59s", "1m", "2h05m"]
