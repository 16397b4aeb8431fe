"""`noescape flow runs list|show|rm|prune`: the runs of this machine, and making room."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from noescape.flow.engine.shelf import Kept


ABOUT = """\
The runs of this machine.

  noescape flow runs list
  noescape flow runs prune --keep 3     shows what would go, and asks
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands."""
    raw = argparse.RawDescriptionHelpFormatter
    told = "the runs of this machine: list, show, remove"
    runs = commands.add_parser("runs", help=told, description=ABOUT, formatter_class=raw)
    parts = runs.add_subparsers(title="commands", metavar="COMMAND", required=True)

    _part(parts, "list", "the runs there are, with status and size", run_list)
    p = _part(parts, "show", "where a run lies, what it was asked, how it stands", run_show)
    p.add_argument("id", metavar="ID")
    p = _part(parts, "rm", "remove runs", run_rm)
    p.add_argument("ids", metavar="ID", nargs="+")
    p.add_argument("--yes", action="store_true", help="do not ask; needed without a terminal")
    p = _part(parts, "prune", "remove old runs that have ended; shows what would go, and asks", run_prune)
    p.add_argument("--keep", type=int, metavar="N", help="keep the N newest of each workflow")
    p.add_argument("--older-than", metavar="TIME", help="only runs that ended longer ago, such as 7d or 12h")
    p.add_argument("--yes", action="store_true", help="do not ask; needed without a terminal")


def _part(
    parts: argparse._SubParsersAction[argparse.ArgumentParser], name: str, text: str, run: Any
) -> argparse.ArgumentParser:
    p = parts.add_parser(name, help=text, description=text.capitalize() + ".")
    p.add_argument("--runs-dir", type=Path, default=Path("flow-runs"), help="folder of runs (default: %(default)s)")
    p.add_argument("--json", action="store_true", help="as JSON")
    p.set_defaults(run=run)
    return p


def run_list(args: argparse.Namespace) -> int:
    """Print the table."""
    from noescape.files import dump_json
    from noescape.flow.engine.shelf import shelf

    found = shelf(args.runs_dir)
    if args.json:
        print(dump_json({"runs": [one.as_json() for one in found]}), end="")
        return 0
    if not found:
        print(f"no runs in {args.runs_dir}", file=sys.stderr)
    _table(found)
    return 0


def run_show(args: argparse.Namespace) -> int:
    """Print one run."""
    from noescape.files import dump_json
    from noescape.flow.engine.layout import find_run
    from noescape.flow.engine.shelf import look
    from noescape.flow.query import query
    from noescape.flow.watching.snapshot import read_query
    from noescape.flow.watching.view import status_lines

    run = find_run(args.runs_dir, args.id)
    one, facts = look(run), run.read_facts()
    facts.pop("token", None)
    if args.json:
        print(dump_json({**one.as_json(), "asked": facts}), end="")
        return 0
    print("\n".join(status_lines(read_query(query(run.path)))))
    print(f"\nfile:   {facts.get('file')}")
    for flag, key in (("--set", "sets"), ("--set-string", "string_sets")):
        if facts.get(key):
            print(f"{flag}: {' '.join(facts[key])}")
    print(f"begun:  {facts.get('created')} with noescape {facts.get('version')}")
    print(f"folder: {run.path} ({one.size_text})")
    if one.mend:
        print(f"note:   {one.mend}")
    return 0


def run_rm(args: argparse.Namespace) -> int:
    """Remove the named ones."""
    from noescape.flow.engine.layout import find_run
    from noescape.flow.engine.shelf import look

    return _remove([look(find_run(args.runs_dir, name)) for name in dict.fromkeys(args.ids)], args)


def run_prune(args: argparse.Namespace) -> int:
    """Remove what is old and ended."""
    from noescape.flow.engine.shelf import old_ones, shelf
    from noescape.flow.format.units import parse_duration
    from noescape.records import UsageError

    if args.keep is None and args.older_than is None:
        raise UsageError("prune: say what may go, with --keep N, --older-than 7d, or both")
    if args.keep is not None and args.keep < 0:
        raise UsageError(f"--keep: expected 0 or more, got {args.keep}")
    try:
        age = parse_duration(args.older_than) if args.older_than is not None else None
    except ValueError as error:
        raise UsageError(f"--older-than: {error}") from None
    return _remove(old_ones(shelf(args.runs_dir), keep=args.keep, older_than_s=age), args)


def _remove(chosen: list[Kept], args: argparse.Namespace) -> int:
    from noescape.files import dump_json
    from noescape.flow.engine.shelf import remove
    from noescape.records import UsageError, WorkError

    if not args.yes and chosen:
        _table(chosen, out=sys.stderr)
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise UsageError(f"{len(chosen)} runs would go, with all their outputs in them: add --yes to remove them")
        print(f"Remove these {len(chosen)} runs? [y/N] ", end="", file=sys.stderr, flush=True)
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            print("nothing removed", file=sys.stderr)
            return 1
    removed, problems = [], []
    for one in chosen:
        try:
            remove(one.run)
            removed.append(one)
        except WorkError as error:
            problems.append(str(error))
    if args.json:
        print(dump_json({"removed": [one.run.id for one in removed], "problems": problems}), end="")
    else:
        for one in removed:
            print(f"removed {one.run.id} ({one.size_text})")
        if not chosen:
            print("nothing to remove", file=sys.stderr)
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    return 1 if problems else 0


def _table(found: list[Kept], out: Any = None) -> None:
    rows = [("run", "status", "begun", "size", "")]
    rows += [(one.run.id, one.status, one.created, one.size_text, one.mend) for one in found] if found else []
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    for row in rows if found else []:
        print("  ".join([*(c.ljust(w) for c, w in zip(row[:4], widths, strict=True)), row[4]]).rstrip(), file=out)
