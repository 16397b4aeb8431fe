"""`noescape deft assemble`: the next training set."""

from __future__ import annotations

import argparse
from pathlib import Path

from noescape.cli.deft.flags import add_decisions, add_parser, add_spec, add_workspace, finish

DESCRIPTION = """\
Write train_combined_iterN.csv and its provenance: the last training set and what was mined. Nothing gets lost.

  noescape deft assemble --previous train/base/training_set.csv --mined mining_filter/mining_pool.csv \\
      --iteration 1 --out dataset/
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `assemble`."""
    parser = add_parser(commands, "assemble", "the next training set", DESCRIPTION)
    parser.add_argument(
        "--previous", type=Path, required=True, metavar="CSV", help="iteration 1: the base set, else the last"
    )
    parser.add_argument("--mined", type=Path, required=True, metavar="CSV", help="mining_pool.csv of `deft mine`")
    parser.add_argument("--iteration", type=int, required=True, metavar="N", help="from 1")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where results go")
    add_workspace(parser)
    add_spec(parser, required=False)
    add_decisions(parser)
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from noescape.changenet.spec_file import load_spec
    from noescape.deft.assemble import assemble

    done = assemble(
        args.previous,
        args.mined,
        args.out,
        iteration=args.iteration,
        workspace=args.workspace,
        spec=load_spec(args.spec) if args.spec else None,
        decisions=args.decisions,
    )
    told = {
        "csv": str(done.csv), "rows": done.rows, "previous": done.previous, "mined": done.mined,
        "dropped": [one.to_json() for one in done.dropped], "synthetic": done.synthetic, "labels": done.labels,
    }  # fmt: skip
    lines = [f"{done.rows} rows: {done.previous} from before, {done.mined} mined; {done.synthetic} synthetic"]
    lines += [f"{len(done.dropped)} left out, see {done.csv.stem}_dropped.csv"] if done.dropped else []
    lines += [done.decisions] if done.decisions else []
    finish(args, told, [*lines, str(done.csv)])
    return 0
