"""The Pre-Flight Summary: tables for the person who has to say go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from noescape.changenet.rows import is_defect
from noescape.changenet.spec import Spec
from noescape.deft.loop_settings import Settings
from noescape.deft.places import KPI_IMAGES
from noescape.deft.pregen import NG_DIR, OK_DIR, is_absent
from noescape.deft.state import State
from noescape.deft.target import parse_target
from noescape.deft.workspace import BLIND_CSV, KPI_CSV, TRAIN_CSV, VALIDATION_CSV, Run, Workspace
from noescape.files import read_csv
from noescape.records import NoescapeError

if TYPE_CHECKING:
    from noescape.deft.preflight import Preflight

ASK = "Type go (or yes, or looks good) to start: "
ACCEPTED = ("go", "yes", "y", "ok", "looks good", "approved")
CPU_MS_A_ROW = 20  # cached features of a new pair, small pictures; measured on one thread
Table = tuple[tuple[str, str], ...]


def tables(workspace: Workspace, run: Run, given: Settings, state: State | None, spec: Spec | None) -> dict[str, Table]:
    """The four tables, by their documented titles; what a run was started with counts where it goes on."""
    from noescape.deft.preflight import carried_by

    target = state.kpi_target if state else given.kpi_target
    knobs = state.config.mining_filter if state else None
    cut = knobs.min_similarity if knobs else given.min_similarity
    select = (knobs.select if knobs else None) or given.select
    counts = {name: _count(workspace, name) for name in (TRAIN_CSV, VALIDATION_CSV, KPI_CSV, BLIND_CSV)}
    pool = _count(workspace, workspace.name_of(workspace.pool_csv))
    rows = sum(n for n, _ in [*counts.values(), pool])
    n_pass = counts[KPI_CSV][0] - counts[KPI_CSV][1]
    absent = is_absent(workspace.pregen)
    spec_file = workspace.pregen / "defect_spec.jsonl"
    return {
        "Run config": (
            ("KPI Target", parse_target(target).shown),
            ("KPI set can carry", carried_by(n_pass, target)),
            ("Max Iterations", str(state.max_iterations if state else given.max_iterations)),
            ("Training Epochs", _epochs(spec)),
            ("Mining top-K", str(knobs.top_k_per_target if knobs else given.top_k)),
            ("Mining cutoff", "0.9 for SigLIP; here the quantile that rejects as much" if cut is None else str(cut)),
            ("Mining selection", select),
            ("Control arm", state.config.control if state else given.control),
            ("GPUs", "0 (CPU)" if spec is None or spec.noescape.device == "cpu" else spec.noescape.device),
            ("Resuming", f"yes, {run.folder.name}" if state else "no, a new run"),
            ("Results", str(run.folder)),
            ("Estimate", f"{max(1, round(rows * CPU_MS_A_ROW / 60_000))} CPU-min or so for features of {rows} rows"),
        ),
        "Dataset": (
            ("Training CSV", _said(TRAIN_CSV, counts)),
            ("Validation CSV", _said(VALIDATION_CSV, counts)),
            ("KPI test CSV", _said(KPI_CSV, counts)),
            ("Blind CSV", _said(BLIND_CSV, counts) if workspace.has_blind else "none"),
            ("Mining pool", f"{pool[0]} rows, {pool[1]} defects"),
            ("Images dir", KPI_IMAGES),
        ),
        "Augmentation": (
            ("NG dir", "none" if absent else str(workspace.pregen / NG_DIR)),
            ("OK dir", "none" if absent else str(workspace.pregen / OK_DIR)),
            ("Defect spec", str(spec_file) if spec_file.is_file() else "none"),
            ("SigLIP", "not used: the offline embedding"),
            ("Backbone", spec.backbone if spec and spec.trainer != "mapnet" else "none needed" if spec else "unknown"),
        ),
        "Docker Images": (("none", "no image is needed: every stage runs in this process"),),
    }  # fmt: skip


def lines(found: Preflight) -> list[str]:
    """Checks and tables for a terminal."""
    out = ["Pre-flight checks"]
    for check in found.checks:
        first, *rest = check.text.splitlines() or [""]
        out.append(f"  {check.number:>2}  {check.verdict:<15}  {check.title}: {first}")
        out += [f"      {line}" for line in rest]
        out += [f"      → {check.todo}"] if check.todo else []
    out += ["", "Pre-Flight Summary"]
    for title, rows in found.tables.items():
        width = max(len(name) for name, _ in rows)
        out += ["", f"  {title}", *(f"    {name:<{width}}  {value}" for name, value in rows)]
    return out


def approves(answer: str) -> bool:
    """Whether these words let the loop begin."""
    return answer.strip().strip(".!").lower() in ACCEPTED


def _count(workspace: Workspace, name: str) -> tuple[int, int]:
    """Rows and defects of a CSV; none where it cannot be read (the checks say so)."""
    try:
        rows = read_csv(workspace.root / name)
    except NoescapeError:
        return 0, 0
    return len(rows), sum(is_defect(row.get("label", "")) for row in rows)


def _said(name: str, counts: dict[str, tuple[int, int]]) -> str:
    rows, defects = counts[name]
    return f"{name}: {rows} rows, {defects} defects"


def _epochs(spec: Spec | None) -> str:
    if spec is None:
        return "unknown"
    note = "" if spec.trainer == "finetune" else f" (trainer {spec.trainer} does not count in epochs)"
    return f"{spec.train.num_epochs}{note}"
