"""`noescape deft init`: a workspace for the improvement loop, from pairs of pictures."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

PARTS = ("base", "validation", "kpi", "blind", "pool")
DESCRIPTION = """\
Make a workspace: training, validation, KPI and blind rows, a pool to mine, and a spec. Panels and boards are never
divided between sets.

  noescape deft init --from deeppcb PCBData/ W           bare boards, as cells of 64 px
  noescape deft init --from pairs pairs/ W               what `noescape board pairs` wrote
  noescape deft init --from folders boards/ W            <board>/golden/, <board>/PASS/, <board>/<defect type>/
  noescape deft init --from deeppcb PCBData/ W --kpi group12300 --set noescape.trainer=mapnet
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `init`."""
    parser = commands.add_parser(
        "init",
        help="make a workspace from pairs of pictures",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--from", dest="kind", required=True, choices=("deeppcb", "pairs", "folders"))
    parser.add_argument("source", metavar="DATA", type=Path, help="where the pictures are")
    parser.add_argument("workspace", metavar="W", type=Path, help="a new or empty folder")
    for part in PARTS:
        parser.add_argument(
            f"--{part}", action="append", default=[], metavar="GROUP", help=f"put this group into {part}"
        )
    parser.add_argument("--light", metavar="NAME", help="which light's pictures to take (pairs)")
    parser.add_argument("--pass-per-pair", type=int, metavar="N", help="at most N PASS cells of a pair (deeppcb)")
    parser.add_argument("--set", action="append", default=[], dest="overrides", metavar="KEY=VALUE", help="in the spec")
    parser.add_argument("--seed", type=int, default=42, help="which of groups of equal size goes where (default 42)")
    parser.add_argument("--json", action="store_true", help="what was made, as JSON on stdout")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """0 when the workspace is there."""
    from noescape.cli.progress import tell
    from noescape.deft.init_split import PARTS as ORDER
    from noescape.deft.init_write import Source, write_workspace
    from noescape.files import dump_json
    from noescape.records import UsageError

    if args.kind != "pairs" and args.light:
        raise UsageError("--light is for --from pairs")
    if args.pass_per_pair is not None and (args.kind != "deeppcb" or args.pass_per_pair < 1):
        raise UsageError("--pass-per-pair is for --from deeppcb, at least 1")
    if args.workspace.resolve().is_relative_to(args.source.resolve()):
        raise UsageError(f"{args.workspace} lies in {args.source}: choose a workspace outside of the data")

    def source() -> Source:
        if args.kind == "deeppcb":
            from noescape.deft.init_deeppcb import from_deeppcb

            return from_deeppcb(args.source, pass_per_pair=args.pass_per_pair)
        if args.kind == "pairs":
            from noescape.deft.init_pairs import from_pairs

            return from_pairs(args.source, light=args.light)
        from noescape.deft.init_folders import from_folders

        return from_folders(args.source)

    given = {part: getattr(args, part) for part in PARTS if getattr(args, part)}
    made = write_workspace(source(), args.workspace, given=given, overrides=args.overrides, seed=args.seed, tell=tell)
    for note in made.notes:
        print(note, file=sys.stderr)
    if args.json:
        print(dump_json(made.to_json()), end="")
        return 0
    for part in ORDER:
        if part in made.labels:
            counts = ", ".join(f"{n} {label}" for label, n in made.labels[part].items())
            print(f"{part:<10} {sum(made.labels[part].values()):>7} rows: {counts}  ({', '.join(made.groups[part][:5])}"
                  f"{' …' if len(made.groups[part]) > 5 else ''})")  # fmt: skip
    if "blind" not in made.labels:
        print("blind      none: too few groups; the KPI set alone judges, and it is a development set")
    print(f"next: noescape deft run --workspace {args.workspace}")
    return 0
