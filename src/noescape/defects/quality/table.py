"""The figures as a table that people read."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from noescape.datasets.folder import printable
from noescape.defects.quality.figures import Figure
from noescape.defects.quality.score import Scored

WIDTH = 110
COUNTS = frozenset({"exemplars_used", "leaks", "outside"})
SHARES = frozenset({"near_copies"})
MAX_LISTED = 10


def table_text(scored: Scored) -> str:
    """The whole report as plain text: figures, types, and what must be looked at."""
    r = scored.report
    lines = [
        f"{r['n_generated']} generated defects beside {r['n_real']} real ones; features of {r['backbone']}",
        "",
        f"{'figure':<46}{'generated':>11}{'real|real':>11}  {'n gen':>6}{'n real':>7}",
    ]
    for figure in scored.figures:
        lines += _figure_lines(figure)
    lines += ["", *_types(scored), *_lists(scored)]
    return "\n".join(lines) + "\n"


def _figure_lines(f: Figure) -> list[str]:
    better = f" [{f.better}]" if f.better else ""
    value, floor = _number(f.key, f.value), _number(f.key, f.floor)
    head = f"{f.name + better:<46}{value:>11}{floor:>11}  {f.n:>6}{f.n_floor or '–':>7}"
    return [head, *textwrap.wrap(f.words, WIDTH - 4, initial_indent="    ", subsequent_indent="    ")]


def _number(key: str, value: float | None) -> str:
    if value is None:
        return "–"
    if key in COUNTS:
        return f"{value:.0f}"
    return f"{value:.0%}" if key in SHARES else f"{value:.3f}"


def _types(scored: Scored) -> list[str]:
    near = next((f for f in scored.figures if f.key == "nn_score"), None)
    floors = near.more["types"] if near else {}
    width = max([len(printable(str(t["type"]))) for t in scored.types] + [4]) + 2
    out = [
        f"{'type':<{width}}{'n gen':>7}{'n real':>8}{'nn':>8}{'real|real':>11}{'mnn':>8}{'complete':>10}{'copies':>8}"
    ]
    for t in scored.types:
        floor = floors.get(t["type"], {}).get("floor")
        cells = [_number("", v) for v in (t["nn_score"], floor, t["mnn_score"], t["completeness"])]
        out.append(
            f"{printable(str(t['type'])):<{width}}{t['n']:>7}{t['n_real']:>8}{cells[0]:>8}{cells[1]:>11}{cells[2]:>8}"
            f"{cells[3]:>10}{t['near_copies']:>8}"
        )
    alone = [str(t["type"]) for t in scored.types if not t["n_real"]]
    return [*out, *([f"no real picture of: {', '.join(map(printable, alone))}"] if alone else [])]


def _lists(scored: Scored) -> list[str]:
    leaks = [
        f"{leak['name']} ({leak['of']}) shows {leak['test']} of the test: {leak['how']} {leak['likeness']:.2f}"
        for leak in scored.report["leaks"]
    ]
    return [
        *_listed("leaks", leaks),
        *_listed("left out", scored.report["left_out"]),
    ]


def _listed(title: str, rows: Sequence[str]) -> list[str]:
    if not rows:
        return []
    more = [f"  … and {len(rows) - MAX_LISTED} more (quality.json)"] if len(rows) > MAX_LISTED else []
    return ["", f"{title}: {len(rows)}", *(f"  {printable(row)}" for row in rows[:MAX_LISTED]), *more]
