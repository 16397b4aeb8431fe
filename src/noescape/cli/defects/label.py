"""`noescape defects label`: the labels of generated images in the format that a trainer reads."""

from __future__ import annotations

import argparse
from pathlib import Path

FORMATS = ("coco", "yolo-seg", "mvtec", "daft", "changenet")
DESCRIPTION = """\
Write generated images with their labels in another format.

  noescape defects label out --format coco            run lengths, boxes, areas
  noescape defects label out --format yolo-seg        polygons (holes kept by bridges of no width)
  noescape defects label out --format mvtec           train/good, test/<type>, ground_truth/<type> per texture
  noescape defects label out --format daft            NVIDIA TAO's annotation format, metropolis-v3.0
  noescape defects label out --format changenet       golden/ and input/ with the CSV of 14 columns
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `label`."""
    p = commands.add_parser(
        "label",
        help="labels of generated images for a trainer",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("generated", type=Path, metavar="OUT", help="what `generate` wrote; only read")
    p.add_argument("--format", required=True, choices=FORMATS)
    p.add_argument("--out", type=Path, metavar="DIR", help="where to (default: OUT/labels/<format>)")
    p.add_argument(
        "--light", default="SolderLight", help="changenet: the light in the file names (default SolderLight)"
    )
    p.add_argument("--json", action="store_true", help="say what was written as JSON")
    p.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Read the tree, write the labels, say where."""
    from noescape.datasets.changenet_write import write_changenet
    from noescape.datasets.coco_write import write_coco
    from noescape.datasets.daft_write import write_daft
    from noescape.datasets.mvtec_write import write_generated_mvtec
    from noescape.datasets.yolo_write import write_yolo
    from noescape.defects.generators.tree import read_tree
    from noescape.files import dump_json

    items = read_tree(args.generated)
    out = args.out or args.generated / "labels" / args.format
    if args.format == "changenet":
        told = write_changenet(items, out, light=args.light)
    else:
        writers = {"coco": write_coco, "yolo-seg": write_yolo, "mvtec": write_generated_mvtec, "daft": write_daft}
        told = writers[args.format](items, out)
    if args.json:
        print(dump_json(told), end="")
        return 0
    print(f"{len(items)} images as {args.format}: {out / str(told['file'])}")
    for name, value in told.items():
        if name not in ("labels", "file", "images"):
            print(f"  {name}: {_words(value)}")
    return 0


def _words(value: object) -> str:
    """For people: names with commas between them, names with their counts."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {count}" for name, count in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
