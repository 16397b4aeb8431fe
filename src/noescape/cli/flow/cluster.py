"""`noescape flow submit|status|logs|cancel|fetch|watch`: a workflow on the cluster, and any run wherever it is."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from noescape.cli.flow.choices import add_flags, decide, pool

if TYPE_CHECKING:
    from noescape.flow.watching.anywhere import Run
    from noescape.flow.watching.snapshot import TaskState

SUBMIT = """\
Submit a workflow to the cluster, by the installed `osmo` command. Everything that can be checked without the cluster
is checked first; folders of this machine and open questions are refused. The run gets a fresh name, <flow>-<8 hex>,
unless `--set name=…` gives one.

  noescape flow submit inspect_folder --pool gpu --set dig_url_root=s3://bucket/dig data=s3://bucket/parts
"""
WATCH = """\
Watch a run until it ends: a live table on a terminal, a line per change in a pipe, JSON lines with --json. The last 200
lines of a log are shown only when a task fails, or is silent for longer than is normal for it. Ctrl-C ends the
watching, never the run. Exit code 0 if the run completed, else 1, with what to do. See docs/monitoring.md.

  noescape flow watch ID
"""
EXAMPLES = {
    "status": "noescape flow status ID --json        once, for programs",
    "logs": "noescape flow logs ID -t TASK -n 50   the last lines of one task",
    "cancel": "noescape flow cancel ID               asks first",
    "fetch": "noescape flow fetch ID results/       one folder for each task that has results",
}
ID = "id of a run of this machine (in the folder of runs, or a path), else of the cluster"


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands."""
    raw = argparse.RawDescriptionHelpFormatter
    p = commands.add_parser("submit", help="run a workflow on the cluster", description=SUBMIT, formatter_class=raw)
    p.add_argument("flow", metavar="NAME|FILE", help="a flow (`noescape flow list`) or a workflow file")
    p.add_argument("--pool", "-p", help="default: the one of `flow init`, of the file, of the osmo profile")
    add_flags(p)
    p.add_argument("--priority", type=str.upper, choices=("HIGH", "NORMAL", "LOW"), help="LOW may be preempted")
    p.add_argument("--dry-run", action="store_true", help="let the cluster render the file, run nothing")
    p.add_argument("--json", action="store_true", help="what the cluster answers, as JSON")
    p.set_defaults(run=run_submit)

    p = _of_a_run(commands, "status", "how a run stands", run_status)
    p.add_argument("--verbose", "-v", action="store_true", help="every try of every task, not only the last")
    p.add_argument("--json", action="store_true", help="the query JSON, with all its keys")

    p = _of_a_run(commands, "logs", "the end of a log", run_logs)
    p.add_argument("--task", "-t", help="default: the engine's notices here, all tasks on the cluster")
    p.add_argument("-n", type=int, default=200, metavar="LINES", help="how many lines (default: %(default)s)")
    p.add_argument("--retry-id", "-r", type=int, help="which try, from 0 (default: the last)")
    p.add_argument("--error", action="store_true", help="cluster: the error log of the task")
    p.add_argument("--json", action="store_true", help="lines as JSON")

    p = _of_a_run(commands, "cancel", "end a run before its time", run_cancel)
    p.add_argument("--yes", action="store_true", help="do not ask; needed without a terminal")
    p.add_argument("--message", "-m", help="why, for the record")
    p.add_argument("--force", action="store_true", help="cluster: remove its pods at once")
    p.add_argument("--json", action="store_true", help="the answer as JSON")

    p = _of_a_run(commands, "fetch", "bring the results of a run to a folder", run_fetch)
    p.add_argument("dest", type=Path, metavar="DEST", help="folder; each task with results gets one in it")
    p.add_argument("--task", "-t", nargs="+", default=[], help="only these tasks (also those whose output others read)")
    p.add_argument("--json", action="store_true", help="what came, as JSON")

    p = _of_a_run(commands, "watch", "watch a run until it ends", run_watch, description=WATCH)
    p.add_argument("--json", action="store_true", help="one JSON object a line")


def _of_a_run(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, text: str, run: Any, **more: Any
) -> argparse.ArgumentParser:
    about = f"{text.capitalize()}.\n\n  {EXAMPLES.get(name, '')}"
    raw = argparse.RawDescriptionHelpFormatter
    how: dict[str, Any] = {"description": about, "formatter_class": raw} | more
    p = commands.add_parser(name, help=text, **how)
    p.add_argument("id", metavar="ID", help=ID)
    p.add_argument("--runs-dir", type=Path, default=Path("flow-runs"), help="folder of runs (default: %(default)s)")
    p.add_argument("--cluster", action="store_true", help="ask the cluster, even if a run here has this id")
    p.set_defaults(run=run)
    return p


def run_submit(args: argparse.Namespace) -> int:
    """Check, submit, say what to do next."""
    from noescape.files import dump_json
    from noescape.flow.cards.catalog import find, planned
    from noescape.flow.cluster.osmo import find_osmo, refuse_secrets
    from noescape.flow.cluster.submit import prepare, submit
    from noescape.flow.watching.foreign import harmless, harmless_lines
    from noescape.records import UsageError

    refuse_secrets([*args.set, *args.set_string])
    flow = find(args.flow)
    if flow.path is None:
        raise UsageError(planned(flow))
    resolved = decide(flow, args, target="osmo")
    knobs = flow.card.knobs if flow.card else {}
    submission = prepare(
        flow.path,
        stem=flow.stem,
        pool=pool(args),
        sets=resolved.sets,
        string_sets=resolved.string_sets,
        priority=args.priority,
        required=[name for name, knob in knobs.items() if knob.load_bearing],
    )
    for note in resolved.notes:
        print(f"note: {note}", file=sys.stderr)
    for warning in submission.warnings:
        print(f"note: {warning}", file=sys.stderr)
    answer = submit(submission, find_osmo(), dry_run=args.dry_run)
    if args.json:
        plan = {"dry_run": True, "spec": answer.text, "name": submission.name}
        print(dump_json(answer.raw if answer.raw is not None else plan), end="")
        return 0
    if answer.id is None:
        print("\n".join(harmless_lines(answer.text)))
        print("dry run: rendered by the cluster, nothing was submitted", file=sys.stderr)
        return 0
    for warning in answer.warnings:
        print(f"note: {harmless(warning)}", file=sys.stderr)
    print(f"submitted: {harmless(answer.id)}")
    if answer.overview:
        print(f"overview:  {harmless(answer.overview)}")
    print(f"watch it:  noescape flow watch {harmless(answer.id)}")
    return 0


