"""`noescape defects`: from a few examples to many labelled defect images, one small file per group of commands."""

from __future__ import annotations

import argparse
import importlib

# Order of the help page: look, place, learn, make, judge.
PARTS = (
    "setup",
    "validate",
    "place",
    "cookbook",
    "finetune",
    "generate",
    "label",
    "sheet",
    "score",
    "choose",
    "restyle",
)

DESCRIPTION = """\
Make labelled images of defects out of a few examples and some clean images.

  noescape defects validate raw/                        every problem of a data set at once
  noescape defects place --dataset-dir raw --num-sdg 30 --output-jsonl work/testcase.jsonl --preview
  noescape defects cookbook new my_part --from raw/     the training configuration of a use case of your own
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `defects` and its own subcommands."""
    parser = commands.add_parser(
        "defects",
        help="make labelled images of defects out of a few examples",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parts = parser.add_subparsers(title="defects commands", metavar="COMMAND", required=True)
    for name in PARTS:
        importlib.import_module(f"noescape.cli.defects.{name}").register(parts)
