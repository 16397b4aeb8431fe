"""`noescape deft status`: where a loop stands."""

from __future__ import annotations

import argparse
from pathlib import Path


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `status`."""
    parser = commands.add_parser(
        "status",
        help="where a loop stands",
        description="Read state and log of a run, which may be running. Always 0; `noescape deft gate` judges.",
    )
    parser.add_argument("--workspace", type=Path, default=Path("~/workspace"), metavar="W", help="default ~/workspace")
    parser.add_argument("--run", dest="name", metavar="RUN", help="default: the newest")
    parser.add_argument("--json", action="store_true", help="as JSON on stdout")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """0 when the files could be read."""
    from noescape.deft.status import lines, status
    from noescape.deft.workspace import Workspace
    from noescape.files import dump_json

    workspace = Workspace.open(args.workspace.expanduser())
    runs = workspace.runs()
    if not runs and not args.name:
        nothing = dump_json({"workspace": str(workspace.root), "run": None})
        print(nothing if args.json else "no run yet\n", end="")
        return 0
    told = status(workspace, workspace.run(args.name) if args.name else runs[-1])
    print(dump_json(told) if args.json else "\n".join(lines(told)), end="" if args.json else "\n")
    return 0
