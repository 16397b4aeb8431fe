"""`noescape deft`: the improvement loop and each of its stages, one small file per command."""

from __future__ import annotations

import argparse
import importlib
import importlib.util

# Order of the help page: the loop, then its stages as it goes through them, then what people do beside it.
PARTS = (
    "init", "preflight", "run", "status", "resume", "report",
    "rca", "route", "pool", "mine", "assemble", "validate", "gate",
    "labels", "plan_samples",
)  # fmt: skip

DESCRIPTION = """\
Find out what the change classifier misses, mine or generate what helps, train again, until the target is met.

  noescape deft plan-samples --claim 'far<0.1%' --confidence 95     how many parts such a claim takes
  noescape deft rca --inference inference.csv -e spec.yaml --out rca/
  noescape deft gate inference.csv --kpi-target 'far < 0.1 % at recall = 100 %'
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `deft` and its own subcommands."""
    parser = commands.add_parser(
        "deft",
        help="the improvement loop of the change classifier, and each stage of it",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parts = parser.add_subparsers(title="deft commands", metavar="COMMAND", required=True)
    for name in PARTS:
        if importlib.util.find_spec(f"noescape.cli.deft.{name}"):
            importlib.import_module(f"noescape.cli.deft.{name}").register(parts)
