"""`noescape board centroid`: a placement table into boxes in pixels, one per part."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from noescape.board.cad.centroid import Centroid
    from noescape.board.cad.rois import Roi

DESCRIPTION = """\
Boxes of all parts in a picture of a board, out of the placement table (centroid, pick and place, CPL) that goes to the
assembler. No scene is needed: the size of the board and of a pixel will do.

  noescape board centroid board-top.pos --board board.usd --out rois.csv
  noescape board centroid CPL.csv --size 60 40 --px-per-mm 25 --out rois.csv
  noescape board centroid "Pick Place.txt" --size 60 40 --px-per-mm 25 --origin -10 5 --sizes sizes.csv --out r.csv

Read are KiCad (.pos, .csv), JLC (Designator, Mid X, Mid Y, Layer, Rotation) and Altium (.csv, .txt), in mm, mil or
inch, as UTF-8, UTF-16 or cp1252, with commas, semicolons, tabs or columns. Angles are counter-clockwise; those of the
bottom are taken as seen from above and turned (180 - angle) unless --bottom-seen-from below.
"""
EPILOG = """\
rois.csv: refdes, package, value, side, x0, y0, x1, y1 (pixels from the picture's top left corner; x1 and y1 are just
outside), x_mm, y_mm (from the board's lower left corner), width_mm, height_mm, angle, size_from.
With --board the origin is found by the parts that both know, and parts that disagree are named.
Exit codes: 0 written; 1 the table cannot be read or does not fit the board; 2 wrong use.
"""
COLUMNS = (
    "refdes", "package", "value", "side", "x0", "y0", "x1", "y1", "x_mm", "y_mm", "width_mm", "height_mm", "angle",
    "size_from",
)  # fmt: skip


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `centroid`."""
    parser = commands.add_parser(
        "centroid",
        help="a placement table into boxes in pixels",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("table", type=Path, metavar="FILE")
    parser.add_argument("--out", required=True, type=Path, metavar="ROIS.csv")
    parser.add_argument("--format", choices=("auto", "kicad", "jlc", "altium"), default="auto", help="default: auto")
    board = parser.add_argument_group("the board (one of --board, --size)")
    board.add_argument("--board", type=Path, metavar="BOARD.usd", help="a stage of `board import`")
    board.add_argument("--size", nargs=2, type=float, metavar=("W", "H"), help="of the board, mm")
    board.add_argument("--px-per-mm", type=float, metavar="N", help="of the picture (default: the board's textures')")
    board.add_argument("--origin", nargs=2, type=float, metavar=("X", "Y"),
                       help="the table's coordinates of the board's lower left corner, mm (with --size; default 0 0; "
                       "with --side bottom: of the corner that is lower left from there)")  # fmt: skip
    board.add_argument("--side", choices=("top", "bottom"), default="top", help="with --size (default top)")
    parts = parser.add_argument_group("parts")
    parts.add_argument(
        "--sizes", type=Path, metavar="CSV", help="package, width, height in mm (as it lies at 0 degrees)"
    )
    parts.add_argument("--margin", type=float, default=0.25, metavar="MM", help="round each part (default 0.25)")
    parts.add_argument("--bottom-seen-from", choices=("above", "below"), default="above",
                       help="how the table counts angles of the bottom (default above)")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="the boxes as JSON on stdout")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Read the table, find the board, write the boxes."""
    from noescape.board.cad.centroid import read_centroid
    from noescape.board.cad.rois import View, disagreeing, fitted, rois
    from noescape.board.cad.stage_facts import read_facts
    from noescape.files import dump_json, write_csv
    from noescape.records import UsageError

    if (args.board is None) == (args.size is None):
        raise UsageError("say where the parts lie: --board board.usd, or --size W H with --px-per-mm N")
    if args.size is not None and not (args.px_per_mm and min(args.size) > 0):
        raise UsageError("--size needs two lengths above 0 and --px-per-mm N")
    if args.px_per_mm is not None and not 0 < args.px_per_mm <= 10_000:
        raise UsageError(f"--px-per-mm {args.px_per_mm:g}: expected a number above 0")
    if args.board is not None and args.origin is not None:
        raise UsageError("--origin goes with --size; with --board the origin is found")
    if not args.table.is_file():
        raise UsageError(f"{args.table}: no such file")
    table = read_centroid(args.table, None if args.format == "auto" else args.format,
                          bottom_seen_from=args.bottom_seen_from)  # fmt: skip
    sizes = _sizes(args.sizes) if args.sizes is not None else None
    if args.board is not None:
        facts = read_facts(args.board)
        view, how = fitted(table.placements, facts)
        view = View(side=view.side, size=view.size, px_per_mm=args.px_per_mm or view.px_per_mm, origin=view.origin)
        found = rois(table.placements, view, margin_mm=args.margin, sizes=sizes, parts=facts.parts)
        words = disagreeing(found, facts.parts)
    else:
        x, y = args.origin or (0.0, 0.0)
        origin = (-x if args.side == "top" else x, -y)
        view, how = View(side=args.side, size=tuple(args.size), px_per_mm=args.px_per_mm, origin=origin), "as given"
        found = rois(table.placements, view, margin_mm=args.margin, sizes=sizes)
        words = []
    write_csv(args.out, COLUMNS, [_row(roi) for roi in found])
    summary = _summary(table, found, words, how)
    if args.json:
        boxes = [dict(zip(COLUMNS, _row(roi), strict=True)) for roi in found]
        sys.stdout.write(dump_json({"out": str(args.out), **summary, "rois": boxes}))
    else:
        print("\n".join(_lines(args.out, summary)))
    return 0


def _row(roi: Roi) -> list[object]:
    item = roi.placement
    millimetres = [round(v, 4) for v in (roi.x_mm, roi.y_mm, roi.width_mm, roi.height_mm, roi.angle)]
    return [item.refdes, item.package, item.value, item.side, *roi.box, *millimetres, roi.size_from]


def _sizes(path: Path) -> dict[str, tuple[float, float]]:
    from noescape.board.cad.tables import read_text, rows
    from noescape.records import DataError

    columns = {"package": ("package", "footprint"), "width": ("width", "length", "w"), "height": ("height", "h")}
    _, found, _ = rows(read_text(path)[0], columns, ("package", "width", "height"), str(path))
    try:
        return {row["package"]: (float(row["width"]), float(row["height"])) for row in found}
    except ValueError as error:
        raise DataError(f"{path}: {error}; expected package, width, height in mm") from None


def _summary(table: Centroid, found: list[Roi], words: list[str], how: str) -> dict[str, object]:
    guessed = sorted({roi.placement.package or "(no package)" for roi in found if roi.size_from == "guess"})
    return {
        "format": table.format,
        "encoding": table.encoding,
        "unit": table.unit,
        "placements": len(table.placements),
        "boxes": len(found),
        "origin": how,
        "outside": [roi.placement.refdes for roi in found if not roi.inside],
        "size_guessed": guessed,
        "disagreeing": words,
        "notices": list(table.notices),
    }


def _lines(out: Path, summary: dict[str, object]) -> list[str]:
    lines = [
        f"{out}: {summary['boxes']} boxes of {summary['placements']} parts ({summary['format']}, {summary['unit']}, "
        f"{summary['encoding']}; origin: {summary['origin']})"
    ]
    for key, title in (
        ("outside", "outside of the board (is the origin right?)"),
        ("size_guessed", "packages of unknown size, taken as 3 x 3 mm (--sizes)"),
        ("disagreeing", "not where the board has them"),
        ("notices", "rows left out"),
    ):
        items = summary[key]
        if isinstance(items, list) and items:
            lines.append(f"  {title}: {len(items)}: {', '.join(map(str, items[:8]))}{' …' if len(items) > 8 else ''}")
    return lines
