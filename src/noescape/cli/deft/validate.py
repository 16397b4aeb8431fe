"""`noescape deft validate`: is a training CSV what the trainer needs, and does it know the sets that judge it?"""

from __future__ import annotations

import argparse
from pathlib import Path

from noescape.cli.deft.flags import add_parser, add_spec, add_workspace, finish, held_out

DESCRIPTION = """\
Check a training CSV: columns, pictures, labels, and leakage against held-out sets (key, bytes, pictures, boards).

  noescape deft validate train_combined_iter1.csv -e spec.yaml --workspace W \\
      --held-out validation=train/base/validation_set.csv --held-out kpi=kpi/testing_set.csv

Exit codes: 0 nothing found, 1 problems or leaks, 2 wrong use.
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `validate`."""
    parser = add_parser(commands, "validate", "check a training CSV, and that nothing leaks", DESCRIPTION)
    parser.add_argument("csv", type=Path, metavar="CSV", help="training rows")
    add_spec(parser)
    add_workspace(parser)
    parser.add_argument("--images-dir", default=".", metavar="DIR", help="where its paths start, in the workspace")
    parser.add_argument("--held-out", action="append", default=[], type=held_out, metavar="NAME=CSV[@IMAGES_DIR]",
                        help="a set that training must not know (paths start at kpi/images unless said)")  # fmt: skip
    parser.add_argument("--keys-only", action="store_true", help="the documented key alone, no pictures and boards")
    parser.add_argument("--board-is-product", action="store_true", help="boardname names a product, not a specimen")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from dataclasses import asdict

    from noescape.changenet.rows import listed
    from noescape.changenet.spec_file import load_spec
    from noescape.deft.leakage import leakage, synthetic_rows
    from noescape.deft.leakage_key import Holdout
    from noescape.deft.places import KPI_IMAGES
    from noescape.deft.validate import validate

    spec = load_spec(args.spec)
    sets = [Holdout(name=n, csv=Path(csv), images_dir=images or KPI_IMAGES) for n, csv, images in args.held_out]
    keys = sets if args.keys_only else []
    problems = validate(args.csv, spec, keys, workspace=args.workspace, images_dir=args.images_dir)
    said, notes = [str(one) for one in problems], []
    leaks = []
    if sets and not args.keys_only and not any(p.code == "table" for p in problems):
        found = leakage(
            args.csv, sets, spec, args.workspace, images_dir=args.images_dir, boards=not args.board_is_product
        )
        leaks, notes = list(found.leaks), list(found.notes)
    said += [f"row {o.train_row}: is row {o.holdout_row} of {o.holdout} ({o.kind}: {o.detail})" for o in leaks]
    for one in sets:
        said += [
            f"{one.name}, row {number}: synthetic, {reason}"
            for number, reason in synthetic_rows(one, spec, args.workspace)
        ]
    told = {
        "problems": [asdict(p) for p in problems],
        "leaks": [asdict(o) for o in leaks],
        "notes": notes,
        "found": len(said),
    }
    title = f"{args.csv}: {len(said)} problem(s):" if said else f"{args.csv}: nothing found"
    finish(args, told, [listed(title, said), *notes])
    return 1 if said else 0
