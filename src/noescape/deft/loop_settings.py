"""What a loop is started with: defaults, knobs, and the first deft_state.json."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from noescape.changenet.spec import Spec
from noescape.deft.places import KPI_IMAGES, PREGEN
from noescape.deft.pregen import NG_DIR, OK_DIR, is_absent
from noescape.deft.state import Anomalygen, Config, MiningFilter, State
from noescape.deft.target import DEFAULT_TARGET, parse_target
from noescape.deft.workspace import KPI_CSV, SPEC, TRAIN_CSV, VALIDATION_CSV, Run, Workspace
from noescape.files import load_yaml, parse_yaml, utc_stamp
from noescape.records import UsageError

MAX_ITERATIONS, TOP_K, EPOCHS, SEED = 3, 5, 20, 42
# In trials hard mining beat random drawing beyond two standard errors, nearest neighbours did not.
SELECT = "hard"
WAYS = ("knn", "hard", "uncertain", "random")
KNOBS = ("top_k_per_target", "min_similarity", "select", "training_epochs", "seed")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the user said, with defaults for the rest. `overrides` are `key=value` for the spec."""

    kpi_target: str = DEFAULT_TARGET
    max_iterations: int = MAX_ITERATIONS
    control: Literal["none", "random"] = "none"
    top_k: int = TOP_K
    min_similarity: float | None = None
    select: str = SELECT
    seed: int = SEED
    epochs: int | None = None
    overrides: tuple[str, ...] = ()

    def spec_overrides(self, workspace: Workspace) -> tuple[str, ...]:
        """Overrides for the spec, the epochs among them: as asked for, else those of the spec file, else 20."""
        value = load_yaml(workspace.spec_file)
        train = value.get("train") if isinstance(value, dict) else None
        said = isinstance(train, dict) and "num_epochs" in train
        asked = any(text.startswith("train.num_epochs=") for text in self.overrides)
        epochs = self.epochs if self.epochs is not None else None if said or asked else EPOCHS
        return (*self.overrides, *([f"train.num_epochs={epochs}"] if epochs is not None else []))


def settings(
    *, kpi_target: str | None = None, max_iterations: int | None = None, control: str | None = None,
    knobs: Sequence[str] = (),
) -> Settings:  # fmt: skip
    """Settings from the command line. `knobs`: `key=value`; a key with a dot is one of the spec.

    UsageError, with the nearest name, for a knob that is not known, and for every value that cannot be.
    """
    target = parse_target(DEFAULT_TARGET if kpi_target is None else kpi_target)
    most = MAX_ITERATIONS if max_iterations is None else max_iterations
    if most < 0:
        raise UsageError(f"--max-iterations: expected 0 or more, got {most}")
    ours: dict[str, Any] = {}
    overrides = []
    for text in knobs:
        key, equals, given = text.partition("=")
        if not equals or not key:
            raise UsageError(f"--set {text!r}: expected KEY=VALUE, like top_k_per_target=5 or train.num_epochs=3")
        if "." in key:
            overrides.append(text)
        elif key in KNOBS:
            ours[key] = _value(key, parse_yaml(given, name=f"--set {key}"))
        else:
            near = difflib.get_close_matches(key, KNOBS, 1, 0.45)
            raise UsageError(
                f"--set {key}: no such knob{f', did you mean {near[0]!r}?' if near else '.'} There are "
                f"{', '.join(KNOBS)}, and every key of the spec with its section (train.num_epochs=3)"
            )
    return Settings(
        kpi_target=target.text,
        max_iterations=most,
        control="random" if control == "random" else "none",
        top_k=ours.get("top_k_per_target", TOP_K),
        min_similarity=ours.get("min_similarity"),
        select=ours.get("select", SELECT),
        seed=ours.get("seed", SEED),
        epochs=ours.get("training_epochs"),
        overrides=tuple(overrides),
    )


def first_state(workspace: Workspace, run: Run, given: Settings, spec: Spec) -> State:
    """The state of a run that has not begun."""
    absent = is_absent(workspace.pregen)
    folder = None if absent else PREGEN
    weights = spec.weights
    return State(
        started_at=utc_stamp(),
        kpi_target=given.kpi_target,
        results_dir=workspace.name_of(run.folder),
        max_iterations=given.max_iterations,
        config=Config(
            specs_file=SPEC,
            training_csv=TRAIN_CSV,
            validation_csv=VALIDATION_CSV,
            kpi_test_csv=KPI_CSV,
            images_dir=KPI_IMAGES,
            backbone_weight_dir=str(weights.parent) if weights else None,
            num_gpus=0 if spec.noescape.device == "cpu" else spec.train.num_gpus,
            batch_size=spec.dataset.classify.batch_size,
            num_epochs=spec.train.num_epochs,
            anomalygen=Anomalygen(
                mode="off" if absent else "pregen_ingest",
                pregen_dir=folder,
                reconstructed_image_dir=f"{folder}/{NG_DIR}" if folder else None,
                original_image_dir=f"{folder}/{OK_DIR}" if folder else None,
                defect_spec=f"{folder}/defect_spec.jsonl"
                if folder and (workspace.pregen / "defect_spec.jsonl").is_file()
                else None,
            ),
            mining_filter=MiningFilter(
                top_k_per_target=given.top_k, min_similarity=given.min_similarity, select=given.select
            ),
            control=given.control,
            seed=given.seed,
            overrides=given.spec_overrides(workspace),
        ),
    )


def contradictions(state: State, given: Settings, workspace: Workspace) -> list[str]:
    """Where `given` differs from what a run was started with, in words."""
    config = state.config
    pairs = [
        ("--kpi-target", state.kpi_target, given.kpi_target),
        ("--max-iterations", state.max_iterations, given.max_iterations),
        ("--control", config.control, given.control),
        ("top_k_per_target", config.mining_filter.top_k_per_target, given.top_k),
        ("min_similarity", config.mining_filter.min_similarity, given.min_similarity),
        ("select", config.mining_filter.select, given.select),
        ("seed", config.seed, given.seed),
        ("keys of the spec", tuple(config.overrides), given.spec_overrides(workspace)),
    ]
    return [f"{name}: started with {was!r}, now {now!r}" for name, was, now in pairs if was != now]


def _value(key: str, value: Any) -> Any:
    if key == "select":
        if value not in WAYS:
            raise UsageError(f"--set select={value}: expected one of {', '.join(WAYS)}")
        return value
    if key == "min_similarity":
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not -1 <= value <= 1:
            raise UsageError(f"--set min_similarity={value!r}: expected a cosine from -1 to 1, or null")
        return float(value)
    least = 0 if key == "seed" else 1
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise UsageError(f"--set {key}={value!r}: expected a whole number of at least {least}")
    return value
