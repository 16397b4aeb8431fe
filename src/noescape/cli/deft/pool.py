"""`noescape deft pool`: production rows and pre-generated pairs as the one source that is mined."""

from __future__ import annotations

import argparse
from pathlib import Path

from noescape.cli.deft.flags import add_parser, add_spec, add_workspace, finish

DESCRIPTION = """\
Build the source pool of a workspace once: manifest.json, source_pool.{csv,parquet}, sdg_rows.csv and staged pictures.

  noescape deft pool --workspace W -e W/specs/baseline_spec.yaml --out W/results/run_20260129_150000/synth_pool
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `pool`."""
    parser = add_parser(commands, "pool", "build the source pool once", DESCRIPTION)
    add_workspace(parser)
    add_spec(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="inside the workspace")
    parser.add_argument(
        "--inline", action="store_true", help="defects are generated in the loop: no pre-generated pairs needed"
    )
    parser.add_argument("--force", action="store_true", help="replace a pool that is there")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from noescape.changenet.spec_file import load_spec
    from noescape.deft.pool import build_pool

    done = build_pool(args.workspace, args.out, load_spec(args.spec), inline=args.inline, force=args.force)
    c = done.counts
    finish(
        args, done.values, [f"{c['total_rows']} rows: {c['real_rows']} real, {c['sdg_rows']} synthetic", f"{args.out}"]
    )
    return 0
