"""`noescape compare`: two evaluated runs side by side."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

HELP = """\
Put two evaluated runs side by side: figures with their bounds, what the same images allow to say about the
difference, and the same pictures seen by both.

  noescape compare --run-dir-a runs/padim/bracket/one --run-dir-b runs/patchcore/bracket/one --output-dir comparison

Runs are compared only on the same images by the same evaluator. One is called better only where the interval of the
difference, on the same images, excludes 0.
"""


def register(commands: Any) -> None:
    """Add the command."""
    p = commands.add_parser(
        "compare", help="two runs side by side", description=HELP, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("--run-dir-a", type=Path, required=True, metavar="A")
    p.add_argument("--run-dir-b", type=Path, required=True, metavar="B")
    p.add_argument("--output-dir", type=Path, required=True, metavar="OUT")
    p.add_argument("--data-root", type=Path, help="another place of the data set than when A was fitted")
    p.add_argument("--no-samples", action="store_true", help="figures alone: needs no images")
    p.add_argument("--json", action="store_true", help="print comparison_report.json")
    p.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Compare and say what came out."""
    from noescape.anomaly.compare import REPORT, SAMPLES, TABLE, compare
    from noescape.cli.data_text import printed
    from noescape.cli.progress import tell
    from noescape.files import dump_json

    report = compare(
        args.run_dir_a, args.run_dir_b, args.output_dir, root=args.data_root, draw=not args.no_samples, tell=tell
    )
    if args.json:
        print(dump_json(report), end="")
        return 0
    n, names = report["n"], [report[side]["label"] for side in "ab"]
    print(f"{names[0]} and {names[1]} on the same {n['good']} good and {n['defect']} defective images")
    print("\n".join(f"  {printed(line)}" for line in report["what_n_allows"]))
    print(f"table: {args.output_dir / TABLE}   all numbers: {args.output_dir / REPORT}")
    if report["samples"]:
        print(f"look at: {args.output_dir / SAMPLES / 'side_by_side.png'}")
    return 0
