"""`noescape board pairs`: good and defective renders of the same board as golden/input pairs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

DESCRIPTION = """\
Match two renders of one board, good and with pose defects, frame by frame and part by part, into pairs for a change
classifier: golden/, defect/, pass/, mask/ and pairs.csv in its 14 columns.

  noescape board pairs good/ defects/ --out pairs/                     one pair per defective component; and pairs of
                                                                       parts that nothing is wrong with (PASS)
  noescape board pairs good/ defects/ --out pairs/ --mode frame        whole frames
  noescape board pairs good/ defects/ --out pairs/ --pass-rows 50

Frames belong together by their cell and light. A frame without a partner is named and costs one line.
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `pairs`."""
    parser = commands.add_parser(
        "pairs",
        help="good and defective renders as golden/input pairs",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("good", metavar="GOOD", type=Path, help="what `board render` wrote without defects")
    parser.add_argument("defect", metavar="DEFECT", type=Path, help="the same cells with defects")
    parser.add_argument("--out", required=True, type=Path, metavar="DIR")
    parser.add_argument("--mode", choices=("component", "frame"), default="component", help="default component")
    parser.add_argument("--offset", type=int, default=10, metavar="PX", help="surroundings kept (default 10)")
    parser.add_argument("--min-coverage", type=float, default=0.2, metavar="SHARE", help="least labelled share (.2)")
    parser.add_argument("--pass-rows", type=_rows, metavar="N|all", help="most rows labelled PASS (default all)")
    parser.add_argument("--json", action="store_true", help="the counts as JSON on stdout")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """0 when there is at least one pair."""
    from noescape.board.crop.pairs import MARK, build_pairs
    from noescape.cli.progress import tell
    from noescape.files import dump_json, read_json_object
    from noescape.records import UsageError

    if not 0 <= args.offset <= 10_000 or not 0 <= args.min_coverage <= 1:
        raise UsageError(
            f"expected --offset of 0..10000 and --min-coverage of 0..1, got {args.offset} and {args.min_coverage}"
        )
    done = build_pairs(
        args.good,
        args.defect,
        args.out,
        mode=args.mode,
        offset=args.offset,
        min_coverage=args.min_coverage,
        pass_rows=args.pass_rows,
        tell=tell,
    )
    for problem in done.problems:
        print(f"left out: {problem}", file=sys.stderr)
    told = read_json_object(args.out / MARK, "the pairs that were written")
    if args.json:
        print(dump_json(told), end="")
        return 0
    counts = ", ".join(f"{n} {label}" for label, n in told["labels"].items())
    print(f"{told['rows']} pairs of {told['frames']} frames: {counts}")
    left = [f"{n} {why}" for why, n in told["skipped"].items() if n]
    if left:
        print(f"left out: {', '.join(left)}")
    print(f"table: {args.out / 'pairs.csv'}")
    return 0


def _rows(text: str) -> int | None:
    if text == "all":
        return None
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"expected a whole number or all, got {text!r}")
    return int(text)
