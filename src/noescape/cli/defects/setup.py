"""`noescape defects setup`: what the flows read, out of what you have: examples, base models, checkpoints."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

DESCRIPTION = """\
Put in place what the flows read. Nothing is downloaded: every folder is one that you have.

  noescape defects setup metal magnetic-tiles/ --output-dir raw/        5 examples with masks per type, 20 clean tiles
  noescape defects setup glass zips/ --output-dir raw/                  zips/ holds mobile_screen.zip
  noescape defects setup checkpoint glass --datasets-dir datasets/ --step 9000 --output-dir models/glass
  noescape defects setup pretrained --output-dir models/pretrained
"""
ZIP_NAME = "mobile_screen.zip"


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `setup` and its parts."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = commands.add_parser(
        "setup", help="examples and checkpoints for the flows", description=DESCRIPTION, formatter_class=raw
    )
    parts = parser.add_subparsers(title="parts", metavar="PART", required=True)
    p = parts.add_parser("metal", help="a few magnetic tiles, split by physical tile")
    p.add_argument("source", type=Path, metavar="SRC", help="the magnetic-tile set: MT_Free/Imgs, MT_Blowhole/Imgs, …")
    p.add_argument(
        "--test-share", type=float, default=0.5, metavar="F", help="of each type's tiles, kept for tests (default .5)"
    )
    _add_common(p, per_type=5)
    p.set_defaults(run=run_metal)

    p = parts.add_parser("glass", help="phone screens out of mobile_screen.zip")
    p.add_argument("source", type=Path, metavar="SRC", help=f"a folder that holds {ZIP_NAME}, a COCO export")
    p.add_argument("--masks", type=Path, metavar="DIR", help="<picture>_mask.png, where the zip has boxes alone")
    _add_common(p, per_type=20)
    p.set_defaults(run=run_glass)

    p = parts.add_parser(
        "checkpoint", help="fit the exemplar generator to the examples of a use case, if there are any"
    )
    p.add_argument("usecase", metavar="USECASE")
    p.add_argument("--datasets-dir", type=Path, required=True, metavar="DIR", help="holds USECASE/raw")
    p.add_argument("--step", type=int, required=True, metavar="N", help="the number that the checkpoint gets")
    p.add_argument("--output-dir", type=Path, required=True, metavar="OUT", help="stays empty without examples")
    p.set_defaults(run=run_checkpoint)

    p = parts.add_parser("pretrained", help="base models for GPUs, where you have some")
    p.add_argument("source", nargs="?", type=Path, metavar="SRC", help="folder with an inpainting model (diffusers)")
    p.add_argument("--require-model", action="store_true", help="an error without one")
    p.add_argument("--output-dir", type=Path, required=True, metavar="OUT")
    p.set_defaults(run=run_pretrained)


def _add_common(p: argparse.ArgumentParser, *, per_type: int) -> None:
    p.add_argument("--output-dir", type=Path, required=True, metavar="OUT", help="an empty or new folder")
    p.add_argument(
        "--per-type", type=int, default=per_type, metavar="N", help="examples of each type (default %(default)s)"
    )
    p.add_argument("--clean", type=int, default=20, metavar="N", help="clean images (default 20)")
    p.add_argument("--seed", type=int, default=42, help="of what is taken (default 42)")
    p.add_argument("--json", action="store_true", help="say what was taken as JSON")


def run_metal(args: argparse.Namespace) -> int:
    """Take the tiles, say which are left for tests."""
    from noescape.datasets.magnetic_few import take_few

    told = take_few(
        args.source,
        args.output_dir,
        per_type=args.per_type,
        clean=args.clean,
        test_share=args.test_share,
        seed=args.seed,
    )
    for line in told["skipped"]:
        print(f"note: {line}", file=sys.stderr)
    if not args.json:
        tiles = ", ".join(f"{kind} {n['learnt']} and {n['left']}" for kind, n in told["tiles"].items())
        print(f"physical tiles learnt from, and left for tests: {tiles}")
        print(f"which capture is what: {args.output_dir / 'captures.csv'}")
    return _say(told, args)


def run_glass(args: argparse.Namespace) -> int:
    """Unpack, take the screens, forget what was unpacked."""
    from noescape.datasets.mobile_screen import take_screens
    from noescape.files.fresh import fresh_folder
    from noescape.files.unzip import unzip
    from noescape.imaging import is_image_name
    from noescape.records import DataError

    archive = args.source / ZIP_NAME
    if not archive.is_file():
        there = (
            ", ".join(sorted(p.name for p in args.source.iterdir())[:5]) if args.source.is_dir() else "no such folder"
        )
        raise DataError(f"{args.source}: expected {ZIP_NAME} in this folder (there: {there or 'nothing'})")
    with fresh_folder(args.output_dir) as folder:
        unzip(archive, folder, wanted=lambda name: is_image_name(name) or name.lower().endswith(".json"))
        told = take_screens(
            folder, args.output_dir, masks=args.masks, per_type=args.per_type, clean=args.clean, seed=args.seed
        )
    for what, count in told["passed_over"].items():
        print(f"note: passed over, {what}: {count}", file=sys.stderr)
    return _say(told, args)


def run_checkpoint(args: argparse.Namespace) -> int:
    """Fit it where there is something to fit it to."""
    raw = args.datasets_dir / args.usecase / "raw"
    if not raw.is_dir():  # said before anything heavy is imported
        print(f"no examples of {args.usecase} here ({args.usecase}/raw): nothing to fit")
        return 0
    import tempfile

    from noescape.cli.progress import tell
    from noescape.datasets.anomalygen import read_anomalygen
    from noescape.defects.cookbook_render import Rendering, render
    from noescape.defects.generators.base import generator_class
    from noescape.defects.generators.checkpoints import open_step
    from noescape.defects.generators.recipe import read_recipe, with_step
    from noescape.defects.generators.validate import validate
    from noescape.files import one_at_a_time

    dataset = read_anomalygen(raw)
    with tempfile.TemporaryDirectory() as folder:
        types = tuple(kind.key for kind in dataset.types)
        render(dataset, Rendering(usecase=args.usecase, types=types), Path(folder))
        recipe = with_step(read_recipe(Path(folder) / "ag_config.yaml"), args.step)
    with one_at_a_time(args.output_dir):
        step = open_step(
            generator_class("exemplar").finetune(dataset, recipe, args.output_dir, lambda done, total: None)
        )
        score = validate(args.output_dir, step, dataset, recipe, tell=tell)
    print(f"{args.usecase}: {len(types)} types, step {step.number}, nn_score {score:.3f}: {args.output_dir}")
    return 0


def run_pretrained(args: argparse.Namespace) -> int:
    """Put the base models in place, and say what there is."""
    from noescape.defects.base_models import bring

    brought = bring(args.source, args.output_dir, required=args.require_model)
    for line in brought.notes:
        print(f"note: {line}", file=sys.stderr)
    print(f"{brought.files} files of base models: {args.output_dir}")
    if not brought.files:
        print("the exemplar generator needs none; a model for GPUs is brought where pretrained_url_root names one")
    return 0


def _say(told: dict[str, Any], args: argparse.Namespace) -> int:
    from noescape.files import dump_json

    if args.json:
        print(dump_json(told), end="")
        return 0
    print(", ".join(f"{key} {count}" for key, count in told["images"].items()) + f": {args.output_dir}")
    return 0
