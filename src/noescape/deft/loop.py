"""The loop: baseline, then iterations until the target is met, all iterations are done, or a hard stop fires.

Disk is canonical: before every stage the state and the log are read again. A stage is done when the state says so, then
its one line is appended to the log; a kill between the two is mended at the next start. Whatever a kill interrupts is
done again, in the same folders, by stages that give the same for the same files.

A hard stop is never tried again. Any other failure is logged as an error and ends the command; `deft resume` goes on
with that stage.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from noescape.changenet.spec import Spec
from noescape.deft.best import MODEL
from noescape.deft.hardstop import HardStop
from noescape.deft.log import ERROR, OK, append, read_log, repair, tail
from noescape.deft.loop_control import CONTROL, control_run, seed_control
from noescape.deft.loop_end import write_summaries
from noescape.deft.loop_line import status_line, summary_of
from noescape.deft.loop_plan import HARD, STOP, hard_stopped, next_step, number_of, unlogged
from noescape.deft.loop_settings import Settings, first_state
from noescape.deft.loop_stages import Setting, Stages
from noescape.deft.state import BASELINE, State, read_state, write_state
from noescape.deft.target import parse_target
from noescape.deft.workspace import Run, Workspace
from noescape.files import one_at_a_time, remove_parts
from noescape.records import NoescapeError

Say = Callable[[str], None]


def silent(line: str) -> None:
    """Nobody listens."""


@dataclass(frozen=True, kw_only=True)
class Loop:
    """One run in its workspace. `say` gets one status line per stage, `tell` what stages say on their way.

    `budgets`: this is a control arm, and so many rows are drawn at random in each iteration.
    """

    workspace: Workspace
    run: Run
    stages: Stages = field(default_factory=Stages)
    say: Say = silent
    tell: Say = silent
    budgets: dict[str, int] | None = None

    def go(self, stop_after: str | None = None) -> State:
        """Run to the end, or to the end of the iteration `stop_after`; the state then. HardStop where one fires.

        WorkError where another process works in this run.
        """
        with one_at_a_time(self.run.folder):
            remove_parts(self.run.folder)
            self._mend()
            while True:
                state = read_state(self.run.state)
                stopped = hard_stopped(read_log(self.run.log))
                if stopped is not None:
                    self._close_hard(state, stopped.iteration, stopped.summary)
                    raise HardStop(stopped.summary.removeprefix(HARD).partition(":")[0], _why(stopped.summary))
                step = next_step(state, parse_target(state.kpi_target), early=self.budgets is None)
                if step is None:
                    self._finish(state)
                    return state
                if stop_after is not None and (step[1] == STOP or number_of(step[0]) > number_of(stop_after)):
                    return state
                self._one(state, *step)

    def _mend(self) -> None:
        """After a kill: a torn line of the log is cut off, a line that is missing is written."""
        cut = repair(self.run.log)
        if cut:
            self.say(f"loop_log.jsonl: a torn last line ({cut} bytes) was cut off")
        state = self._seeded(read_state(self.run.state))
        target = parse_target(state.kpi_target)
        for name, stage in unlogged(state, read_log(self.run.log), self.run.folder):
            append(self.run.log, name, stage, OK, summary_of(state, name, stage, target), 0)

    def _seeded(self, state: State) -> State:
        """The skip-train rule: a baseline that others trained counts if its checkpoint is there, else it is trained."""
        one = state.of(BASELINE)
        if one.stage_completed != "train" or read_log(self.run.log):
            return state
        given = one.best_ckpt_path
        if given and self.workspace.path_of(given).is_file():
            self.say(f"baseline: {given} was trained already, the loop begins with evaluate")
            return state
        self.say(f"baseline: the state says it is trained, but {given or 'no checkpoint'} is not there; training it")
        state = state.with_iteration(BASELINE, stage_completed=None, status="pending", best_ckpt_path=None)
        write_state(self.run.state, state)
        return state

    def _one(self, state: State, name: str, stage: str) -> None:
        """Do one stage, write the state, append its line, tell people."""
        begun = time.monotonic()
        target = parse_target(state.kpi_target)
        if state.of(name).status == "pending":
            state = state.with_iteration(name, status="in_progress")
            write_state(self.run.state, state)
        at = self.setting(state, name)
        try:
            if stage == STOP:
                self._control(at)
                fields = {}
            else:
                if stage == "anomalygen" or (name == BASELINE and stage != "rca"):
                    self.stages.pool(at)  # before hours of training: what is wrong with it comes out now
                fields = self.stages.by_name[stage](at)
        except HardStop as error:
            line = f"{HARD}{error.code}: {str(error).partition(': ')[2]}"
            append(self.run.log, name, stage, ERROR, line, time.monotonic() - begun)
            self._close_hard(state, name, line)
            raise
        except (NoescapeError, OSError) as error:
            append(self.run.log, name, stage, ERROR, str(error), time.monotonic() - begun)
            raise
        state = state.with_iteration(name, **fields, stage_completed=stage)
        write_state(self.run.state, state)
        seconds = time.monotonic() - begun
        append(self.run.log, name, stage, OK, summary_of(state, name, stage, target), seconds)
        following = next_step(state, target, early=self.budgets is None)
        self.say(status_line(state, name, stage, target, seconds, following))
        if stage == "rca":
            self._after(state, name)

    def setting(self, state: State, name: str) -> Setting:
        """What a stage of `name` is given."""
        budget = None if self.budgets is None else max(1, self.budgets.get(name, 1))
        return Setting(
            workspace=self.workspace, run=self.run, state=state, spec=loop_spec(self.workspace, self.run, state),
            target=parse_target(state.kpi_target), name=name, on_line=self.tell, budget=budget,
        )  # fmt: skip

    def _after(self, state: State, name: str) -> None:
        at = self.setting(state, name)
        write_summaries(at)
        if self.budgets is None:
            self.stages.render(at)

    def _control(self, at: Setting) -> None:
        """The random arm at equal budget, where one was asked for: it runs when the main arm is done."""
        if at.state.config.control == "none" or self.budgets is not None or at.number == 0:
            return
        run = control_run(self.run)
        budgets = seed_control(self.workspace, self.run, run, at.state)
        arm = replace(self, run=run, budgets=budgets, say=lambda line: self.say(f"{CONTROL}: {line}"))
        try:
            arm.go()
        except HardStop as error:  # ends that arm, with its own line in its own log; the main one stands
            self.say(f"{CONTROL}: {error}")

    def _finish(self, state: State) -> None:
        """After loop_stop: report, then hand-over; both may have been done already."""
        name = max(state.iterations, key=number_of)
        self._after(state, name)
        if self.budgets is None:
            self.stages.hand_over(self.setting(state, name))

    def _close_hard(self, state: State, name: str, summary: str) -> None:
        """Note a hard stop in state and log, and draw the last report; no model is handed over."""
        if state.of(name).status != "failed":
            state = state.with_iteration(name, status="failed")
            write_state(self.run.state, state)
        if not any(line.stage == STOP for line in read_log(self.run.log)):
            append(self.run.log, name, STOP, ERROR, summary, 0)
        self._after(state, name)


def loop_spec(workspace: Workspace, run: Run, state: State) -> Spec:
    """The baseline spec with the overrides of this run; features are kept once per run where nothing else is said."""
    spec = workspace.spec(state.config.overrides)
    if spec.noescape.cache_dir is None:
        ours = spec.noescape.model_copy(update={"cache_dir": str(run.features)})
        spec = spec.model_copy(update={"noescape": ours})
    return spec


def begin(workspace: Workspace, run: Run, given: Settings) -> Run:
    """Make a new run: its folder and its first state. The first thing that a loop writes."""
    spec = workspace.spec(given.spec_overrides(workspace))
    write_state(run.state, first_state(workspace, run, given, spec))
    return run


def unfinished(workspace: Workspace) -> Run | None:
    """The newest run, if there is something left to do in it."""
    runs = workspace.runs()
    return runs[-1] if runs and not is_over(runs[-1]) else None


def last_lines(run: Run) -> list[str]:
    """The last five lines of the log, for whoever resumes."""
    return [line.text for line in tail(run.log)]


def is_over(run: Run) -> bool:
    """Whether nothing is left to do: handed over, or ended by a hard stop."""
    stops = [line for line in read_log(run.log) if line.stage == STOP]
    return bool(stops) and (stops[-1].status != OK or (run.folder / MODEL).is_file())


def _why(summary: str) -> str:
    return summary.partition(": ")[2] + " (this run ended with it; start a new one with --new once the cause is gone)"
