"""`noescape report`: pages that show what a run made."""

from __future__ import annotations

import argparse
from pathlib import Path

DESCRIPTION = """\
Pages to look at before data is used. Self-contained: one file, no network.

  noescape report preview dig/runs/board_0a1b2c3d        5-10 samples: render | CAD mask | restyled | defect
"""
PREVIEW = """\
Samples of every stage of a run side by side, evenly over their sorted names: crops of the board, their restyled twins,
generated defects with their labels, structural defects, pairs. Rows that lack a column are left out and counted.
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `report` and its own subcommands."""
    parser = commands.add_parser(
        "report",
        help="pages that show what a run made",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parts = parser.add_subparsers(title="report commands", metavar="COMMAND", required=True)
    preview = parts.add_parser(
        "preview",
        help="samples of every stage side by side",
        description=PREVIEW,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    preview.add_argument("run_folder", metavar="RUN", type=Path, help="runs/<name>, or a part of it; only read")
    preview.add_argument("--out", type=Path, metavar="HTML", help="default: RUN/preview.html")
    preview.add_argument("--samples", type=int, default=10, metavar="N", help="most samples per stage, 5 to 10")
    preview.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """0 when there is at least one sample."""
    from noescape.report.preview import write_preview

    out = args.out or args.run_folder / "preview.html"
    done = write_preview(args.run_folder, out, samples=args.samples)
    for title, count in done.shown.items():
        left = f", {done.left_out[title]} left out" if done.left_out[title] else ""
        print(f"{title}: {count} samples{left}")
    print(f"look at: {out}")
    return 0
