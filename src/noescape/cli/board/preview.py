"""`noescape board preview`: one look at a board, or at every package in every kind of defect."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

DESCRIPTION = """\
One picture of a whole board from above under three-colour light; or a contact sheet of the parts library.

  noescape board preview board.usd --out board.png
  noescape board preview --packages --out sheet.png              rows: packages; columns: good, and what can go wrong
  noescape board preview --packages --only 0603,SOIC --px 256 --out chips.png
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `preview`."""
    parser = commands.add_parser(
        "preview",
        help="one look at a board, or at all packages",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("usd", metavar="BOARD.usd", type=Path, nargs="?", help="the stage to look at")
    parser.add_argument("--packages", action="store_true", help="the contact sheet instead of a board")
    parser.add_argument("--only", metavar="NAMES", default="", help="rows of the sheet, by pieces of their names")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.png", help="the picture to write")
    parser.add_argument(
        "--px", type=int, metavar="N", help="width of the board's picture (1600), of a sheet's tile (128)"
    )
    parser.add_argument("--spp", type=int, default=16, metavar="N", help="samples per pixel (16)")
    parser.add_argument("--engine", choices=("auto", "mitsuba", "toy", "blender"), default="auto")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Render and write."""
    from noescape.board.preview import board_picture, chosen, package_sheet
    from noescape.board.render.engine import renderer
    from noescape.cli.progress import tell
    from noescape.files import write_bytes
    from noescape.imaging import png_bytes
    from noescape.records import UsageError

    if args.packages == (args.usd is not None):
        raise UsageError("give a BOARD.usd or --packages, one of them")
    if args.only and not args.packages:
        raise UsageError("--only chooses rows of the sheet: it goes with --packages")
    if args.out.suffix.lower() != ".png":
        raise UsageError(f"--out {args.out}: the picture is a PNG; give a name that ends in .png")
    if args.px is not None and not 16 <= args.px <= 8192:
        raise UsageError(f"--px {args.px}: give 16 to 8192 pixels")
    if not 1 <= args.spp <= 4096:
        raise UsageError(f"--spp {args.spp}: give 1 to 4096 samples per pixel")
    if args.packages:
        rows = chosen([name.strip() for name in args.only.split(",") if name.strip()])
        if (args.px or 0) > 1024:
            raise UsageError(f"--px {args.px}: a tile of the sheet is at most 1024 pixels")
        picture = package_sheet(
            renderer(args.engine), rows=rows, px=args.px or 128, spp=args.spp, tell=tell("packages", len(rows))
        )
    else:
        picture, notices = board_picture(renderer(args.engine), args.usd, width=args.px or 1600, spp=args.spp)
        for notice in notices:
            print(notice, file=sys.stderr)
    write_bytes(args.out, png_bytes(picture))
    print(args.out)
    return 0
