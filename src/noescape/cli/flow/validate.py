"""`noescape flow validate`: every problem of a workflow file at once, each with its line, without any cluster."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from noescape.flow.format.load import Loaded

DESCRIPTION = """\
Check a workflow without running it: template, names, order, tokens, resources, urls, and what a submit would do to
it. All problems are told at once, each with its line. A knob that the flow cannot do without and that is not given
is shown as <knob> with a warning; `run` and `submit` refuse it.

  noescape flow validate my_flow.yaml
  noescape flow validate inspect_folder --for osmo --set dig_url_root=s3://bucket/dig
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `validate`."""
    parser = commands.add_parser(
        "validate",
        help="check a workflow file, all problems at once",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("flow", metavar="FILE|NAME", help="a workflow file, or the name of a flow (see `flow list`)")
    parser.add_argument(
        "--for",
        dest="target",
        choices=("local", "osmo"),
        default="local",
        help="where it is to run; osmo refuses folders, more than 20 tasks and what a second rendering breaks",
    )
    parser.add_argument(
        "--set", nargs="+", action="extend", default=[], metavar="K=V", help="values (numbers are cast)"
    )
    parser.add_argument("--set-string", nargs="+", action="extend", default=[], metavar="K=V", help="values, as text")
    parser.add_argument("--json", action="store_true", help="problems as JSON on stdout")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """0 when it can run (warnings allowed), 2 when something must be mended."""
    from noescape.flow.format.load import load

    path, required = _flow(args.flow)
    sets = list(args.set)
    if not any(word.partition("=")[0] == "name" for word in (*sets, *args.set_string)):
        sets.insert(0, "name=name-00000000")  # every run and submission gets a fresh one
    loaded = load(
        path, sets=sets, string_sets=args.set_string, target=args.target, required=required, placeholders=True
    )
    if args.json:
        _print_json(loaded, args.target)
    else:
        _print_words(loaded, args.target)
    return 2 if loaded.failed else 0


def _flow(name: str) -> tuple[Path, list[str]]:
    """The file and the knobs it cannot do without; a name is looked up among the flows that there are."""
    from noescape.flow.cards import catalog
    from noescape.records import UsageError

    flow = catalog.find(name)
    if flow.path is None:
        raise UsageError(catalog.planned(flow))
    knobs = flow.card.knobs if flow.card else {}
    return flow.path, [knob for knob, spec in knobs.items() if spec.load_bearing and not spec.stamp]


def _print_json(loaded: Loaded, target: str) -> None:
    import json
    from dataclasses import asdict

    tasks = [task.name for task in loaded.workflow.tasks] if loaded.workflow else []
    answer = {
        "file": str(loaded.path),
        "for": target,
        "valid": not loaded.failed,
        "tasks": tasks,
        "problems": [asdict(problem) for problem in loaded.problems],
    }
    print(json.dumps(answer, indent=1))


def _print_words(loaded: Loaded, target: str) -> None:
    for problem in loaded.problems:
        print(problem, file=sys.stdout if problem.level == "error" else sys.stderr)
    errors = sum(problem.level == "error" for problem in loaded.problems)
    if errors:
        print(f"{'1 problem' if errors == 1 else f'{errors} problems'} to mend before it can run ({target})")
        return
    tasks = loaded.workflow.tasks if loaded.workflow else ()
    groups = loaded.workflow.groups if loaded.workflow else ()
    many = f"{len(tasks)} task{'s' * (len(tasks) != 1)} in {len(groups)} group{'s' * (len(groups) != 1)}"
    print(f"{loaded.path}: valid for {target}" + (f", {many}" if tasks else ", as far as it can be known"))
