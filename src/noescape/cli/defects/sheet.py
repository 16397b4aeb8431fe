"""`noescape defects sheet`: generated defects beside real ones, on one picture."""

from __future__ import annotations

import argparse
from pathlib import Path

DESCRIPTION = """\
Look before you train: generated defects beside the real ones, type by type.

  noescape defects sheet raw/ out/ --out sheet.png
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `sheet`."""
    p = commands.add_parser(
        "sheet",
        help="generated defects beside real ones, on one picture",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("real", type=Path, metavar="REAL", help="data set in the AnomalyGen layout")
    p.add_argument("generated", type=Path, metavar="GENERATED", help="what `generate` wrote")
    p.add_argument("--out", type=Path, required=True, metavar="PNG")
    p.add_argument("--no-outlines", action="store_true", help="without the outline of the label")
    p.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Draw it."""
    from noescape.datasets.anomalygen import read_anomalygen
    from noescape.defects.generators.sheet import sheet_png
    from noescape.defects.generators.tree import read_tree
    from noescape.files import check_folder, write_bytes
    from noescape.records import UsageError

    if args.out.suffix.lower() != ".png":
        raise UsageError(f"--out {args.out}: the sheet is a PNG; name it {args.out.with_suffix('.png').name}")
    check_folder(args.out.parent)
    dataset = read_anomalygen(args.real, decode=False)
    write_bytes(args.out, sheet_png(dataset, read_tree(args.generated), outlines=not args.no_outlines))
    print(f"look at: {args.out}")
    return 0
