"""`noescape board import`: a KiCad board into a USD stage that the other board commands read."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from noescape.board.cad.stage import Report

DESCRIPTION = """\
Make a scene of a board: its outline, copper, solder mask, silk and holes as pictures on a body, pads and solder as
meshes, and a part on each footprint, with labels (class, refdes, package) on all of them.

  noescape board import stick.kicad_pcb --out stick.usd
  noescape board import stick.kicad_pcb --out stick_back.usd --side bottom
  noescape board import stick.kicad_pcb --out stick.usd --models ~/kicad/3dmodels --cache-dir ~/.cache/models

Parts come from a library of packages (chips, SOT, SOIC, QFP, QFN, BGA, electrolytics, connectors, through-hole parts).
Where it has none, the model that the board names is taken if you have the file (--models, ${KICAD6_3DMODEL_DIR} and the
like, or the board's own folder), else a box of what the footprint draws. The report says which.
"""
EPILOG = """\
Written: the stage and <name>_textures/ beside it (albedo, metallic, roughness). The same board gives the same bytes.
KiCad 6 is proven on real boards; 7 to 9 are read by their published format; older ones as far as they go.
Exit codes: 0 written; 1 the board cannot be read (an open outline is named with its place); 2 wrong use.
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `import`."""
    parser = commands.add_parser(
        "import",
        help="a KiCad board into a scene (USD)",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("board", type=Path, metavar="BOARD.kicad_pcb")
    parser.add_argument("--out", required=True, type=Path, metavar="FILE.usd", help="the stage to write")
    parser.add_argument("--side", choices=("top", "bottom"), default="top", help="which side looks up (default top)")
    parts = parser.add_argument_group("parts")
    parts.add_argument(
        "--models",
        nargs="+",
        type=Path,
        default=[],
        metavar="DIR",
        help="folders that hold KiCad's 3dmodels (.wrl, .step)",
    )
    parts.add_argument("--prefer-models", action="store_true", help="take a model also where the library has a package")
    parts.add_argument("--cache-dir", type=Path, metavar="DIR", help="keep the meshes of models here for the next time")
    look = parser.add_argument_group("look")
    look.add_argument(
        "--px-per-mm", type=float, metavar="N", help="of the pictures (default: 8 to 60, by the size of the board)"
    )
    look.add_argument("--mask", choices=("green", "red", "blue", "black", "white", "yellow", "purple"),
                      help="colour of the solder mask (default: as the board says, else green)")  # fmt: skip
    look.add_argument("--finish", choices=("gold", "tin", "copper"), help="of bare copper (default: as the board says)")
    parser.add_argument("--json", action="store_true", help="the report as JSON on stdout")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Read, place, write; then say what stands on the board and what had to be guessed."""
    from dataclasses import asdict

    from noescape.board.cad.kicad import read_kicad
    from noescape.board.cad.models import Models
    from noescape.board.cad.stage import Look, write_stage
    from noescape.cli.progress import tell
    from noescape.files import dump_json
    from noescape.records import UsageError

    if args.out.suffix.lower() not in (".usd", ".usdc"):
        raise UsageError(f"--out {args.out}: expected a name that ends in .usd or .usdc")
    if not args.board.exists():
        raise UsageError(f"{args.board}: no such file")
    for folder in args.models:
        if not folder.is_dir():
            raise UsageError(f"--models {folder}: no such folder")
    models = Models(args.board, args.models, args.cache_dir)
    report = write_stage(
        read_kicad(args.board),
        args.out,
        side=args.side,
        models=models,
        look=Look(px_per_mm=args.px_per_mm, mask=args.mask, finish=args.finish),
        prefer_models=args.prefer_models,
        progress=tell,
    )
    if args.json:
        sys.stdout.write(
            dump_json({"board": str(args.board), "out": str(args.out), "side": args.side, **asdict(report)})
        )
    else:
        print("\n".join(_lines(args.out, report)))
    return 0


def _lines(out: Path, report: Report) -> list[str]:
    width, height = report.size_mm
    placed = sum(report.placed.values())
    lines = [
        f"{out}: {width:g} x {height:g} mm, {placed} parts, {report.pads} pads, {report.joints} joints, "
        f"{report.triangles:,} triangles, {report.px_per_mm:g} px/mm",
        f"  parts: {report.placed['package']} from the library, {report.placed['model']} from models, "
        f"{report.placed['box']} as boxes; " + ", ".join(f"{n} {name}" for name, n in report.classes.items()),
    ]
    boxes = [f"{name}: {', '.join(owners)}" for name, owners in report.boxes.items()]
    lines += _listed("  boxes stand for footprints that no package and no model fits", boxes)
    lines += _listed("  nothing stands on", [f"{name} ({reason})" for name, reason in report.bare.items()])
    lines += _listed("  model files that are not there (--models DIR)", report.missing_models)
    lines += _listed("  model files that cannot be read", [f"{n}: {why}" for n, why in report.broken_models.items()])
    return lines + [f"  note: {notice}" for notice in report.notices]


def _listed(title: str, items: list[str], most: int = 8) -> list[str]:
    if not items:
        return []
    more = [f"    … and {len(items) - most} more (all of them: --json)"] if len(items) > most else []
    return [f"{title}: {len(items)}", *(f"    {item}" for item in items[:most]), *more]
