"""Pre-flight: eleven verdicts, everything wrong at once, one gate, and not a byte before go."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import pytest

from deft_loop_maker import boards, new_run, save, standins, tree
from noescape.cli.main import main
from noescape.deft.init_folders import from_folders
from noescape.deft.init_write import write_workspace
from noescape.deft.loop import Loop
from noescape.deft.loop_settings import Settings, contradictions, settings
from noescape.deft.preflight import TITLES, preflight
from noescape.deft.preflight_text import approves, lines
from noescape.deft.state import read_state
from noescape.deft.workspace import Workspace
from noescape.records import UsageError

MISS = "missing"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One small workspace with pictures, copied for each test that changes it."""
    folder = tmp_path_factory.mktemp("preflight")
    write_workspace(from_folders(boards(folder / "in", good=3)), folder / "w")
    return folder / "w"


@pytest.fixture
def workspace(made: Path, tmp_path: Path) -> Workspace:
    shutil.copytree(made, tmp_path / "w")
    return Workspace.open(tmp_path / "w")


def verdicts(workspace: Workspace, given: Settings | None = None) -> dict[int, str]:
    found = preflight(workspace, workspace.new_run(), given or settings())
    assert [c.title for c in found.checks] == list(TITLES)
    return {c.number: c.verdict for c in found.checks}


def test_a_whole_workspace_is_ready(workspace: Workspace) -> None:
    """Each of the eleven has its verdict; 7 and 10 only plan; nothing is written."""
    before = tree(workspace.root)
    found = preflight(workspace, workspace.new_run(), settings())
    assert [c.verdict for c in found.checks] == [
        "ok", "not needed here", "not needed here", "not needed here", "not needed here", "not needed here", "planned",
        "ok", "ok", "planned", "ok",
    ]  # fmt: skip
    assert found.ready and not found.resuming and tree(workspace.root) == before
    assert not (workspace.root / "results").exists()
    assert all(c.text for c in found.checks)
    json.dumps(found.to_json())


def test_the_summary_has_the_documented_rows(workspace: Workspace) -> None:
    found = preflight(workspace, workspace.new_run(), settings(max_iterations=7))
    names = {title: {name for name, _ in rows} for title, rows in found.tables.items()}
    assert list(names) == ["Run config", "Dataset", "Augmentation", "Docker Images"]
    assert names["Run config"] >= {
        "KPI Target", "Max Iterations", "Training Epochs", "Mining top-K", "Mining cutoff", "GPUs", "Resuming",
    }  # fmt: skip
    assert names["Dataset"] >= {"Training CSV", "Validation CSV", "KPI test CSV", "Images dir"}
    assert names["Augmentation"] >= {"NG dir", "OK dir", "Defect spec", "SigLIP", "Backbone"}
    text = "\n".join(lines(found))
    assert "Pre-Flight Summary" in text and "2995" in text and " 7\n" in text


def damage(workspace: Workspace, what: str) -> None:
    root = workspace.root
    if what == "no csv":
        (root / "kpi/testing_set.csv").unlink()
    elif what == "no picture":
        next((root / "kpi/images").rglob("*.png")).unlink()
    elif what == "spec":
        (root / "specs/baseline_spec.yaml").write_text("train: {num_epoch: 3}\n", "utf-8")
    elif what == "output":
        text = (root / "specs/baseline_spec.yaml").read_text("utf-8")
        (root / "specs/baseline_spec.yaml").write_text(text + "results_dir: /results/x\n", "utf-8")
    elif what == "unpaired":
        for side, stems in (("reconstructed_image", "ab"), ("original_image", "a")):
            for stem in stems:
                save(root / f"augmentation/anomalygen/{side}/{stem}.png", _grey())
    elif what == "half pregen":
        save(root / "augmentation/anomalygen/reconstructed_image/a.png", _grey())
    elif what == "empty pool":
        pool = root / "augmentation/mining_pool/mining_pool.csv"
        pool.write_text(pool.read_text("utf-8").splitlines()[0] + "\n", "utf-8")
    elif what == "leak":
        _append(root / "train/base/training_set.csv", (root / "kpi/testing_set.csv").read_text("utf-8").splitlines()[1])
    elif what == "synthetic":
        text = (root / "kpi/testing_set.csv").read_text("utf-8")
        (root / "kpi/testing_set.csv").write_text(text.replace(",noescape,", ",synthetic,", 1), "utf-8")
    elif what == "weights":
        _append(root / "specs/baseline_spec.yaml", "  weights: not/there.pth")


def _append(path: Path, line: str) -> None:
    path.write_text(path.read_text("utf-8").rstrip("\n") + "\n" + line + "\n", "utf-8")


def _grey() -> object:
    import numpy as np

    return np.full((32, 32, 3), 99, np.uint8)


