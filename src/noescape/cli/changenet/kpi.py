"""`noescape changenet kpi`."""

from __future__ import annotations

import argparse
from pathlib import Path

DESCRIPTION = """\
The KPI of a folder with an inference.csv: tables, summary.txt and pictures beside it.

  noescape changenet kpi results/inference/best_val
  noescape changenet kpi results/inference/best_val --group boardname --target 0.1%

The threshold is calibrated over all rows together; with --group the figures of each group stand beside it, since what
one group needs does not carry over to another.
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `kpi`."""
    p = commands.add_parser(
        "kpi", help="FAR at full recall of an inference.csv", description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    p.add_argument("folder", type=Path, metavar="DIR", help="folder with inference.csv")
    p.add_argument("--recall", type=float, default=1.0, help="share of defects that must be found (default 1)")
    p.add_argument("--group", default="", metavar="COLUMN", help="column that names the group of a row")
    p.add_argument("--target", metavar="RATE", help="say whether FAR is under this: 0.1%% or 0.001")
    p.add_argument("--json", action="store_true", help="print kpi.json")
    p.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """0 when it was measured, whatever came out."""
    from noescape.changenet.kpi_files import headline, write_kpi
    from noescape.files import dump_json
    from noescape.records import UsageError

    if not 0 < args.recall <= 1:
        raise UsageError(f"--recall: expected a number over 0 and at most 1, got {args.recall}")
    found = write_kpi(args.folder, recall=args.recall, group=args.group, target=_share(args.target))
    if args.json:
        print(dump_json(found.to_json()), end="")
        return 0
    print(headline(found))
    print(f"summary: {args.folder / 'summary.txt'}")
    return 0


def _share(text: str | None) -> float | None:
    from noescape.records import UsageError

    if text is None:
        return None
    try:
        value = float(text.rstrip("% ")) / (100 if text.rstrip().endswith("%") else 1)
    except ValueError:
        value = 0.0
    if not 0 < value < 1:
        raise UsageError(f"--target {text!r}: expected a rate like 0.1% or 0.001")
    return value
