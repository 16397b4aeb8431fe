"""`noescape deft run`: pre-flight, one question, then the whole loop."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from noescape.deft.preflight import Preflight
    from noescape.deft.workspace import Run, Workspace

DESCRIPTION = """\
Check everything, show what would be done, wait for go; then run without another question until the target is met, all
iterations are done, or a hard stop fires. Nothing is written before go.

  noescape deft run --workspace W                                   asks
  noescape deft run --workspace W --yes --max-iterations 2          does not
  noescape deft run --workspace W --dry-run                         checks and shows, and that is all
  noescape deft run --workspace W --yes --control random            a random arm at equal budget beside it
  noescape deft run --workspace W --yes --set select=knn --set train.num_epochs=3

A run that was killed is gone on with. Exit code 0 whatever the KPI (`noescape deft gate` asks), 1 when the work failed
or something is missing, 2 for wrong use.
"""
ON_OSMO = """\
The same loop as an OSMO workflow, one task per iteration; each ends at once when the target is met:

  noescape flow show deft_loop                                      its knobs
  noescape flow run deft_loop --set workspace={workspace} …         here, as local processes
  noescape flow submit deft_loop --set workspace=<url of the workspace> …     on the cluster

In the tasks: noescape deft run --workspace W --yes --stop-after baseline, then per iteration
noescape deft resume --workspace W --stop-after iterN, and resume without it to report and hand over.
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `run`."""
    parser = commands.add_parser(
        "run",
        help="pre-flight, go, and the whole loop",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--workspace", type=Path, default=Path("~/workspace"), metavar="W", help="default ~/workspace")
    parser.add_argument("--on", choices=("local", "osmo"), default="local", help="osmo: print how (default local)")
    parser.add_argument("--max-iterations", type=int, metavar="N", help="default 3")
    parser.add_argument("--kpi-target", metavar="TEXT", help="default 'far < 0.1 %% at recall = 100 %%'")
    parser.add_argument("--control", choices=("none", "random"), help="a second arm at equal budget (default none)")
    parser.add_argument(
        "--set", action="append", default=[], dest="knobs", metavar="K=V", help="a knob, or a key of the spec"
    )
    parser.add_argument("--stop-after", metavar="ITER", help="end after baseline, iter1, …; a later run goes on")
    parser.add_argument("--new", action="store_true", help="a new run, also where one is not finished")
    parser.add_argument("--yes", action="store_true", help="go, without asking")
    parser.add_argument("--dry-run", action="store_true", help="pre-flight only")
    parser.add_argument(
        "--json", action="store_true", help="the pre-flight (with --dry-run) or the end as JSON on stdout"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """0 after a regular end, whatever the KPI."""
    from noescape.deft.loop import unfinished
    from noescape.deft.loop_settings import contradictions, settings
    from noescape.deft.preflight import preflight
    from noescape.deft.preflight_text import lines
    from noescape.deft.state import read_state
    from noescape.deft.workspace import Workspace
    from noescape.files import dump_json
    from noescape.records import UsageError

    workspace = Workspace.open(args.workspace.expanduser())
    if args.on == "osmo":
        print(ON_OSMO.format(workspace=workspace.root), end="")
        return 0
    given = settings(
        kpi_target=args.kpi_target, max_iterations=args.max_iterations, control=args.control, knobs=args.knobs
    )
    stop_after = checked_stop(args.stop_after)
    old = None if args.new else unfinished(workspace)
    said = args.kpi_target or args.max_iterations is not None or args.control or args.knobs
    if old is not None and said:
        differ = contradictions(read_state(old.state), given, workspace)
        if differ:
            raise UsageError(
                f"{old.folder.name} is not finished and was started otherwise ({'; '.join(differ)}): leave these flags "
                "out to go on with it, or start another with --new"
            )
    found = preflight(workspace, old or workspace.new_run(), given)
    if args.json and args.dry_run:
        print(dump_json(found.to_json()), end="")
    else:
        print("\n".join(lines(found)), file=sys.stderr if args.json else sys.stdout, flush=True)
    if not found.ready:
        numbers = ", ".join(str(c.number) for c in found.checks if c.verdict == "missing")
        print(f"not ready: check {numbers}; nothing was written", file=sys.stderr)
        return 1
    if args.dry_run:
        return 0
    if not args.yes and not _asked():
        print("not started; nothing was written", file=sys.stderr)
        return 0
    from noescape.deft.loop import begin

    return go_on(workspace, old or begin(workspace, found.run, given), found, stop_after, as_json=args.json)


def go_on(workspace: Workspace, one: Run, found: Preflight, stop_after: str | None, *, as_json: bool) -> int:
    """Run a loop to its end; shared with `resume`."""
    from noescape.deft.loop import Loop, last_lines
    from noescape.deft.status import lines as status_lines
    from noescape.deft.status import status
    from noescape.files import dump_json

    out = sys.stderr if as_json else sys.stdout

    def say(line: str) -> None:
        print(line, file=out, flush=True)

    def tell(line: str) -> None:
        print(f"  {line}", file=sys.stderr, flush=True)

    if found.resuming:
        say(f"going on with {one.folder.name}; its last lines:")
        for line in last_lines(one):
            say(f"  {line}")
    Loop(workspace=workspace, run=one, say=say, tell=tell).go(stop_after)
    told = status(workspace, one)
    print(dump_json(told) if as_json else "\n".join(status_lines(told)), end="" if as_json else "\n")
    return 0


def checked_stop(name: str | None) -> str | None:
    """The iteration to stop after. UsageError for what is none."""
    from noescape.deft.state import order_of
    from noescape.records import UsageError

    if name is not None and order_of(name)[0] == 1 << 30:
        raise UsageError(f"--stop-after {name}: expected baseline, iter1, iter2, …")
    return name


def _asked() -> bool:
    """Whether the person at the terminal says go. UsageError without a terminal."""
    from noescape.deft.preflight_text import ASK, approves
    from noescape.records import UsageError

    if not sys.stdin.isatty():
        raise UsageError("there is no terminal to ask at: give --yes once the summary above is what you want")
    try:
        return approves(input(ASK))
    except EOFError:
        return False