@pytest.mark.parametrize(
    ("what", "number"),
    [
        ("no csv", 1), ("no picture", 1), ("spec", 1), ("output", 1), ("unpaired", 8), ("half pregen", 8),
        ("empty pool", 10), ("leak", 11), ("synthetic", 11), ("weights", 8),
    ],
)  # fmt: skip
def test_what_is_missing_is_said_by_its_check(what: str, number: int, workspace: Workspace) -> None:
    """The number of the check, and the command answers 1 without having written anything."""
    damage(workspace, what)
    assert verdicts(workspace)[number] == MISS
    before = tree(workspace.root)
    assert main(["deft", "run", "--workspace", str(workspace.root), "--yes"]) == 1
    assert tree(workspace.root) == before and not (workspace.root / "results").exists()


def test_all_that_is_missing_is_said_at_once(workspace: Workspace) -> None:
    for what in ("unpaired", "empty pool", "leak"):
        damage(workspace, what)
    found = verdicts(workspace)
    assert {n for n, verdict in found.items() if verdict == MISS} >= {8, 10, 11}


def test_without_a_terminal_and_without_yes_it_is_wrong_use(
    workspace: Workspace, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit 2, the message names --yes, nothing is written; --dry-run is 0."""
    before = tree(workspace.root)
    monkeypatch.setattr("sys.stdin", io.StringIO("go\n"))
    assert main(["deft", "run", "--workspace", str(workspace.root)]) == 2
    said = capsys.readouterr()
    assert "--yes" in said.err and "Pre-Flight Summary" in said.out
    assert main(["deft", "run", "--workspace", str(workspace.root), "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ready"] is True
    assert main(["deft", "run", "--workspace", str(workspace.root), "--on", "osmo"]) == 0
    assert tree(workspace.root) == before


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("answer", ["no", "", "not yet", "go away", "yesterday"])
def test_anything_but_go_writes_nothing(answer: str, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    before = tree(workspace.root)
    monkeypatch.setattr("sys.stdin", _Terminal(f"{answer}\n"))
    assert main(["deft", "run", "--workspace", str(workspace.root)]) == 0
    assert tree(workspace.root) == before and not approves(answer)


def test_go_runs_the_loop_and_resume_finds_nothing_to_do(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """From the question to the end with stand-in stages; status in between and after."""
    monkeypatch.setattr("sys.stdin", _Terminal("Looks good!\n"))
    patched = Loop.__init__

    def with_standins(self: Loop, **given: object) -> None:
        patched(self, **({"stages": standins()} | given))  # type: ignore[arg-type]

    monkeypatch.setattr(Loop, "__init__", with_standins)
    root = str(workspace.root)
    assert main(["deft", "run", "--workspace", root, "--max-iterations", "1", "--stop-after", "baseline"]) == 0
    assert main(["deft", "status", "--workspace", root, "--json"]) == 0
    out = capsys.readouterr().out
    told = json.loads(out[out.rindex("\n{\n") :])
    assert told["next"] == {"iteration": "iter1", "stage": "routing"} and told["status"] == "unfinished"
    assert main(["deft", "run", "--workspace", root, "--yes", "--max-iterations", "2"]) == 2
    assert "--max-iterations: started with 1, now 2" in capsys.readouterr().err
    assert main(["deft", "resume", "--workspace", root]) == 0
    out = capsys.readouterr().out
    assert "its last lines:" in out and "[iter 1/1 · train]" in out and "NOT MET" in out
    assert main(["deft", "resume", "--workspace", root]) == 0
    assert "nothing to do" in capsys.readouterr().err
    assert main(["deft", "status", "--workspace", root]) == 0
    assert "ended, iteration 1 of 1" in capsys.readouterr().out


def test_knobs_are_typed_and_the_nearest_name_is_told(workspace: Workspace) -> None:
    given = settings(knobs=["top_k_per_target=9", "min_similarity=0.8", "select=knn", "train.num_epochs=3", "seed=1"])
    assert (given.top_k, given.min_similarity, given.select, given.seed) == (9, 0.8, "knn", 1)
    state = read_state(new_run(workspace, top_k=9, select="knn", overrides=("train.num_epochs=3",)).state)
    assert state.config.mining_filter.top_k_per_target == 9 and state.config.num_epochs == 3
    assert state.kpi_target == "far < 0.1 % at recall = 100 %"
    assert len(contradictions(state, given, workspace)) == 2  # similarity and seed
    for text, said in (
        ("top_k=3", "did you mean 'top_k_per_target'"), ("select=best", "knn"), ("top_k_per_target=0", "at least 1"),
        ("min_similarity=2", "cosine"), ("seed=x", "whole number"), ("seed", "KEY=VALUE"),
        ("training_epochs=1.5", "whole"),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=said.replace("'", ".")):
            settings(knobs=[text])
    with pytest.raises(UsageError, match="percent signs"):
        settings(kpi_target="far < 0.1")


def test_epochs_are_those_of_the_spec_else_twenty(workspace: Workspace) -> None:
    assert workspace.spec(settings().spec_overrides(workspace)).train.num_epochs == 10
    assert workspace.spec(settings(knobs=["training_epochs=4"]).spec_overrides(workspace)).train.num_epochs == 4
    text = workspace.spec_file.read_text("utf-8").replace("  num_epochs: 10\n", "")
    workspace.spec_file.write_text(text, "utf-8")
    assert workspace.spec(settings().spec_overrides(workspace)).train.num_epochs == 20
