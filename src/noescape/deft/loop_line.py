"""What a stage came to, in one line: for the log, and for the person who watches."""

from __future__ import annotations

from noescape.deft.loop_plan import STOP, is_met, number_of
from noescape.deft.state import BASELINE, State
from noescape.deft.target import Target
from noescape.metrics import percent


def summary_of(state: State, name: str, stage: str, target: Target) -> str:
    """The summary of a stage that is done. Only from the state, so that it can be written again after a kill."""
    one = state.of(name)
    if stage == "train":
        loss = "" if one.val_loss is None else f", val_loss {one.val_loss:.5g}"
        return f"checkpoint {one.best_ckpt_path}{loss}"
    if stage == "evaluate":
        said = "met" if is_met(state, name, target) else "not met"
        at = f"FAR {far(one.far_pct)} at threshold {one.threshold!r} ({one.best_ckpt_kind})"
        return f"{at}; target {target.goal}: {said}"
    if stage == "rca":
        return f"weak labels: {', '.join(one.rca_target_defects) or 'none'}; {one.rca_gaps_parquet}"
    if stage == "routing":
        made = one.routing_anomalygen_parquet or "nothing to generate"
        return f"to mining: {one.routing_mining_parquet}; to generation: {made}"
    if stage == "anomalygen":
        counts = (one.anomalygen_ingest or {}).get("counts", {})
        return f"pool: {counts.get('real_rows', 0)} real and {counts.get('sdg_rows', 0)} synthetic rows"
    if stage == "data_mining":
        return f"{one.mining_mined_count} rows mined; {one.mining_mined_parquet}"
    return stop_summary(state, target)


def stop_summary(state: State, target: Target) -> str:
    """How the loop ended."""
    best = state.best()
    if best is None:
        return "ended before anything was measured"
    name, one = best
    reason = "target met" if is_met(state, name, target) else f"max_iterations {state.max_iterations} reached"
    return f"{reason}; best is {name}: FAR {far(one.far_pct)} at threshold {one.threshold!r}, target {target.goal}"


def status_line(
    state: State, name: str, stage: str, target: Target, seconds: float, following: tuple[str, str] | None
) -> str:
    """`[iter 2/3 · train] FAR 6.34% → 3.11% (target <0.5%) · 11m · next: evaluate`.

    Before the arrow the FAR of the iteration before, behind it this one's, once it is measured.
    """
    place = BASELINE if name == BASELINE else f"iter {number_of(name)}/{state.max_iterations}"
    measured = [value.far_pct for _, value in state.measured() if value.far_pct is not None]
    own = state.of(name).far_pct
    before = measured[-2:-1] if own is not None else measured[-1:]
    figures = " → ".join(far(value) for value in [*before, *([own] if own is not None else [])])
    said = f"FAR {figures}" if figures else "FAR not measured yet"
    after = "done" if following is None else following[1] if following[1] != STOP else "loop stop"
    if following is not None and following[0] != name:
        after = f"{after} of {following[0]}"
    return f"[{place} · {stage}] {said} (target {target.goal.replace(' ', '')}) · {duration(seconds)} · next: {after}"


def far(value: float | None) -> str:
    """A FAR in percent as people read it; never a rounded zero."""
    if value is None:
        return "unknown"
    return f"{value:.2f}%" if value >= 0.01 else percent(value / 100) if value else "0%"


def duration(seconds: float) -> str:
    """`45s`, `11m`, `2h05m`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    minutes = round(seconds / 60)
    return f"{minutes}m" if minutes < 60 else f"{minutes // 60}h{minutes % 60:02d}m"
