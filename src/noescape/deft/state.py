"""deft_state.json, version 2: where a loop stands. A snapshot, rewritten whole after every stage.

Files in it are named by their path in the workspace, so that the whole can be moved; absolute ones are read too. Keys
that are not known here are kept as they came. The baseline lies under `iterations.baseline`; a file that has it at the
top, under `baseline`, is read as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from noescape.files import read_json_object, write_json
from noescape.records import DataError

FILE, VERSION = "deft_state.json", 2
BASELINE = "baseline"
STAGES = ("evaluate", "rca", "anomalygen", "routing", "data_mining", "train", "loop_stop")
STATUSES = ("pending", "in_progress", "complete", "failed")
Status = Literal["pending", "in_progress", "complete", "failed"]
Stage = Literal["evaluate", "rca", "anomalygen", "routing", "data_mining", "train", "loop_stop"]
Count = Annotated[int, Field(ge=0)]


class _Part(BaseModel):
    """Frozen; what others wrote beside the known keys stays."""

    model_config = ConfigDict(extra="allow", frozen=True, populate_by_name=True)


class Iteration(_Part):
    """One iteration (or the baseline). `stage_completed` is its last whole stage; the rest is what stages found.

    `far_pct`: 100 FP/(FP+TN) at the recall of the target, on the KPI set, of the checkpoint in `best_ckpt_path`.
    """

    status: Status = "pending"
    stage_completed: Stage | None = None
    best_ckpt_path: str | None = None
    best_ckpt_kind: Literal["best_val", "latest"] | None = None
    far_pct: float | None = None
    threshold: float | None = None
    val_loss: float | None = None
    inference_csv: str | None = None
    rca_target_defects: tuple[str, ...] = ()
    rca_gaps_parquet: str | None = None
    rca_threshold: float | None = None
    routing_mining_parquet: str | None = None
    routing_anomalygen_parquet: str | None = None
    anomalygen_ingest: dict[str, Any] | None = None
    mining_mined_parquet: str | None = None
    mining_mined_count: int | None = None


class Anomalygen(_Part):
    """Where generated pairs come from: `pregen_ingest` (folders that were filled before), `inline` or `off`."""

    sub_skill: str | None = None
    mode: str = "pregen_ingest"
    pregen_dir: str | None = None
    reconstructed_image_dir: str | None = None
    original_image_dir: str | None = None
    defect_spec: str | None = None


class MiningFilter(_Part):
    """How rows are chosen from the pool. `min_similarity` null: the documented cut-off for the encoder in use."""

    sub_skill: str | None = None
    top_k_per_target: Annotated[int, Field(ge=1)] = 5
    metric: str = "cosine"
    min_similarity: float | None = None
    select: str | None = None


class Config(_Part):
    """What the loop was started with; fixed for its whole life. `overrides` are `key=value` laid over the spec."""

    specs_file: str
    training_csv: str
    validation_csv: str
    kpi_test_csv: str
    images_dir: str
    backbone_weight_dir: str | None = None
    train_container: str | None = None
    num_gpus: Count = 0
    batch_size: Annotated[int, Field(ge=1)] = 16
    num_epochs: Annotated[int, Field(ge=1)] = 20
    anomalygen: Anomalygen = Anomalygen()
    mining_filter: MiningFilter = MiningFilter()
    pregen: dict[str, Any] | None = None
    control: Literal["none", "random"] = "none"
    seed: Count = 42
    overrides: tuple[str, ...] = ()


class State(_Part):
    """The whole file."""

    version: Literal[2] = 2
    started_at: str
    kpi_target: str
    results_dir: str
    max_iterations: Annotated[int, Field(ge=0)] = 3
    current_iteration: Count = 0
    config: Config
    iterations: dict[str, Iteration] = {}
    stages: tuple[str, ...] = Field(default=STAGES, alias="_completed_step_values")
    statuses: tuple[str, ...] = Field(default=STATUSES, alias="_status_values")

    def of(self, name: str) -> Iteration:
        """The iteration `name` (baseline, iter1, …); an untouched one where nothing is known."""
        return self.iterations.get(name, Iteration())

    def with_iteration(self, name: str, **fields: Any) -> State:
        """A copy in which these fields of one iteration are set; `current_iteration` follows."""
        changed = Iteration.model_validate({**self.of(name).model_dump(), **fields})
        number = 0 if name == BASELINE else int(name.removeprefix("iter"))
        iterations = dict(sorted({**self.iterations, name: changed}.items(), key=lambda item: order_of(item[0])))
        return self.model_copy(
            update={"iterations": iterations, "current_iteration": max(number, self.current_iteration)}
        )

    def measured(self) -> list[tuple[str, Iteration]]:
        """Every iteration with a FAR, in order, the baseline first."""
        return [(name, one) for name, one in self.iterations.items() if one.far_pct is not None]

    def best(self) -> tuple[str, Iteration] | None:
        """The lowest FAR, of equals the earliest; None before the first measurement."""
        return min(self.measured(), key=lambda item: item[1].far_pct or 0.0, default=None)


def order_of(name: str) -> tuple[int, str]:
    """Sorts baseline, iter1, iter2, …, and what is neither behind them."""
    if name == BASELINE:
        return 0, ""
    digits = name.removeprefix("iter")
    return (int(digits), "") if name.startswith("iter") and digits.isdecimal() else (1 << 30, name)


def read_state(path: Path) -> State:
    """The state in `path`. DataError lists what is wrong with it; another version is refused by name."""
    value = read_json_object(path, "the state of a loop")
    if value.get("version") != VERSION:
        raise DataError(f"{path}: expected version {VERSION} of deft_state.json, got {value.get('version')!r}")
    try:
        state = State.model_validate(_one_place(value, path))
    except ValidationError as error:
        said = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:10])
        raise DataError(f"{path}: not the state of a loop ({said})") from None
    strange = [name for name in state.iterations if order_of(name)[0] == 1 << 30]
    if strange:
        raise DataError(f"{path}: iterations: expected baseline, iter1, iter2, …, got {strange[0]!r}")
    return state


def write_state(path: Path, state: State) -> None:
    """Rewrite the file, whole."""
    write_json(path, state.model_dump(mode="json", by_alias=True))


def _one_place(value: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """With the baseline where it is looked for."""
    out = dict(value)
    top = out.pop(BASELINE, None)
    iterations = out.get("iterations") or {}
    if top is not None:
        if not isinstance(top, dict) or not isinstance(iterations, dict):
            raise DataError(f"{path}: baseline: expected an object")
        # Both places: what a reader of either was told, the longer-lived place last.
        out["iterations"] = {**iterations, BASELINE: {**top, **(iterations.get(BASELINE) or {})}}
    return out
