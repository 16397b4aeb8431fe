"""`noescape doctor`: what works here, what is missing, how to get it."""

from __future__ import annotations

import argparse
from typing import Any

HELP = """\
Say what works on this machine, what is missing, and how to get it. Each library does a tiny job with a known answer,
in a process of its own. Nothing is fetched, nothing is changed.

  noescape doctor
  noescape doctor --require openvino --require bf16     exit with 1 unless these work
  noescape doctor --require gpu --require shm=16Gi --require nvoptix --require disk=80Gi --require memory=32Gi
                                                        the same for what a task needs of its machine, in a second
"""


def register(commands: Any) -> None:
    """Add the command."""
    p = commands.add_parser(
        "doctor",
        help="what works here, what is missing",
        description=HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument(
        "--require",
        metavar="NAME[=AMOUNT]",
        action="append",
        default=[],
        help="exit with 1 unless this is ok (repeatable); shm, disk and memory take a size, gpu a number",
    )
    p.add_argument("--json", action="store_true", help="the checks as JSON")
    p.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Examine the machine and print what was found."""
    import sys
    from dataclasses import asdict

    from noescape.board.render import checks as renderers
    from noescape.features.doctor import QUICK, examine, required
    from noescape.files import dump_json

    wanted = required(args.require, renderers.NAMES)
    checks = examine(demands=wanted)
    if not wanted or any(demand.name not in QUICK for demand in wanted):
        checks = [*checks, *renderers.renderer_checks()]
    names = {demand.name for demand in wanted}
    failed = [check for check in checks if check.name in names and check.status != "ok"]
    if args.json:
        result = {
            "checks": [asdict(check) for check in checks],
            "required": [demand.text for demand in wanted],
            "failed": [check.name for check in failed],
        }
        print(dump_json(result), end="")
    else:
        print("\n".join(lines(checks)))
    for check in failed:
        fix = f"; {check.fix}" if check.fix else ""
        lacks = "missing" if check.status == "optional" else check.status  # what is required is not optional
        print(f"required but {lacks}: {check.name}: {check.detail}{fix}", file=sys.stderr)
    return 1 if failed else 0


def lines(checks: Any) -> list[str]:
    """The table for people: a block for each group, what to do below what needs it, and one closing line."""
    from noescape.cli.data_text import printed

    width = max(len(check.name) for check in checks)
    out, group = [], None
    for check in checks:
        if check.group != group:
            out += ["", check.group] if group else [check.group]
            group = check.group
        out.append(f"  {check.name:<{width}}  {check.status:<8}  {printed(check.detail)}")
        if check.fix:
            out.append(f"  {'':<{width}}  {'':<8}  → {printed(check.fix)}")
    bad = [check.name for check in checks if check.status in ("missing", "broken")]
    left = [check.name for check in checks if check.status == "optional"]
    out += ["", f"needs attention: {', '.join(bad)}" if bad else "everything that is needed works"]
    if left:
        out.append(f"optional, not here: {', '.join(left)}")
    return out
