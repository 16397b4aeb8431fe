"""`noescape predict`: inspect the test images of a run's own data set."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

HELP = """\
Inspect the test images of the data set that a run was fitted on, into <run-dir>/predictions/.

  noescape predict --run-dir runs/patchcore/bracket/first
"""


def register(commands: Any) -> None:
    """Add the command."""
    from noescape.cli.inspect import add_options

    p = commands.add_parser(
        "predict", help="inspect a run's own test images", description=HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    p.add_argument("--run-dir", type=Path, required=True)
    p.add_argument("--data-root", type=Path, help="other place of the data set, or other test images")
    add_options(p)
    p.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Predict the test set."""
    from noescape.anomaly.bundle import Bundle
    from noescape.anomaly.run_data import tested_data
    from noescape.cli.inspect import inspect_and_say

    dataset = tested_data(Bundle(args.run_dir), args.data_root)
    return inspect_and_say(dataset.test, dataset.root, args.run_dir, args.run_dir / "predictions", args)