def run_status(args: argparse.Namespace) -> int:
    """One look; a run that failed is a result, so the exit code is 0."""
    from noescape.files import dump_json
    from noescape.flow.watching.snapshot import read_query
    from noescape.flow.watching.view import status_lines

    run = _find(args)
    query = run.query(verbose=args.verbose)
    if args.json:
        print(dump_json(dict(query)), end="")
        return 0
    snapshot = read_query(query, run_id=run.id)
    print("\n".join(status_lines(snapshot, verbose=args.verbose)))
    if not snapshot.ended and (mend := run.orphaned()):
        print(f"note: {mend}", file=sys.stderr)
    return 0


def run_logs(args: argparse.Namespace) -> int:
    """The end of a log: harmless on a terminal, as it was written in a pipe."""
    from noescape.files import dump_json
    from noescape.flow.watching.foreign import harmless, last_state
    from noescape.records import UsageError

    if args.n <= 0 or (args.retry_id or 0) < 0:
        raise UsageError("logs: -n takes a number of lines from 1 on, -r a try from 0 on")
    run = _find(args)
    logs = run.logs(args.task, retry_id=args.retry_id, error=args.error, lines=args.n)
    if args.json:
        print(dump_json({"run": run.id, "task": args.task, "lines": list(logs.lines), "cut": logs.cut}), end="")
        return 0
    terminal = sys.stdout.isatty()
    for line in logs.lines:
        print(harmless(last_state(line)) if terminal else line)
    return 0


def run_cancel(args: argparse.Namespace) -> int:
    """Ask first: what runs is lost, and its outputs are not uploaded."""
    from noescape.files import dump_json
    from noescape.flow.watching.anywhere import running
    from noescape.flow.watching.foreign import harmless
    from noescape.flow.watching.snapshot import read_query
    from noescape.records import UsageError

    run = _find(args)
    snapshot = read_query(run.query(), run_id=run.id)
    said = f"{run.id} has ended already ({harmless(snapshot.status)})"
    canceled = False
    if not snapshot.ended:
        at_work = ", ".join(map(harmless, running(snapshot)))
        facts = f"{run.id} is {harmless(snapshot.status)}; running now: {at_work or 'nothing'}"
        if not args.yes and not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise UsageError(f"{facts}. What runs is lost: add --yes to cancel it without being asked")
        if not args.yes and not _confirmed(facts):
            print("not canceled", file=sys.stderr)
            return 1
        said = run.cancel(message=args.message, force=args.force)
        canceled = True
    if args.json:
        print(dump_json({"run": run.id, "canceled": canceled, "message": said}), end="")
    else:
        print(said)
    return 0


def run_fetch(args: argparse.Namespace) -> int:
    """Fetch all there is; 1 if something could not be had."""
    from noescape.files import dump_json
    from noescape.flow.watching.fetch import fetch
    from noescape.flow.watching.foreign import harmless

    run = _find(args)
    rows = fetch(run, args.dest, tasks=args.task)
    if args.json:
        found = [{"task": r.task, "source": r.source, "folder": str(r.folder), "problem": r.problem} for r in rows]
        print(dump_json({"run": run.id, "results": found}), end="")
    else:
        for row in rows:
            if row.problem is None:
                print(f"{harmless(row.task)}: {row.folder}")
            else:
                print(f"{harmless(row.task)}: not fetched: {harmless(row.problem)}", file=sys.stderr)
    return 0 if all(row.problem is None for row in rows) else 1


def run_watch(args: argparse.Namespace) -> int:
    """Until it ends."""
    from noescape.flow.watching.watch import CLUSTER, LOCAL, TAIL_LINES, watch

    run = _find(args)

    def tail(task: TaskState) -> Sequence[str]:
        return run.logs(task.name, retry_id=task.retry_id, lines=TAIL_LINES).lines

    return watch(
        run.query,
        out=sys.stdout,
        as_json=args.json,
        tail=tail,
        life=run.life,
        orphaned=run.orphaned,
        quiet=_quiet(run),
        cadence=LOCAL if run.where == "local" else CLUSTER,
    ).exit_code


def _find(args: argparse.Namespace) -> Run:
    from noescape.flow.watching.anywhere import find_anywhere

    return find_anywhere(args.id, args.runs_dir, cluster=args.cluster)


def _quiet(run: Run) -> Mapping[str, float]:
    """Quiet windows of the card of the flow that this run was made from, if it can be told."""
    from noescape.flow.cards.catalog import find
    from noescape.records import NoescapeError

    try:
        stem = run.stem()
        card = find(stem).card if stem and "/" not in stem else None
    except (NoescapeError, OSError):
        return {}
    return {name: float(seconds) for name, seconds in card.quiet.items()} if card else {}


def _confirmed(facts: str) -> bool:
    print(f"{facts}. What runs is lost, and its outputs are not uploaded.", file=sys.stderr)
    print("Cancel it? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
