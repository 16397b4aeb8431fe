"""The order of stages, and what is next: a function of the state alone.

    baseline  train  evaluate  rca
    iterN     routing  anomalygen  data_mining  train  evaluate  rca
    then      loop_stop, logged under the last iteration

data_mining is mining, assembly and validation: the training set of an iteration is there, whole and checked, or not.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from noescape.deft.log import OK, Line
from noescape.deft.state import BASELINE, State
from noescape.deft.target import Target
from noescape.records import DataError

BASELINE_STAGES = ("train", "evaluate", "rca")
ITERATION_STAGES = ("routing", "anomalygen", "data_mining", "train", "evaluate", "rca")
STOP = "loop_stop"
HARD = "hard stop "  # how the summary of such a line begins
Step = tuple[str, str]


def stages_of(name: str) -> tuple[str, ...]:
    """The stages of one iteration, in order."""
    return BASELINE_STAGES if name == BASELINE else ITERATION_STAGES


def number_of(name: str) -> int:
    """0 for the baseline."""
    return 0 if name == BASELINE else int(name.removeprefix("iter"))


def name_of(number: int) -> str:
    """`baseline`, `iter1`, …"""
    return f"iter{number}" if number else BASELINE


def is_met(state: State, name: str, target: Target) -> bool:
    """Whether an iteration meets the target as measured; its recall is kept by how the threshold is chosen."""
    far = state.of(name).far_pct
    return far is not None and target.met_by(round(far / 100, 12))


def completed(state: State) -> list[Step]:
    """Every stage that the state says is done, in order."""
    out: list[Step] = []
    for name, one in state.iterations.items():
        stages = (*stages_of(name), STOP)
        if one.stage_completed is None:
            continue
        if one.stage_completed not in stages:
            raise DataError(f"deft_state.json: {name} cannot have completed {one.stage_completed!r}")
        out += [(name, stage) for stage in stages[: stages.index(one.stage_completed) + 1]]
    return out


def next_step(state: State, target: Target, *, early: bool = True) -> Step | None:
    """The stage that comes next; None when the loop has ended. `early`: it ends once the target is met."""
    done = completed(state)
    if not done:
        return BASELINE, BASELINE_STAGES[0]
    name, stage = done[-1]
    if stage == STOP:
        return None
    stages = stages_of(name)
    if stage != stages[-1]:
        return name, stages[stages.index(stage) + 1]
    if number_of(name) >= state.max_iterations or (early and is_met(state, name, target)):
        return name, STOP
    return name_of(number_of(name) + 1), ITERATION_STAGES[0]


def unlogged(state: State, lines: Sequence[Line], where: Path) -> list[Step]:
    """Stages that are done by the state and not in the log yet: a kill fell between the two, or the state was seeded.

    DataError where the two tell different stories.
    """
    done = completed(state)
    logged = [(line.iteration, line.stage) for line in lines if line.status == OK]
    if logged != done[: len(logged)]:
        raise DataError(
            f"{where}: loop_log.jsonl and deft_state.json tell different stories: the log ends with "
            f"{' '.join(logged[-1])}, the state with {' '.join(done[-1]) if done else 'nothing'}. Put back the file "
            "that was changed, or start a new run"
        )
    return done[len(logged) :]


def hard_stopped(lines: Sequence[Line]) -> Line | None:
    """The line of the hard stop that ended this loop, or will; it is never tried again."""
    return next((one for one in lines if one.status != OK and one.summary.startswith(HARD)), None)
