"""`noescape board`: from CAD to labelled images of a board, one small file per command."""

from __future__ import annotations

import argparse
import importlib
import importlib.util

# Order of the help page: as the work goes.
PARTS = ("setup", "import_", "centroid", "preview", "render", "crop", "pairs", "align")

DESCRIPTION = """\
Labelled images of a board from its CAD alone; later, the first photo laid on them.

  noescape board import stick.kicad_pcb --out stick.usd     a scene: board, parts, solder, lights, labels
  noescape board preview stick.usd --out stick.png          one look at it
  noescape board render stick.usd --target pcba_target.yaml --config day0_image.yaml --out frames/
  noescape board crop frames/ --config day0_crop.yaml --out crops/
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `board` and its own subcommands."""
    parser = commands.add_parser(
        "board",
        help="labelled images of a board from its CAD",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parts = parser.add_subparsers(title="board commands", metavar="COMMAND", required=True)
    for name in PARTS:
        if importlib.util.find_spec(f"noescape.cli.board.{name}"):
            importlib.import_module(f"noescape.cli.board.{name}").register(parts)
