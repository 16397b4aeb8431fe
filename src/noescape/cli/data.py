"""`noescape data`: look at a data set before using it, and bring public sets into the MVTec AD layout."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from noescape.datasets import ImportResult

LAYOUT = """\
the MVTec AD layout:
  NAME/train/good/*.png           photographs of good parts (all that is needed to fit)
  NAME/test/good/*.png            good parts to test with
  NAME/test/<type>/*.png          defective parts, one folder per type of defect
  NAME/test/uncertain/*.png       what nobody can label: kept out of figures
  NAME/ground_truth/<type>/*_mask.png   where the defect is (optional)
PNG, JPEG, BMP, TIFF and WebP; 8 or 16 bits; grey or colour; names in any script."""

CHECK_EXAMPLES = """\
examples:
  noescape data check parts/transistor
  noescape data check parts --category transistor --out preview.png
  noescape data check parts --json > check.json

Listed are layout problems, unreadable files, empty or misfitting masks, images that are there twice (first by
bytes, then by picture), and groups (parts, panels, modules) that lie in training and in test. What is in both makes
every figure look better than it is: such findings come first.
Exit code: 0 when at least one category can be used, findings or not; 1 when none can."""

IMPORT_EXAMPLES = """\
examples:
  noescape data import magnetic-tile Magnetic-tile-defect-datasets. data
  noescape data import elpv data --cell-type mono
  noescape data import deeppcb DeepPCB/PCBData data --seed 7
  noescape data import visa VisA data --category candle
  noescape data import coco annotations/instances.json data --images photos --category brackets

Each import writes OUT/NAME whole or not at all, says what the terms of the data are, and keeps all images of one
physical part on one side of the split. The same source, options and seed give the same bytes; run again, it finds
its own work and leaves it."""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `data check` and `data import …`."""
    data = commands.add_parser(
        "data", help="check a data set, or import a public one", description=__doc__, formatter_class=_RAW
    )
    actions = data.add_subparsers(dest="data_command", metavar="ACTION", required=True)
    _register_check(actions)
    _register_imports(actions)


_RAW = argparse.RawDescriptionHelpFormatter


def _register_check(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    check = actions.add_parser(
        "check",
        help="list what is wrong with a data set, and draw a preview",
        description=f"List what is wrong with a data set in {LAYOUT}",
        epilog=CHECK_EXAMPLES,
        formatter_class=_RAW,
    )
    check.add_argument("dir", metavar="DIR", type=Path, help="folder of one category, or of several")
    check.add_argument("--category", metavar="NAME", help="only this category of DIR")
    check.add_argument(
        "--data-name", dest="name", metavar="NAME", help="what to call it, where DIR is a category (default: as DIR)"
    )
    check.add_argument("--out", metavar="PNG", type=Path, help="write a contact sheet, masks outlined in cyan")
    check.add_argument("--json", action="store_true", help="the whole report as JSON on stdout")
    check.add_argument(
        "--max-pixels", metavar="N", type=_positive, default=2**28, help="refuse larger images (default 2^28)"
    )
    check.set_defaults(run=run_check)


def _register_imports(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    importer = actions.add_parser(
        "import",
        help="bring a public data set into the MVTec AD layout",
        description=f"Bring a data set into {LAYOUT}",
        epilog=IMPORT_EXAMPLES,
        formatter_class=_RAW,
    )
    sets = importer.add_subparsers(dest="data_set", metavar="SET", required=True)
    tile = _add_set(sets, "magnetic-tile", "magnetic tile surfaces, 5 defect types, masks; split by physical tile")
    pcb = _add_set(sets, "deeppcb", "bare-board crops with golden twins; masks are boxes; split by panel")
    visa = _add_set(sets, "visa", "VisA, 12 objects with masks; the published split where its table is there")
    coco = _add_set(sets, "coco", "any COCO JSON with its images: annotated = defective, not annotated = good")
    elpv = _add_set(sets, "elpv", "solar cells from the package elpv-dataset, no masks; split by module", source=False)
    for parser in (tile, pcb, elpv):
        parser.add_argument(
            "--split",
            choices=("group", "random"),
            default="group",
            help="group: all images of one physical part on one side (default); random: leaks, for comparison only",
        )
    visa.add_argument("--category", metavar="NAME", help="only this object (default: all)")
    coco.add_argument("--category", metavar="NAME", help="name of the result (default: that of the JSON file)")
    coco.add_argument("--images", metavar="DIR", type=Path, help="folder that file names are relative to")
    coco.add_argument(
        "--split",
        choices=("group", "random"),
        default="group",
        help="group: by the field 'group' of the image records, where all have one (default)",
    )
    elpv.add_argument(
        "--cell-type", choices=("mono", "poly", "all"), default="all", help="mono, poly, or both as two categories"
    )


def _add_set(
    sets: argparse._SubParsersAction[argparse.ArgumentParser], name: str, text: str, *, source: bool = True
) -> argparse.ArgumentParser:
    parser = sets.add_parser(
        name, help=text, description=f"Import {name}: {text}.", epilog=IMPORT_EXAMPLES, formatter_class=_RAW
    )
    if source:
        parser.add_argument("src", metavar="SRC", type=Path, help="where the data set lies; only read")
    parser.add_argument("out", metavar="OUT", type=Path, help="data root to write to; gets a folder per category")
    parser.add_argument("--seed", metavar="N", type=int, default=42, help="draws the split (default 42)")
    parser.add_argument(
        "--train-fraction", metavar="F", type=float, default=0.6, help="share of good images to train on (default 0.6)"
    )
    parser.add_argument("--json", action="store_true", help="what was written, as JSON on stdout")
    parser.set_defaults(run=run_import)
    return parser


def run_check(args: argparse.Namespace) -> int:
    """Check one category or all; print the findings, write the preview."""
    from noescape.cli.data_text import check_lines, next_fit, printed
    from noescape.datasets import categories, category_folder, check_dataset, preview_png, scan_mvtec
    from noescape.files import dump_json, write_bytes

    folder = category_folder(args.dir, args.category)
    whole = (folder / "train").is_dir() or (folder / "test").is_dir()
    name = args.name if whole and folder == args.dir else None
    folders = [folder] if whole else [folder / name for name in categories(folder)] or [folder]
    reports = []
    for one in folders:
        with _Progress(f"checking {printed(one.resolve().name)}") as progress:
            reports.append(check_dataset(one, name=name, max_pixels=args.max_pixels, progress=progress))
    usable = any(report.usable for report in reports)
    if args.out:
        write_bytes(args.out, preview_png([scan_mvtec(one, name=name) for one in folders], max_pixels=args.max_pixels))
    if args.json:
        preview = printed(str(args.out)) if args.out else None
        sys.stdout.write(
            dump_json({"usable": usable, "preview": preview, "categories": [r.to_json() for r in reports]})
        )
        return 0 if usable else 1
    for report in reports:
        print("\n".join(check_lines(report)))
    if args.out:
        print(f"preview: {printed(str(args.out))}")
    if not usable:
        print(f"error: nothing here can be used. Expected {LAYOUT}", file=sys.stderr)
        return 1
    print(next_fit(next(r.root for r in reports if r.usable)))
    return 0


def run_import(args: argparse.Namespace) -> int:
    """Run the import that was named; print what was written, the terms, and what to do next."""
    from noescape.cli.data_text import import_lines, import_row, next_fit
    from noescape.files import dump_json

    with _Progress(f"importing {args.data_set}") as progress:
        results = _import(args, progress)
    if args.json:
        sys.stdout.write(dump_json({"categories": [import_row(result) for result in results]}))
        return 0
    for result in results:
        print("\n".join(import_lines(result)))
    print(next_fit(results[0].out))
    return 0


def _import(args: argparse.Namespace, progress: Callable[[int, int], None]) -> tuple[ImportResult, ...]:
    from noescape import datasets
    from noescape.datasets import deeppcb, elpv, magnetic_tile

    costs = {
        "magnetic-tile": magnetic_tile.RANDOM_COST,
        "deeppcb": deeppcb.RANDOM_COST,
        "elpv": elpv.RANDOM_COST,
    }
    common = {"seed": args.seed, "train_fraction": args.train_fraction, "progress": progress}
    if getattr(args, "split", None) == "random" and args.data_set in costs:
        print(f"warning: {costs[args.data_set]}", file=sys.stderr)
    if args.data_set == "elpv":
        return datasets.import_elpv(args.out, split=args.split, cell_type=args.cell_type, **common)
    if args.data_set == "visa":
        return datasets.import_visa(args.src, args.out, category=args.category, **common)
    if args.data_set == "coco":
        more = {"images": args.images, "category": args.category, "split": args.split}
        return (datasets.import_coco(args.src, args.out, **more, **common),)
    if args.data_set == "deeppcb":
        return (datasets.import_deeppcb(args.src, args.out, split=args.split, **common),)
    return (datasets.import_magnetic_tile(args.src, args.out, split=args.split, **common),)


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected a number of at least 1, got {text}")
    return value


class _Progress:
    """A bar with ETA on a terminal; one plain line where a log reads. Call it with (done, total)."""

    def __init__(self, title: str) -> None:
        from tqdm import tqdm

        if not sys.stderr.isatty():
            print(f"{title} …", file=sys.stderr)
        self._bar = tqdm(desc=title, unit="image", disable=None, leave=False)

    def __call__(self, done: int, total: int) -> None:
        self._bar.total = total
        self._bar.update(done - self._bar.n if done >= self._bar.n else 0)

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()
