"""`noescape deft resume`: go on where a loop was stopped."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

DESCRIPTION = """\
Go on with a run that was killed, failed, or ended after one iteration. It was approved when it began, so nothing is
asked; the pre-flight checks are made again. Hard stops are never tried again.

  noescape deft resume --workspace W
  noescape deft resume --workspace W --run run_20260129_150000 --stop-after iter2
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `resume`."""
    parser = commands.add_parser(
        "resume",
        help="go on with a run that was stopped",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--workspace", type=Path, default=Path("~/workspace"), metavar="W", help="default ~/workspace")
    parser.add_argument("--run", dest="name", metavar="RUN", help="default: the newest")
    parser.add_argument("--stop-after", metavar="ITER", help="end after baseline, iter1, …")
    parser.add_argument("--json", action="store_true", help="the end as JSON on stdout")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """0 after a regular end, also where it had ended already."""
    from noescape.cli.deft.run import checked_stop, go_on
    from noescape.deft.log import read_log
    from noescape.deft.loop import is_over
    from noescape.deft.loop_plan import hard_stopped
    from noescape.deft.loop_settings import settings
    from noescape.deft.preflight import preflight
    from noescape.deft.preflight_text import lines
    from noescape.deft.workspace import Workspace
    from noescape.records import UsageError, WorkError

    workspace = Workspace.open(args.workspace.expanduser())
    stop_after = checked_stop(args.stop_after)
    runs = workspace.runs()
    if not runs:
        raise UsageError(f"{workspace.root}: no run to go on with; start one with `noescape deft run`")
    one = workspace.run(args.name) if args.name else runs[-1]
    if is_over(one):
        stop = hard_stopped(read_log(one.log))
        if stop:
            raise WorkError(f"{one.folder.name} ended with a {stop.summary}; start a new run with --new")
        print(f"{one.folder.name} has ended already; nothing to do", file=sys.stderr)
        return 0
    found = preflight(workspace, one, settings())
    if not found.ready:
        print("\n".join(lines(found)), file=sys.stderr)
        raise WorkError("something is missing, see above; nothing was changed")
    return go_on(workspace, one, found, stop_after, as_json=args.json)
