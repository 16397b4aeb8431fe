"""Where a loop stands, from its files alone: for people and programs; a loop that is running is not disturbed."""

from __future__ import annotations

from typing import Any

from noescape.deft.best import MODEL
from noescape.deft.log import Line, read_log, tail
from noescape.deft.loop_line import far
from noescape.deft.loop_plan import hard_stopped, is_met, next_step
from noescape.deft.state import State, read_state
from noescape.deft.target import parse_target
from noescape.deft.workspace import REPORT, Run, Workspace
from noescape.files import read_json_object


def status(workspace: Workspace, run: Run) -> dict[str, Any]:
    """Everything about one run as plain JSON types."""
    state, log = read_state(run.state), read_log(run.log)
    target = parse_target(state.kpi_target)
    stop, step, best = hard_stopped(log), next_step(state, target), state.best()
    return {
        "workspace": str(workspace.root),
        "run": run.folder.name,
        "started_at": state.started_at,
        "status": _word(state, log),
        "hard_stop": stop.summary if stop else None,
        "kpi_target": state.kpi_target,
        "met": bool(best) and is_met(state, best[0], target) if best else False,
        "max_iterations": state.max_iterations,
        "current_iteration": state.current_iteration,
        "next": None if stop or step is None else {"iteration": step[0], "stage": step[1]},
        "best": {"iteration": best[0], "far_pct": best[1].far_pct, "threshold": best[1].threshold} if best else None,
        "iterations": {
            name: {
                "status": one.status, "stage_completed": one.stage_completed, "far_pct": one.far_pct,
                "threshold": one.threshold, "mined": one.mining_mined_count,
                "met": is_met(state, name, target), "blind": _blind(run, name),
            }
            for name, one in state.iterations.items()
        },
        "report": str(run.folder / REPORT) if (run.folder / REPORT).is_file() else None,
        "best_model": str(run.folder / MODEL) if (run.folder / MODEL).is_file() else None,
        "log_tail": [line.text for line in tail(run.log)],
    }  # fmt: skip


def lines(told: dict[str, Any]) -> list[str]:
    """The same for a terminal."""
    target = parse_target(told["kpi_target"])
    out = [f"{told['run']}: {told['status']}, iteration {told['current_iteration']} of {told['max_iterations']}"]
    if told["hard_stop"]:
        out.append(told["hard_stop"])
    out.append(f"target: {target.shown}: {'MET as measured' if told['met'] else 'NOT MET'}")
    for name, one in told["iterations"].items():
        blind = one["blind"]
        seen = f", blind {far(blind['far_pct'])} at recall {blind['recall_pct']:.1f}%" if blind else ""
        mined = "" if one["mined"] is None else f", {one['mined']} rows mined"
        stands = f"{one['status']:<12} {one['stage_completed'] or 'not begun':<12}"
        out.append(f"  {name:<9} {stands} FAR {far(one['far_pct'])}{seen}{mined}")
    out += ["last lines of the log:", *(f"  {line}" for line in told["log_tail"])] if told["log_tail"] else []
    following = told["next"]
    out.append(f"next: {following['stage']} of {following['iteration']}" if following else "nothing left to do")
    out += [f"report: {told['report']}"] if told["report"] else []
    out += [f"best model: {told['best_model']}"] if told["best_model"] else []
    return out


def _word(state: State, log: tuple[Line, ...]) -> str:
    stops = [line for line in log if line.stage == "loop_stop"]
    if hard_stopped(log):
        return "hard stop"
    if stops:
        return "ended"
    if log and log[-1].status != "ok":
        return "failed (resume tries that stage again)"
    return "unfinished" if state.iterations else "not begun"


def _blind(run: Run, name: str) -> dict[str, Any] | None:
    path = run.folder / "blind" / name / "verdict.json"
    if not path.is_file():
        return None
    value: dict[str, Any] = read_json_object(path, "the verdict on a blind set").get("at_kpi_threshold") or {}
    return value or None
