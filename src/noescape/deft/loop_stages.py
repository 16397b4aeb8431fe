"""The stages of the loop as one table: name -> function from a Setting to what it found. Tests put others in its place.

Every function works on files, may be killed anywhere and be called again, and gives the same for the same files. What
it returns are fields of the iteration in deft_state.json; writing state and log is the loop's business.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from noescape.changenet.spec import Spec
from noescape.deft.loop_plan import name_of, number_of
from noescape.deft.places import DECISIONS, POOL_CSV
from noescape.deft.state import BASELINE, State
from noescape.deft.target import Target
from noescape.deft.workspace import Run, Workspace
from noescape.records import DataError

Fields = dict[str, Any]
OnLine = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What a stage is given: the state as read from disk just now, and whose turn it is (`name`: baseline, iter1 …)."""

    workspace: Workspace
    run: Run
    state: State
    spec: Spec
    target: Target
    name: str
    on_line: OnLine
    budget: int | None = None

    @property
    def out(self) -> Path:
        """The folder of this iteration."""
        return self.run.folder / self.name

    @property
    def number(self) -> int:
        """0 for the baseline."""
        return number_of(self.name)

    @property
    def previous(self) -> str:
        """The iteration before this one."""
        return name_of(self.number - 1)

    def file(self, name: str | None, what: str) -> Path:
        """A file that the state names. DataError where it names none."""
        if not name:
            raise DataError(f"{self.run.state}: {what} is not there; was the state changed by hand?")
        return self.workspace.path_of(name)

    def told(self, path: Path) -> str:
        """A path as the state has it."""
        return self.workspace.name_of(path)


Stage = Callable[[Setting], Fields]


def train(at: Setting) -> Fields:
    """Train the baseline, or retrain from the best model so far (weights only) on the combined set."""
    from noescape.changenet.train import train as train_door

    done = train_door(training_spec(at), at.out / "train", on_line=at.on_line)
    return {"best_ckpt_path": at.told(done.best), "best_ckpt_kind": "best_val", "val_loss": done.val_loss}


def training_spec(at: Setting) -> Spec:
    """The spec of this iteration's training."""
    if at.name == BASELINE:
        return at.spec
    best = at.state.best()
    if best is None:
        raise DataError(f"{at.run.state}: {at.name} is to be trained, and nothing was measured before it")
    data = at.spec.dataset.classify
    rows = data.train_dataset.model_copy(
        update={"csv_path": str(combined_csv(at)), "images_dir": str(at.workspace.root)}
    )
    dataset = at.spec.dataset.model_copy(update={"classify": data.model_copy(update={"train_dataset": rows})})
    weights = str(at.file(best[1].best_ckpt_path, f"the checkpoint of {best[0]}"))
    return at.spec.model_copy(
        update={"dataset": dataset, "train": at.spec.train.model_copy(update={"pretrained_model_path": weights})}
    )


def combined_csv(at: Setting, number: int | None = None) -> Path:
    """train_combined_iterN.csv of this iteration, or of another."""
    n = at.number if number is None else number
    return at.run.folder / f"iter{n}" / "dataset" / f"train_combined_iter{n}.csv"


def evaluate(at: Setting) -> Fields:
    """Score the KPI set with both checkpoints, keep the one with the lower FAR; score the blind set beside it."""
    from noescape.deft.loop_evaluate import evaluate_both

    return evaluate_both(at)


def rca(at: Setting) -> Fields:
    """Why the KPI samples that are wrong or nearly wrong are so."""
    from noescape.deft.rca import rca as rca_door

    csv = at.file(at.state.of(at.name).inference_csv, f"inference_csv of {at.name}")
    found = rca_door(
        csv, at.spec, at.out / "rca_results" / at.run.stamp, min_recall=at.target.recall,
        workspace=at.workspace.root, target=at.target, decisions=decisions(at.workspace),
    )  # fmt: skip
    return {
        "rca_target_defects": found.target_labels,
        "rca_gaps_parquet": at.told(found.kpi_gaps),
        "rca_threshold": found.threshold,
        "status": "complete",
    }


def routing(at: Setting) -> Fields:
    """Which gaps go to mining, which to the generator."""
    from noescape.deft.route import route

    gaps = at.file(at.state.of(at.previous).rca_gaps_parquet, f"rca_gaps_parquet of {at.previous}")
    done = route(gaps, at.workspace.root / POOL_CSV, (), at.out / "routing_results" / at.run.stamp)
    for label in done.uncovered:
        at.on_line(f"warning: the pool has no row labelled {label}; what looks alike is mined")
    for one in done.dropped:
        at.on_line(f"dropped: {one.row}: {one.reason}")
    made = done.generation_gaps
    return {
        "routing_mining_parquet": at.told(done.mining_gaps),
        "routing_anomalygen_parquet": at.told(made) if made else None,
    }


def anomalygen(at: Setting) -> Fields:
    """Check that the pool is what was staged, and note what it holds at the start of this iteration."""
    from noescape.deft.loop_pool import ingest

    return ingest(at)


def data_mining(at: Setting) -> Fields:
    """Mine, assemble, validate, and look for leaks."""
    from noescape.deft.loop_mining import mine_and_assemble

    return mine_and_assemble(at)


def pool(at: Setting) -> None:
    """Stage the pool once; a run that has one keeps it."""
    from noescape.deft.loop_pool import stage_pool

    stage_pool(at)


def render(at: Setting) -> None:
    """The report; nothing where this installation has no renderer."""
    from noescape.deft.loop_end import render_report

    render_report(at)


def hand_over(at: Setting) -> None:
    """best_model.json and its inference spec."""
    from noescape.deft.best import write_best

    write_best(at.workspace.root, at.run.folder, at.state, at.spec)


def decisions(workspace: Workspace) -> Path | None:
    """The log of decisions on labels, where there is one."""
    path = workspace.root / DECISIONS
    return path if path.is_file() else None


@dataclass(frozen=True, kw_only=True)
class Stages:
    """The table. `by_name` are the logged stages; `pool` runs before the first of them, `render` after each iteration
    and at the end, `hand_over` last and only after a regular end."""

    by_name: dict[str, Stage] = field(
        default_factory=lambda: {
            "train": train,
            "evaluate": evaluate,
            "rca": rca,
            "routing": routing,
            "anomalygen": anomalygen,
            "data_mining": data_mining,
        }
    )
    pool: Callable[[Setting], None] = pool
    render: Callable[[Setting], None] = render
    hand_over: Callable[[Setting], None] = hand_over
