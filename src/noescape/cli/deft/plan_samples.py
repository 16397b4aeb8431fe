"""`noescape deft plan-samples`: how many parts a claim takes."""

from __future__ import annotations

import argparse

from noescape.cli.deft.flags import add_parser, finish

DESCRIPTION = """\
How many parts must be looked at before a rate can be claimed, and how likely the claim is to succeed.

  noescape deft plan-samples --claim 'far<0.1%' --confidence 95
  noescape deft plan-samples --claim 'recall>99%'
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `plan-samples`."""
    parser = add_parser(commands, "plan-samples", "how many parts a claim takes", DESCRIPTION)
    parser.add_argument("--claim", required=True, metavar="TEXT", help="like 'far<0.1%%', 'miss<1%%', 'recall>99%%'")
    parser.add_argument("--confidence", type=float, default=95.0, metavar="PCT", help="one-sided, percent (default 95)")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from noescape.deft.plan_samples import plan_samples

    plan = plan_samples(args.claim, args.confidence)
    finish(args, plan.to_json(), plan.lines())
    return 0
