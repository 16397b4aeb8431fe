"""`noescape evaluate`: figures on a test set."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import Any

HELP = """\
Score the test images of a run's data set and compute every figure, each with its n and bounds.

  noescape evaluate --run-dir runs/patchcore/bracket/first
  noescape evaluate --run-dir R --compute-thresholds     thresholds anew, from the good training images
"""


def register(commands: Any) -> None:
    """Add the command."""
    p = commands.add_parser(
        "evaluate", help="figures on a test set", description=HELP, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("--run-dir", type=Path, required=True)
    p.add_argument("--data-root", type=Path, help="other place of the data set, or other test images")
    p.add_argument("--compute-thresholds", action="store_true", help="first compute thresholds.json again")
    p.add_argument("--threshold-source", choices=("heldout", "train"), help="with --compute-thresholds")
    p.add_argument("--include-uncertain", action="store_true", help="count test/uncertain as defective")
    p.add_argument("--precision", choices=("f32", "bf16", "auto"))
    p.add_argument("--device", help="accepted for compatibility; evaluation runs on the CPU runtime")
    p.add_argument("--json", action="store_true", help="print metrics.json")
    p.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Evaluate and print the figures."""
    from noescape.anomaly.evaluate import evaluate
    from noescape.anomaly.recompute import recompute_thresholds
    from noescape.cli.figures import metric_lines, unusual_lines
    from noescape.cli.progress import tell
    from noescape.files import dump_json

    if args.compute_thresholds:
        recompute_thresholds(args.run_dir, source=args.threshold_source, root=args.data_root, tell=tell)
    metrics = evaluate(
        args.run_dir,
        tell=tell,
        include_uncertain=args.include_uncertain,
        precision=args.precision,
        root=args.data_root,
    )
    if args.json:
        print(dump_json(metrics), end="")
    else:
        print("\n".join([*metric_lines(metrics), *unusual_lines(args.run_dir, metrics)]))
        print(f"figures: {args.run_dir / 'metrics.json'}   scores: {args.run_dir / 'preds_test.jsonl'}")
        elsewhere = f" --data-root {shlex.quote(str(args.data_root))}" if args.data_root else ""
        print(f"next: noescape predict --run-dir {shlex.quote(str(args.run_dir))}{elsewhere}")
    return 0
