"""The rows of a comparison as tables, differences and gates. Computes from rows alone; means are over trainings."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

FIGURES = {
    "pixel_ap": "pixel AP",
    "mean_type_ap": "mean per-type AP",
    "aupro": "AUPRO",
    "image_auroc": "image AUROC",
    "recall_at_5": "recall at 5% FA",
}
Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One figure of an arm minus another's, over the trainings with the same split and seed.

    `split_sd` is the sd of the means per split: trainings of one split share its pictures, so it is the honest one.
    """

    mean: float
    sd: float
    wins: int
    n: int
    split_sd: float
    split_wins: int
    splits: int

    def __str__(self) -> str:
        wins = f"({self.wins}/{self.n}; splits {self.split_wins}/{self.splits})"
        return f"{self.mean:+.3f}{_spread(self.sd)} {wins}"


@dataclass(frozen=True, kw_only=True)
class Gate:
    """What the mean of a difference must reach. `margin` inclusive."""

    figure: str
    other: str
    margin: float


GATES = (
    Gate(figure="pixel_ap", other="real only", margin=0.05),
    Gate(figure="pixel_ap", other="+ classical", margin=0.03),
    Gate(figure="pixel_ap", other="+ CutPaste", margin=0.0),
    Gate(figure="image_auroc", other="real only", margin=0.02),
    Gate(figure="image_auroc", other="+ classical", margin=0.0),
    Gate(figure="image_auroc", other="+ CutPaste", margin=-0.01),
)


def summary(rows: Rows) -> dict[str, dict[str, tuple[float, float]]]:
    """Per arm and figure: mean and sd over all its trainings."""
    out: dict[str, dict[str, tuple[float, float]]] = {}
    for arm in dict.fromkeys(r["arm"] for r in rows):
        mine = [r for r in rows if r["arm"] == arm]
        out[arm] = {f: mean_sd([r[f] for r in mine]) for f in FIGURES}
    return out


def paired(rows: Rows, arm: str, other: str) -> dict[str, Difference]:
    """Per figure: `arm` - `other`. ValueError where they share no split and seed."""
    index = {(r["arm"], r["split"], r["training_seed"]): r for r in rows}
    pairs = [(r, index[other, s, t]) for (a, s, t), r in index.items() if a == arm and (other, s, t) in index]
    if not pairs:
        raise ValueError(f"{arm!r} and {other!r} have no training in common")
    return {figure: _difference(figure, pairs) for figure in FIGURES}


def _difference(figure: str, pairs: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> Difference:
    by_split: dict[int, list[float]] = {}
    for a, b in pairs:
        by_split.setdefault(a["split"], []).append(float(a[figure]) - float(b[figure]))
    every = [d for found in by_split.values() for d in found]
    means = [sum(found) / len(found) for found in by_split.values()]
    mean, sd = mean_sd(every)
    return Difference(
        mean=mean, sd=sd, wins=sum(d > 0 for d in every), n=len(every), split_sd=mean_sd(means)[1],
        split_wins=sum(m > 0 for m in means), splits=len(means),
    )  # fmt: skip


def judged(rows: Rows, ours: str, gates: Sequence[Gate] = GATES) -> list[tuple[Gate, Difference, bool]]:
    """Each gate whose other arm was run, the difference, and whether its mean is met."""
    arms = {r["arm"] for r in rows}
    found = [(g, paired(rows, ours, g.other)[g.figure]) for g in gates if g.other in arms and ours in arms]
    return [(gate, d, d.mean >= gate.margin) for gate, d in found]


def markdown(rows: Rows, ours: str, gates: Sequence[Gate] = GATES) -> str:
    """Tables: figures per arm, per type, `ours` minus every other arm, and the gates if there are any."""
    parts = [_arms(rows), _types(rows), _differences(rows, ours), *([_gates(rows, ours, gates)] if gates else [])]
    return "\n\n".join(parts) + "\n"


def _arms(rows: Rows) -> str:
    lines = [_line("arm", "n", *FIGURES.values()), _rule(len(FIGURES) + 2)]
    for arm, found in summary(rows).items():
        n = sum(r["arm"] == arm for r in rows)
        lines.append(_line(arm, str(n), *(f"{m:.3f}{_spread(sd)}" for m, sd in found.values())))
    return "\n".join(lines)


def _types(rows: Rows) -> str:
    types = sorted(k.removeprefix("ap_") for k in rows[0] if k.startswith("ap_"))
    lines = [_line("pixel AP / recall at 5% FA", *types), _rule(len(types) + 1)]
    for arm in dict.fromkeys(r["arm"] for r in rows):
        mine = [r for r in rows if r["arm"] == arm]
        cells = (tuple(mean_sd([r[f"{p}_{t}"] for r in mine])[0] for p in ("ap", "recall")) for t in types)
        lines.append(_line(arm, *(f"{ap:.2f} / {recall:.2f}" for ap, recall in cells)))
    return "\n".join(lines)


def _differences(rows: Rows, ours: str) -> str:
    lines = [_line(f"{ours} minus", *FIGURES.values()), _rule(len(FIGURES) + 1)]
    for arm in dict.fromkeys(r["arm"] for r in rows):
        if arm != ours:
            lines.append(_line(arm, *(str(d) for d in paired(rows, ours, arm).values())))
    return "\n".join(lines)


def _gates(rows: Rows, ours: str, gates: Sequence[Gate]) -> str:
    lines = [_line("gate (on the mean)", "difference", "sd of the split means", ""), _rule(4)]
    for gate, d, met in judged(rows, ours, gates):
        wanted = f"{FIGURES[gate.figure]} >= {gate.other} {gate.margin:+.2f}"
        lines.append(_line(wanted, str(d), _spread(d.split_sd)[3:], "MET" if met else "NOT MET"))
    return "\n".join(lines)


def _spread(sd: float) -> str:
    return "" if math.isnan(sd) else f" ± {sd:.3f}"


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _rule(columns: int) -> str:
    return "|" + " --- |" * columns


def mean_sd(values: Sequence[float]) -> tuple[float, float]:
    """Mean and sample sd (nan for a single value)."""
    mean = sum(values) / len(values)
    if len(values) < 2:
        return mean, float("nan")
    return mean, math.sqrt(sum((v - mean) ** 2 for v in values) / (len(values) - 1))
