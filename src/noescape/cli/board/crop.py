"""`noescape board crop`: regions and components cut out of rendered frames, and their way to defect placement."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

DESCRIPTION = """\
Cut rendered frames into crops, by the rules of a crop configuration or one per component.

  noescape board crop frames/ --config day0_crop.yaml --out frames/       crop/<MATERIAL>/<cell>/{normal_img,…}
  noescape board crop frames/ --config day0_crop.yaml --out frames/ --crop-max-emit 10
  noescape board crop defects/ --by defect --offset 10 --out defects/     cropped/<mode>/{rgb,mask,…}
  noescape board crop frames/ --stage-for placement/ --images augment/    clean images and CAD masks for
                                                                          `defects place --clean-dir placement/`
"""
EPILOG = """\
Beside the crops: crops.json (each crop's box, class, parts, what was drawn), sdg_crop_stats.json (what the rules left
out). A frame that cannot be used costs one line on stderr. Exit codes: 0 done, 1 nothing could be cropped, 2 wrong use.
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `crop`."""
    parser = commands.add_parser(
        "crop",
        help="cut rendered frames into crops with masks",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "dir", metavar="DIR", type=Path, help="what `board render` wrote (with --stage-for alone: crops)"
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="where crop/ or cropped/ is written (may be DIR itself)"
    )
    rules = parser.add_argument_group("by label rules")
    rules.add_argument("--config", type=Path, metavar="YAML", help="day0_crop.yaml, or a file with a section `crop:`")
    rules.add_argument(
        "--crop-max-emit", metavar="N", help='most crops per material and cell; null: no cap; "": the configuration\'s'
    )
    rules.add_argument(
        "--max-images", metavar="N", help='of all crops so many are kept, evenly over their names; "": all of them'
    )
    parts = parser.add_argument_group("by component")
    parts.add_argument(
        "--by", choices=("defect", "component"), help="one crop per defective component, or per component"
    )
    parts.add_argument("--offset", type=int, metavar="PX", help="surroundings kept (default 10)")
    parts.add_argument(
        "--min-coverage", type=float, metavar="SHARE", help="least labelled share of a crop (default .2)"
    )
    stage = parser.add_argument_group("for defect placement")
    stage.add_argument(
        "--stage-for", type=Path, metavar="DIR", help="also write <TEXTURE>/{clean_image,cad_mask} there"
    )
    stage.add_argument("--images", type=Path, metavar="DIR", help="take the crops' restyled twins from this tree")
    stage.add_argument(
        "--texture-of", action="append", default=[], metavar="MATERIAL=TEXTURE",
        help="where crops of a material go (default: a texture of its own name; bridge=IC)",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="the counts as JSON on stdout")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Crop, stage, or both."""
    from noescape.board.crop.config import refuse_crop_max_emit
    from noescape.records import UsageError

    if args.by and args.config:
        raise UsageError("--by and --config are two ways of cropping; give one of them")
    if args.by:
        refuse_crop_max_emit(args.crop_max_emit, "structural")
    if args.max_images and not args.config:
        raise UsageError("--max-images belongs to --config: crops by component, and staged ones, are taken as they are")
    if args.config and (args.offset is not None or args.min_coverage is not None):
        raise UsageError("--offset and --min-coverage belong to --by; in a configuration they are keys of `crop:`")
    if (args.by or args.config) and not args.out:
        raise UsageError("--out says where the crops go")
    if args.by:
        if args.stage_for:
            raise UsageError("--stage-for takes crops by label rules (--config)")
        return _components(args)
    if args.config:
        told = _rules(args)
        crops = args.out
    elif args.stage_for:
        told, crops = {}, args.dir
    else:
        raise UsageError("say how to crop: --config day0_crop.yaml, or --by defect (or stage crops with --stage-for)")
    if args.stage_for:
        told["staged"] = _stage(args, crops)
    _finish(args, told)
    return 0


def _rules(args: argparse.Namespace) -> dict[str, Any]:
    from noescape.board.crop.config import read_crop_config, with_max_emit
    from noescape.board.crop.job import crop_tree
    from noescape.board.crop.thin import wanted_images
    from noescape.cli.progress import tell
    from noescape.files import dump_yaml, load_yaml, write_text

    config = with_max_emit(read_crop_config(args.config), args.crop_max_emit)
    done = crop_tree(args.dir, config, args.out, max_images=wanted_images(args.max_images), tell=tell)
    copy = args.out / args.config.name
    if copy.resolve() != args.config.resolve():
        sections = {key: value for key, value in load_yaml(args.config).items() if key != "output"}
        write_text(copy, dump_yaml({**sections, "crop": config.model_dump(mode="json")}))
    _problems(done.problems)
    return done.stats()


def _components(args: argparse.Namespace) -> int:
    from noescape.board.crop.components import MIN_COVERAGE, OFFSET, crop_components
    from noescape.cli.progress import tell
    from noescape.records import UsageError

    offset = OFFSET if args.offset is None else args.offset
    least = MIN_COVERAGE if args.min_coverage is None else args.min_coverage
    if not 0 <= offset <= 10_000 or not 0 <= least <= 1:
        raise UsageError(f"expected --offset of 0..10000 and --min-coverage of 0..1, got {offset} and {least}")
    done = crop_components(args.dir, args.out, by=args.by, offset=offset, min_coverage=least, tell=tell)
    _problems(done.problems)
    by = {mode: sum(row["mode"] == mode for row in done.rows) for mode in sorted({row["mode"] for row in done.rows})}
    told = {"n_emitted": len(done.rows), "by_mode": by}
    _finish(args, told | {f"skipped_{why}": n for why, n in sorted(done.skipped.items())})
    return 0


def _stage(args: argparse.Namespace, crops: Path) -> dict[str, int]:
    from noescape.board.crop.stage import TEXTURES, stage
    from noescape.records import UsageError

    pairs = [text.partition("=") for text in args.texture_of]
    if not all(material and texture for material, _, texture in pairs):
        raise UsageError(f"--texture-of: expected MATERIAL=TEXTURE, got {args.texture_of}")
    textures: Mapping[str, str] = {**TEXTURES, **{material: texture for material, _, texture in pairs}}
    done = stage(crops, args.stage_for, images=args.images, textures=textures)
    _problems(done.problems)
    return dict(sorted(done.textures.items()))


def _problems(problems: Sequence[object]) -> None:
    for problem in problems:
        print(f"left out: {problem}", file=sys.stderr)


def _finish(args: argparse.Namespace, told: dict[str, Any]) -> None:
    from noescape.files import dump_json

    if args.json:
        print(dump_json(told), end="")
        return
    if "n_emitted" in told:
        by = told.get("by_material") or told.get("by_mode") or {}
        print(f"{told['n_emitted']} crops: {', '.join(f'{n} {name}' for name, n in by.items())}")
        left = [f"{n} {key.removeprefix('skipped_')}" for key, n in told.items() if key.startswith("skipped_") and n]
        if left:
            print(f"left out: {', '.join(left)}")
    for texture, count in told.get("staged", {}).items():
        print(f"{texture}: {count} clean images with CAD masks in {args.stage_for}")
