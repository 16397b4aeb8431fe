"""`noescape board setup`: what the board flows start from."""

from __future__ import annotations

import argparse
from pathlib import Path

DESCRIPTION = """\
Put in place what the board flows read. Nothing is downloaded.

  noescape board setup assets --output-dir dig/datasets/pcb/assets      boards: scene, cookbook, a stand-in for a photo
  noescape board setup examples dig/datasets/pcb/assets --output-dir dig/datasets/pcb/raw
                                                                        bridges, excess solder, missing parts

A board of your own: `noescape board import my.kicad_pcb --out dig/datasets/pcb/assets/my/spark_lighting.usd`, and the
cookbook of a board like it beside that.
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `setup` and its parts."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = commands.add_parser(
        "setup", help="boards and examples for the flows", description=DESCRIPTION, formatter_class=raw
    )
    parts = parser.add_subparsers(title="parts", metavar="PART", required=True)
    p = parts.add_parser("assets", help="scenes of the boards that come along, their cookbooks, a picture each")
    p.add_argument("--boards", default="0603_H100,1152819000", metavar="LIST", help="default %(default)s")
    p.add_argument("--without-photos", action="store_true", help="no stand-ins for photos")
    _common(p)
    p.set_defaults(run=run_assets)
    p = parts.add_parser("examples", help="labelled examples of defects, rendered from those scenes")
    p.add_argument(
        "assets", type=Path, metavar="ASSETS", help="what `setup assets` wrote, boards of your own beside it"
    )
    p.add_argument("--per-type", type=int, default=6, metavar="N", help="examples of each defect (default %(default)s)")
    p.add_argument("--clean", type=int, default=20, metavar="N", help="clean images per texture (default %(default)s)")
    p.add_argument("--size", type=int, default=256, metavar="PX", help="side of a picture (default %(default)s)")
    p.add_argument("--spp", type=int, metavar="N", help="samples per pixel (default: the cookbook's)")
    _common(p)
    p.set_defaults(run=run_examples)


def _common(p: argparse.ArgumentParser) -> None:
    p.add_argument("--engine", choices=("auto", "mitsuba", "toy", "blender"), default="auto")
    p.add_argument("--seed", type=int, default=42, help="default %(default)s")
    p.add_argument("--output-dir", type=Path, required=True, metavar="OUT", help="an empty or new folder")


def run_assets(args: argparse.Namespace) -> int:
    """Import, copy, render one picture each."""
    from noescape.board.render.engine import renderer
    from noescape.board.setup.assets import write_assets

    boards = [name for name in args.boards.split(",") if name]
    write_assets(boards, args.output_dir, renderer(args.engine), seed=args.seed, photos=not args.without_photos)
    print(f"{args.output_dir}: {', '.join(boards)}")
    if not args.without_photos:
        print(f"{args.output_dir / 'input_real_image'}: stand-ins, no photos; put your own there")
    return 0


def run_examples(args: argparse.Namespace) -> int:
    """Spoil boards on purpose, render before and after."""
    from dataclasses import replace

    from noescape.board.render.engine import renderer
    from noescape.board.setup.assets import SCENE, open_site
    from noescape.board.setup.examples import TYPES, make_examples
    from noescape.board.setup.spoil import TEXTURES
    from noescape.cli.progress import tell
    from noescape.records import DataError, UsageError

    if min(args.per_type, args.clean) < 1 or args.size < 64:
        raise UsageError("expected --per-type and --clean of at least 1 and --size of at least 64")
    homes = sorted(path.parent for path in args.assets.glob(f"*/{SCENE}"))
    if not homes:
        raise DataError(f"{args.assets}: no <board>/{SCENE} in it; `noescape board setup assets` makes some")
    sites = [open_site(home) for home in homes]
    if args.spp:
        tracing = sites[0].config.pathtracing.model_copy(update={"total_spp": args.spp})
        sites = [replace(s, config=s.config.model_copy(update={"pathtracing": tracing})) for s in sites]
    total = args.per_type * len(TYPES) + args.clean * len(set(TEXTURES.values()))
    made = make_examples(
        sites,
        args.output_dir,
        renderer(args.engine),
        per_type=args.per_type,
        clean=args.clean,
        size=args.size,
        seed=args.seed,
        step=tell("pictures", total),
    )
    told = ", ".join(f"{n} {key}" for key, n in sorted(made.counts.items()))
    print(f"{args.output_dir}: {told}; clean: {', '.join(f'{n} {t}' for t, n in made.clean.items())} (all rendered)")
    print(f"next: noescape defects validate {args.output_dir}")
    return 0
