"""What `noescape data` says to people: reports and import results as lines of text."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from noescape.datasets import CheckReport, ImportResult
from noescape.datasets.check import Duplicate
from noescape.datasets.folder import printable

MOST = 10


def printed(text: object) -> str:
    """`text` on one line: what a terminal would obey or not show is escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in printable(str(text)))


def check_lines(report: CheckReport) -> list[str]:
    """The report of one category: what is there, then what to look at, the worst first."""
    lines = [f"{printed(report.category)}   {printed(report.root)}"]
    lines += [f"  {printed(name):<28} {count:>6}{_masked(report, name)}" for name, count in report.counts.items()]
    if report.sizes:
        most = ", ".join(f"{size} ({n})" for size, n in list(report.sizes.items())[:3])
        lines.append(f"  sizes: {len(report.sizes)} different, most often {most}")
        lines.append(f"  stored as: {', '.join(f'{mode} ({n})' for mode, n in report.modes.items())}")
    if report.groups:
        lines.append(f"  groups: {report.groups['train']} in training, {report.groups['test']} in test")
    if report.terms:
        lines.append(f"  terms: {printed(report.terms)}")
    found = _finding_lines(report)
    return [*lines, *(found or ["  no findings"]), ""]


def import_lines(result: ImportResult) -> list[str]:
    """What an import wrote, or found already done."""
    what = "was there already, unchanged" if result.done_before else "written"
    lines = [f"{printed(result.category)}   {printed(result.out)}   {what}"]
    lines += [f"  {printed(name):<28} {count:>6}" for name, count in result.counts.items()]
    if result.groups:
        lines.append(f"  groups: {result.groups['train']} in training, {result.groups['test']} in test")
    lines += [f"  note: {printed(note)}" for note in result.notes if not note.startswith("--split random")]
    return [*lines, f"  terms: {printed(result.terms)}", ""]


def import_row(result: ImportResult) -> dict[str, Any]:
    """What an import wrote, for programs."""
    return {
        "out": printable(str(result.out)),
        "category": result.category,
        "counts": result.counts,
        "groups": result.groups,
        "terms": result.terms,
        "notes": list(result.notes),
        "skipped": [{"path": printable(str(r.path)), "code": r.code, "reason": r.reason} for r in result.skipped],
        "done_before": result.done_before,
    }


def next_fit(category: Path) -> str:
    """The command that comes next."""
    root, name = shlex.quote(printable(str(category.parent))), shlex.quote(printable(category.resolve().name))
    return f"next: noescape fit --config patchcore_mvtec.yaml --data-root {root} --category {name}"


def _masked(report: CheckReport, name: str) -> str:
    side, _, kind = name.partition("/")
    count = report.masked.get(kind, 0) if side == "test" else 0
    return f"   {count} with mask" if count else ""


def _finding_lines(report: CheckReport) -> list[str]:
    across = [d for d in report.duplicates if d.across]
    clash = [d for d in report.duplicates if not d.across and d.contradiction]
    within = [d for d in report.duplicates if not d.across and not d.contradiction]
    blocks = [
        ("UNUSABLE", [printed(p) for p in report.problems], ""),
        (
            "LEAK",
            [f"group {printed(leak.group)}: {leak.train} in training, {leak.test} in test" for leak in report.leaks],
            "parts seen in training: test figures will look better than they are",
        ),
        ("LEAK", [_duplicate(d) for d in across], "the same image trains and tests: remove one side"),
        (
            "same image, good and defective",
            [_duplicate(d) for d in clash],
            "right for golden twins with a tiny defect; otherwise one label is wrong",
        ),
        ("unreadable", [f"{printed(f.key)}: {f.code}, {printed(f.reason)}" for f in report.unreadable], ""),
        ("mask", [f"{printed(f.key)}: {printed(f.reason)}" for f in report.masks], ""),
        ("twice, or nearly, on one side", [_duplicate(d) for d in within], "counts double in figures, no other harm"),
    ]
    lines = []
    for title, rows, why in blocks:
        if rows:
            lines.append(f"  {title}: {len(rows)}{f' ({why})' if why else ''}")
            lines += [f"    - {row}" for row in rows[:MOST]]
            lines += [f"    … and {len(rows) - MOST} more (--json lists all)"] if len(rows) > MOST else []
    return lines


def _duplicate(duplicate: Duplicate) -> str:
    keys = [printed(key) for key in duplicate.keys]
    shown = " = ".join(keys[:4]) + (f" = … ({len(keys)} in all)" if len(keys) > 4 else "")
    return f"{shown}   [{'same bytes' if duplicate.kind == 'bytes' else 'looks the same'}]"
