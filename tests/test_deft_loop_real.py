"""The loop with its real stages on a handful of small pictures: the documented tree, and honest figures."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest

from deft_loop_maker import boards, tree
from noescape.changenet.spec_file import load_spec
from noescape.cli.main import main
from noescape.deft.state import read_state
from noescape.deft.workspace import Run, Workspace

# The seed's Output Layout, name by name; <TS> is the stamp of the run. Behind |: what stands for it here.
LAYOUT = """\
deft_state.json loop_log.jsonl best_model.json best_model_inference_spec.yaml iter1_summary.md
synth_pool/manifest.json synth_pool/sdg_rows.csv synth_pool/source_pool.csv synth_pool/source_pool.parquet
baseline/train/status.json baseline/train/experiment.yaml
baseline/inference/best_val/inference.csv baseline/inference/latest/inference.csv
baseline/rca_results/<TS>/kpi_gaps.parquet baseline/rca_results/<TS>/threshold.txt
baseline/rca_results/<TS>/weak_samples_breakdown.txt
iter1/routing_results/<TS>/mining_gaps.parquet iter1/routing_results/<TS>/anomalygen_gaps.parquet
iter1/routing_results/<TS>/routing_summary.txt iter1/anomalygen/ingest_summary.json
iter1/mining_filter/mining_pool.csv iter1/mining_filter/knn_summary.csv iter1/mining_filter/target_embeddings.parquet
iter1/mining_filter/mining_summary.txt
iter1/dataset/train_combined_iter1.csv iter1/dataset/train_combined_iter1_provenance.csv
iter1/train/status.json iter1/train/experiment.yaml
iter1/inference/best_val/inference.csv iter1/inference/latest/inference.csv
iter1/rca_results/<TS>/kpi_gaps.parquet iter1/rca_results/<TS>/threshold.txt
iter1/rca_results/<TS>/weak_samples_breakdown.txt
"""
OURS = ("blind/", "features/", "control_random/", "DEFT_Loop_Report.html")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A loop of one iteration that cannot meet the target: some defects cannot be seen."""
    folder = tmp_path_factory.mktemp("real")
    source = boards(folder / "in", count=5, good=4, kinds=("bridge", "faint"))
    sizes = ["--set", "dataset.classify.image_width=32", "--set", "dataset.classify.image_height=32"]
    assert main(["deft", "init", "--from", "folders", str(source), str(folder / "w"), *sizes]) == 0
    arguments = ["deft", "run", "--workspace", str(folder / "w"), "--yes", "--max-iterations", "1"]
    assert main([*arguments, "--set", "select=knn", "--set", "min_similarity=-1"]) == 0
    return Workspace.open(folder / "w").runs()[0]


def test_the_tree_of_a_finished_run_is_the_documented_one(run: Run) -> None:
    """Every documented name is there; what else is there belongs to a documented folder, or is ours and named here."""
    names = set(tree(run.folder))
    wanted = {name.replace("<TS>", run.stamp) for name in LAYOUT.split()}
    assert wanted - names == set()
    assert [name for name in names if name.startswith("baseline/train/model_epoch_")]
    folders = {name.rpartition("/")[0] for name in wanted}
    strange = [name for name in names - wanted if not name.startswith(OURS)]
    assert [n for n in strange if not any(n.startswith(f"{f}/") for f in folders if f)] == []


def test_the_next_set_holds_the_last_one_and_what_was_mined(run: Run) -> None:
    """Monotonic; provenance says which is which."""
    with (run.folder / "iter1/dataset/train_combined_iter1_provenance.csv").open(encoding="utf-8") as f:
        sources = [row["source"] for row in csv.DictReader(f)]
    state = read_state(run.state)
    assert sources.count("base_train") == 6 and sources.count("mining_pool") == state.of("iter1").mining_mined_count


def test_the_end_is_honest_and_the_model_is_handed_over(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """Not met, said so, exit 0; the blind set beside it; the inference spec loads and names the checkpoint."""
    root = str(run.folder.parent.parent)
    assert main(["deft", "status", "--workspace", root, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["status"] == "ended" and told["met"] is False and told["next"] is None
    assert told["iterations"]["iter1"]["blind"]["met"] is False
    value = json.loads((run.folder / "best_model.json").read_text("utf-8"))
    spec = load_spec(run.folder / "best_model_inference_spec.yaml")
    assert spec.inference.checkpoint == value["checkpoint"] and Path(value["checkpoint"]).is_file()
    assert Path(value["training_spec"]).is_file()


def test_pregen_that_changes_in_mid_run_is_a_hard_stop(run: Run, tmp_path: Path) -> None:
    """Pairs that come between two iterations: code pregen_mutated, exit 1, and no second try."""
    shutil.copytree(run.folder.parent.parent, tmp_path / "w", ignore=shutil.ignore_patterns("results"))
    root, home = tmp_path / "w", tmp_path / "w/augmentation/anomalygen"
    pools = sorted((root / "augmentation/mining_pool/images").rglob("input/*.png"))[-4:]
    for n, path in enumerate(pools):
        for side, source in (("reconstructed_image", path), ("original_image", path.parents[1] / "golden" / path.name)):
            (home / side).mkdir(parents=True, exist_ok=True)
            shutil.copy(source, home / side / f"IC+bridge_{n:05d}.png")
    arguments = ["deft", "run", "--workspace", str(root), "--yes", "--max-iterations", "1"]
    assert main([*arguments, "--stop-after", "baseline"]) == 0
    (home / "reconstructed_image/IC+bridge_00003.png").unlink()
    (home / "original_image/IC+bridge_00003.png").unlink()
    assert main(["deft", "resume", "--workspace", str(root)]) == 1
    one = Workspace.open(root).runs()[0]
    assert "pregen_mutated" in one.log.read_text("utf-8")
    before = one.log.read_bytes()
    assert main(["deft", "resume", "--workspace", str(root)]) == 1
    assert one.log.read_bytes() == before
