"""The control arm: the same loop with rows drawn at random, as many in each iteration as the main arm mined.

It lies in <run>/control_random/ with a state and a log of its own, starts from the same baseline, uses the same pool,
and makes as many iterations. Without it nobody can say whether choosing helped, or just having more data.
"""

from __future__ import annotations

from noescape.deft.log import OK, append, read_log, repair
from noescape.deft.loop_plan import STOP, stages_of
from noescape.deft.state import BASELINE, State, write_state
from noescape.deft.workspace import Run, Workspace

CONTROL = "control_random"


def control_run(main: Run) -> Run:
    """Where the control arm of a run lies."""
    return Run(folder=main.folder / CONTROL, stamp=main.stamp, shares=main.folder)


def seed_control(workspace: Workspace, main: Run, run: Run, state: State) -> dict[str, int]:
    """Begin the control arm with the baseline of the main one, if it has not begun; the budget of each iteration."""
    done = {name: one for name, one in state.iterations.items() if name != BASELINE and one.far_pct is not None}
    if not run.state.is_file():
        seeded = State.model_validate(
            {
                **state.model_dump(by_alias=True),
                "results_dir": workspace.name_of(run.folder),
                "max_iterations": len(done),
                "current_iteration": 0,
                "iterations": {BASELINE: state.of(BASELINE).model_dump() | {"stage_completed": "rca"}},
            }
        )
        write_state(run.state, seeded)
    repair(run.log)
    have = len(read_log(run.log))
    theirs = [line for line in read_log(main.log) if line.iteration == BASELINE and line.status == OK]
    for line in [one for one in theirs if one.stage != STOP][have : len(stages_of(BASELINE))]:
        append(run.log, BASELINE, line.stage, OK, line.summary, line.duration_sec)
    return {name: one.mining_mined_count or 0 for name, one in done.items()}
