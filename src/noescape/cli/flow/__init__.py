"""`noescape flow`: workflows in the OSMO format, here or on a cluster; one small file per group of commands."""

from __future__ import annotations

import argparse
import importlib

# Order of the help page: choose, check, run, watch, keep.
PARTS = ("catalog", "validate", "preflight", "run", "cluster", "runs", "data")

DESCRIPTION = """\
Run a workflow written in the OSMO format as processes on this machine, or submit the very same file to a cluster.

  noescape flow list                                    which flows there are
  noescape flow plan inspect_folder                     what it needs, makes and costs
  noescape flow run inspect_folder --set dig_url_root=work data=parts/
  noescape flow watch inspect_folder-1a2b3c4d-1         a live table; `resume` goes on after a crash
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `flow` and its own subcommands."""
    parser = commands.add_parser(
        "flow",
        help="run workflows in the OSMO format here or on a cluster",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parts = parser.add_subparsers(title="flow commands", metavar="COMMAND", required=True)
    for name in PARTS:
        importlib.import_module(f"noescape.cli.flow.{name}").register(parts)
