"""iterN_summary.md: one iteration in at most 300 words."""

from __future__ import annotations

from collections.abc import Sequence

from noescape.deft.log import Line
from noescape.deft.loop_line import duration, far
from noescape.deft.loop_plan import is_met, name_of, number_of
from noescape.deft.state import State
from noescape.deft.target import Target

WORDS = 300
MOST_LABELS = 12


def iteration_summary(state: State, name: str, target: Target, log: Sequence[Line]) -> str:
    """Markdown, from state and log alone: same files, same text."""
    one, before = state.of(name), state.of(name_of(number_of(name) - 1))
    met = is_met(state, name, target)
    over = (one.far_pct or 0.0) - 100 * target.limit
    gap = "MET as measured" if met else f"NOT MET, {max(over, 0):.4g} pp above target"
    better = (one.far_pct or 0.0) - (before.far_pct or 0.0)
    moved = "unchanged" if not better else f"{abs(better):.4g} pp {'lower' if better < 0 else 'higher'}"
    labels = list(one.rca_target_defects)
    shown = ", ".join(labels[:MOST_LABELS]) + (
        f" and {len(labels) - MOST_LABELS} more" if len(labels) > MOST_LABELS else ""
    )
    best = state.best()
    lines = [
        f"# {name} of {state.max_iterations}",
        "",
        f"**{gap}.** FAR (false alarm rate, 100 FP/(FP+TN)) {far(before.far_pct)} → {far(one.far_pct)} ({moved}); "
        f"target {target.goal} at recall {100 * target.recall:g}%.",
        "",
        f"- threshold {one.threshold!r}, checkpoint `{one.best_ckpt_path}` ({one.best_ckpt_kind})",
        f"- rows mined: {one.mining_mined_count} ({state.config.mining_filter.select or 'knn'})",
        f"- weak labels now: {shown or 'none'}",
        f"- best so far: {best[0] if best else 'none'}, FAR {far(best[1].far_pct if best else None)}",
        "",
        "The KPI set is a development set: root cause analysis reads it. What the blind set says stands in the report.",
        "",
        "| stage | took | result |",
        "|---|---|---|",
    ]
    room = WORDS - len(" ".join(lines).split())
    for line in (x for x in log if x.iteration == name and x.status == "ok" and x.stage != "loop_stop"):
        row = f"| {line.stage} | {duration(line.duration_sec)} | {line.summary.replace('|', '/')} |"
        room -= len(row.split())
        if room < 0:
            break
        lines.append(row)
    return "\n".join(lines) + "\n"
