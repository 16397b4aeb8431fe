"""`noescape changenet`: compare a part with its golden, by a TAO-style classify spec."""

from __future__ import annotations

import argparse
import importlib

# Order of the help page: learn, judge, measure, hand over.
PARTS = ("train", "inference", "evaluate", "kpi", "export")

DESCRIPTION = """\
Train a classifier that compares a part with its golden, and run it: one spec file for all of it.

  noescape changenet train -e spec.yaml                               train into results_dir/train
  noescape changenet inference -e spec.yaml inference.checkpoint=M    inference.csv with siamese_score
  noescape changenet evaluate -e spec.yaml evaluate.checkpoint=M      accuracy, FAR at full recall, its bounds
  noescape changenet kpi results/inference                            the KPI of an inference.csv

Any key of the spec can be set on the command line: KEY=VALUE, like train.num_epochs=3.
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `changenet` and its own subcommands."""
    parser = commands.add_parser(
        "changenet",
        help="compare parts with their goldens: train, run, measure, export",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parts = parser.add_subparsers(title="changenet commands", metavar="COMMAND", required=True)
    for name in PARTS:
        importlib.import_module(f"noescape.cli.changenet.{name}").register(parts)
