"""`noescape flow list|show|plan`: which flows there are, what they say about themselves, what a run would need."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from noescape.cli.flow import choices, init

if TYPE_CHECKING:
    from noescape.flow.cards.catalog import Flow

PLAN = """\
Everything about a run before it starts: what must be there and the command that makes it, the commands that run or
submit it, where results will lie, how many, how long, how large. Nothing is started, no cluster is needed.

  noescape flow plan good_image_generation --set dig_url_root=s3://bucket/dig --images 200
  noescape flow plan --defects bridge,tombstone --set dig_url_root=dig      picks the flows by what they make
"""
LIST = """\
The flows there are, and what each makes.

  noescape flow list
"""
SHOW = """\
A flow's card: knobs, needs, yield.

  noescape flow show inspect_folder
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands."""
    raw = argparse.RawDescriptionHelpFormatter
    p = commands.add_parser("list", help="the flows there are", description=LIST, formatter_class=raw)
    p.add_argument("--json", action="store_true", help="as JSON")
    p.set_defaults(run=run_list)

    p = commands.add_parser("show", help="what a flow says about itself", description=SHOW, formatter_class=raw)
    p.add_argument("flow", metavar="NAME|FILE", help="a flow (`noescape flow list`) or a workflow file")
    p.add_argument("--json", action="store_true", help="the whole card as JSON")
    p.set_defaults(run=run_show)

    p = commands.add_parser("plan", help="what a run needs, makes and costs", description=PLAN, formatter_class=raw)
    p.add_argument(
        "flow", metavar="NAME|FILE", nargs="?", help="a flow or a workflow file; without it --defects decides"
    )
    choices.add_flags(p)
    p.add_argument("--pool", "-p", help="pool of the cluster (default: the remembered one)")
    p.add_argument("--json", action="store_true", help="all facts as JSON")
    p.set_defaults(run=run_plan)
    init.register(commands)


def run_list(args: argparse.Namespace) -> int:
    """Print the table."""
    from noescape.files import dump_json
    from noescape.flow.cards.catalog import flows

    found = flows()
    if args.json:
        print(dump_json({"flows": [_row(flow) for flow in found]}), end="")
        return 0
    from noescape.flow.cards.show_text import list_text

    print(list_text(found), end="")
    return 0


def run_show(args: argparse.Namespace) -> int:
    """Print one card."""
    from noescape.files import dump_json
    from noescape.flow.cards.catalog import find

    flow = find(args.flow)
    if args.json:
        card = flow.card.model_dump(mode="json") if flow.card else None
        print(dump_json({**_row(flow), "card": card}), end="")
        return 0
    from noescape.flow.cards.show_text import show_text

    print(show_text(flow), end="")
    return 0


def run_plan(args: argparse.Namespace) -> int:
    """Print one plan, or two with one name."""
    from noescape.files import dump_json
    from noescape.flow.cards.plan import plan
    from noescape.flow.cards.plan_text import plan_text

    pool = choices.pool(args)
    plans = [plan(resolved, pool=pool) for resolved in choices.decide_all(args.flow, args)]
    if args.json:
        print(dump_json({"plans": [one.as_json() for one in plans]}), end="")
        return 0
    if len(plans) > 1:
        print(f"{len(plans)} flows with one name, {plans[0].name}: their results lie in one run folder\n")
    print("\n\n".join(plan_text(one) for one in plans), end="")
    return 0


def _row(flow: Flow) -> dict[str, object]:
    card = flow.card
    return {
        "flow": flow.stem,
        "state": "ready" if flow.ready else "planned",
        "kind": card.kind if card else "flow",
        "title": card.title if card else "",
        "makes": card.makes if card else "",
        "usecases": list(card.usecases) if card else [],
        "classes": list(card.classes) if card else [],
        "path": str(flow.path) if flow.path else None,
    }
