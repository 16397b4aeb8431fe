"""`noescape defects choose`: which arm makes an inspector better on the user's own pictures."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

DESCRIPTION = """\
Train a small inspector with and without made defects, on your own pictures, and choose what helps on parts kept apart.

  noescape defects choose raw/ --output-dir chosen/ --dry-run     what would be done, and how long it takes
  noescape defects choose raw/ --output-dir chosen/               writes chosen/choice.json
  noescape defects finetune --dataset-dir raw/ --output-dir models/my_part --choice chosen/choice.json

DATA: AnomalyGen layout, or MVTec AD layout. Several pictures of one part must stay on one side of a split: groups.json
({"<path in the data set>": "<part>"}) in an MVTec folder or by --groups says which they are. A type needs 4 parts.
A killed or stopped run goes on from its last training.
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `choose`."""
    p = commands.add_parser(
        "choose",
        help="which way of making defects helps on your own pictures",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("data", type=Path, metavar="DATA", help="data set; only read")
    p.add_argument("--output-dir", type=Path, required=True, metavar="DIR", help="for choice.json, choice.md and rows/")
    p.add_argument("--category", metavar="NAME", help="which category of an MVTec AD folder")
    p.add_argument("--groups", type=Path, metavar="JSON", help="which pictures show the same part")
    p.add_argument("--figure", default="pixel_ap", metavar="NAME", help="what counts: pixel_ap (masks; default), "
                   "mean_type_ap, aupro, image_auroc (alarms) or recall_at_5")  # fmt: skip
    p.add_argument("--splits", type=int, default=4, metavar="N", help="draws of parts to teach and to test (default 4)")
    p.add_argument("--seeds", type=int, default=1, metavar="N", help="trainings of each arm on each split (default 1)")
    p.add_argument("--steps", type=int, default=300, metavar="N", help="steps of a training (default 300)")
    p.add_argument("--made", type=int, default=100, metavar="N", help="made pictures of each arm (default 100)")
    p.add_argument("--most-parts", type=int, default=5, metavar="N", help="parts of a type to teach with, at most")
    p.add_argument("--budget-minutes", type=float, metavar="MIN", help="stop after the split that would go beyond this")
    p.add_argument("--dry-run", action="store_true", help="say what would be done and how long it takes, and stop")
    p.add_argument("--json", action="store_true", help="print choice.json")
    p.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """0 when it was compared, whatever came out."""
    from noescape.cli.progress import tell
    from noescape.defects.gain.choose import ChooseOptions, choose, measure, plan, read_samples
    from noescape.defects.gain.compare import OURS
    from noescape.defects.gain.report import markdown
    from noescape.files import check_folder, dump_json, one_at_a_time, write_json, write_text

    options = ChooseOptions(
        figure=args.figure, splits=args.splits, seeds=args.seeds, steps=args.steps, made=args.made,
        most_parts=args.most_parts, budget_min=args.budget_minutes,
    )  # fmt: skip
    check_folder(args.output_dir)
    planned = plan(read_samples(args.data, args.category, args.groups), options, args.output_dir / "rows")
    shots = ", ".join(f"{kind} {n}" for kind, n in planned.tasks[0].protocol.shots.items())
    notes = [f"parts to teach with: {shots}", f"{planned.trainings} trainings, about {planned.minutes:.0f} CPU-minutes"]
    if planned.left_out:
        notes.append(f"left out, fewer than 4 parts: {', '.join(f'{k} ({n})' for k, n in planned.left_out.items())}")
    if planned.dropped:
        notes.append(f"left out, no mask or next to nothing marked: {len(planned.dropped)} picture(s)")
    print("\n".join(notes), file=sys.stderr)
    if args.dry_run:
        return 0
    advance, done = tell("comparing", planned.trainings), 0

    def on_row(_: object) -> None:
        nonlocal done
        done += 1
        advance(done)

    with one_at_a_time(args.output_dir):
        rows = measure(planned, options.budget_min, on_row)
        choice = choose(rows, options.figure, grouped=planned.grouped)
        choice |= {"left_out": dict(planned.left_out), "data": planned.tasks[0].identity}
        table = markdown(rows, OURS, gates=())
        write_json(args.output_dir / "choice.json", choice)
        write_text(args.output_dir / "choice.md", "\n".join([*choice["words"], "", table]))
    if args.json:
        print(dump_json(choice), end="")
        return 0
    print(table)
    print("\n".join(choice["words"]))
    print(f"choice: {args.output_dir / 'choice.json'}")
    return 0
