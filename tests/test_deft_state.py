"""deft_state.json and best_model.json: exactly the documented keys, both places of the baseline, nothing lost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deft_loop_maker import bare_workspace, new_run
from noescape.changenet.spec_file import load_spec
from noescape.deft.best import FIELDS, INFERENCE_SPEC, MODEL, write_best
from noescape.deft.state import Config, State, read_state, write_state
from noescape.files import load_yaml, write_text
from noescape.records import DataError

ITERATION_KEYS = [
    "status", "stage_completed", "best_ckpt_path", "best_ckpt_kind", "far_pct", "threshold", "val_loss",
    "inference_csv", "rca_target_defects", "rca_gaps_parquet", "rca_threshold", "routing_mining_parquet",
    "routing_anomalygen_parquet", "anomalygen_ingest", "mining_mined_parquet", "mining_mined_count",
]  # fmt: skip
TOP = [
    "version", "started_at", "kpi_target", "results_dir", "max_iterations", "current_iteration", "config", "iterations",
    "_completed_step_values", "_status_values",
]  # fmt: skip
CONFIG = [
    "specs_file", "training_csv", "validation_csv", "kpi_test_csv", "images_dir", "backbone_weight_dir",
    "train_container", "num_gpus", "batch_size", "num_epochs", "anomalygen", "mining_filter", "pregen",
]  # fmt: skip


def state() -> State:
    config = Config(specs_file="s", training_csv="t", validation_csv="v", kpi_test_csv="k", images_dir="kpi/images")
    return State(started_at="2026-01-29T15:00:00Z", kpi_target="far < 0.1 %", results_dir="r", config=config)


def test_the_file_has_the_documented_keys(tmp_path: Path) -> None:
    """All of version 2, in its order; ours come only inside config."""
    write_state(tmp_path / "s.json", state().with_iteration("baseline", status="in_progress"))
    value = json.loads((tmp_path / "s.json").read_text("utf-8"))
    assert list(value) == TOP and value["version"] == 2
    assert list(value["config"])[: len(CONFIG)] == CONFIG
    assert set(value["config"]) - set(CONFIG) == {"control", "seed", "overrides"}
    assert list(value["config"]["mining_filter"])[:4] == ["sub_skill", "top_k_per_target", "metric", "min_similarity"]
    assert list(value["iterations"]["baseline"]) == ITERATION_KEYS
    assert value["_completed_step_values"] == [
        "evaluate", "rca", "anomalygen", "routing", "data_mining", "train", "loop_stop",
    ]  # fmt: skip
    assert value["_status_values"] == ["pending", "in_progress", "complete", "failed"]


def test_what_is_written_reads_back_and_unknown_keys_stay(tmp_path: Path) -> None:
    """A key of somebody else survives a rewrite, at every depth."""
    path = tmp_path / "s.json"
    write_state(path, state().with_iteration("iter1", far_pct=3.5, rca_target_defects=("MISSING",)))
    value = json.loads(path.read_text("utf-8"))
    value["theirs"] = 1
    value["config"]["theirs"] = {"a": [2]}
    value["iterations"]["iter1"]["theirs"] = 3
    path.write_text(json.dumps(value), "utf-8")
    write_state(path, read_state(path))
    assert json.loads(path.read_text("utf-8")) == value


@pytest.mark.parametrize("place", ["top", "iterations", "both"])
def test_the_baseline_is_read_from_either_place(place: str, tmp_path: Path) -> None:
    """`baseline` or `iterations.baseline`; with both, the latter has the last word. It is written under iterations."""
    path = tmp_path / "s.json"
    write_state(path, state())
    value = json.loads(path.read_text("utf-8"))
    one = {"stage_completed": "train", "best_ckpt_path": "x.safetensors"}
    if place != "iterations":
        value["baseline"] = one | ({"best_ckpt_path": "old", "val_loss": 0.5} if place == "both" else {})
    if place != "top":
        value["iterations"] = {"baseline": one}
    path.write_text(json.dumps(value), "utf-8")
    found = read_state(path)
    assert found.of("baseline").best_ckpt_path == "x.safetensors" and found.of("baseline").stage_completed == "train"
    assert found.of("baseline").val_loss == (0.5 if place == "both" else None)
    write_state(path, found)
    assert "baseline" not in json.loads(path.read_text("utf-8"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": 4}, "version 2"),
        ({"version": None}, "version 2"),
        ({"config": {}}, "config.specs_file"),
        ({"max_iterations": -1}, "max_iterations"),
        ({"iterations": {"iter1": {"status": "done"}}}, "status"),
        ({"iterations": {"second": {}}}, "second"),
        ({"iterations": {"iter1": {"far_pct": "low"}}}, "far_pct"),
        ({"baseline": 3}, "baseline"),
        ({"iterations": [1]}, "iterations"),
    ],
)
def test_a_state_that_is_none_is_refused_by_name(change: dict[str, object], said: str, tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    write_state(path, state())
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **change}), "utf-8")
    with pytest.raises(DataError, match=said):
        read_state(path)


def test_iterations_stay_in_order_and_the_best_is_the_earliest_of_equals() -> None:
    """iter10 comes behind iter2."""
    one = state()
    for name, far in (("iter10", 2.0), ("iter2", 1.0), ("baseline", 3.0), ("iter3", 1.0)):
        one = one.with_iteration(name, far_pct=far)
    assert list(one.iterations) == ["baseline", "iter2", "iter3", "iter10"] and one.current_iteration == 10
    best = one.best()
    assert best is not None and best[0] == "iter2"


def test_the_hand_over_has_seven_fields_and_a_spec_that_loads(tmp_path: Path) -> None:
    """No training data in it, the threshold as margin, a checkpoint that is found from anywhere."""
    workspace = bare_workspace(tmp_path)
    run = new_run(workspace)
    write_text(workspace.root / "m.safetensors", "w")
    one = state().with_iteration("baseline", far_pct=3.0, threshold=0.5, best_ckpt_path="gone")
    one = one.with_iteration("iter1", far_pct=2.0, threshold=0.25, best_ckpt_path="m.safetensors")
    write_best(workspace.root, run.folder, one, workspace.spec(("noescape.cache_dir=results/f",)))
    value = json.loads((run.folder / MODEL).read_text("utf-8"))
    assert tuple(value) == FIELDS
    assert (value["iteration"], value["threshold"], value["far_pct"]) == ("iter1", 0.25, 2.0)
    assert Path(value["checkpoint"]).is_file() and Path(value["images_dir"]).is_dir()
    spec = load_spec(run.folder / INFERENCE_SPEC)
    assert spec.model.classify.eval_margin == 0.25 and spec.inference.checkpoint == value["checkpoint"]
    assert spec.dataset.classify.batch_size == 1 and not spec.dataset.classify.augmentation_config.augment
    text = load_yaml(run.folder / INFERENCE_SPEC)
    assert "cache_dir" not in text["noescape"]
    assert not {"train_dataset", "validation_dataset", "test_dataset"} & set(text["dataset"]["classify"])
    with pytest.raises(DataError, match="measured"):
        write_best(workspace.root, run.folder, state(), workspace.spec())
