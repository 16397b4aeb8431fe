"""`noescape defects cookbook`: the training configuration of a use case, one's own or as one run needs it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

NEW = """\
Write the cookbook of a use case: ag_config.yaml (how a generator is fitted) and defect_spec.jsonl (where defects may
lie), from the types that a data set holds. The types come from DIR; edit the two files as you like. In the folder of
the data set itself the flows find them.

  noescape defects cookbook new my_part --from datasets/my_part/raw
  noescape defects cookbook new my_part --from raw/ --output-dir raw/
"""
RENDER = """\
Check a data set (and a checkpoint) for a run, and write the configuration of that run: the data set's own cookbook,
else the one that ships for the use case, else the default one, with the types of this run in it.

  noescape defects cookbook render metal_surface --dataset-dir raw/ --output-dir config/
  noescape defects cookbook render glass --dataset-dir raw/ --anomaly-types '[["Phone", "oil"]]' --output-dir config/
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `cookbook new` and `cookbook render`."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = commands.add_parser(
        "cookbook", help="the training configuration of a use case", description=NEW, formatter_class=raw
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    new = actions.add_parser("new", help="write one from a data set", description=NEW, formatter_class=raw)
    new.add_argument("name", metavar="NAME", help="of the use case: letters, digits, '.', '_', '-'")
    new.add_argument("--from", dest="source", required=True, type=Path, metavar="DIR", help="the data set; only read")
    new.add_argument("--output-dir", type=Path, metavar="DIR", help="default: cookbooks/NAME")
    new.add_argument("--replace", action="store_true", help="replace a cookbook that is there")
    new.set_defaults(run=run)

    p = actions.add_parser("render", help="the one of a run, checked", description=RENDER, formatter_class=raw)
    p.add_argument("usecase", metavar="USECASE", help="one that ships (metal_surface, glass), or one of your own")
    p.add_argument("--dataset-dir", required=True, type=Path, metavar="DIR", help="the data set; only read")
    p.add_argument("--anomaly-types", metavar="JSON", help='only these: [["TEXTURE", "TYPE"], …]')
    p.add_argument(
        "--default-spatial-dependency", choices=("free", "cad", "text"), default="free",
        help="for types that neither the data set nor the cookbook names (default free)",
    )  # fmt: skip
    p.add_argument(
        "--checkpoint-dir", type=Path, metavar="C", help="the checkpoint that the run will use; only checked"
    )
    p.add_argument("--step", type=int, metavar="N", help="its step (default: the best)")
    p.add_argument("--generator", choices=("exemplar", "diffusion"), default="exemplar", help="which is to learn")
    p.add_argument("--base-model", type=Path, metavar="DIR", help="what the diffusion generator starts from; checked")
    p.add_argument("--model-size", choices=("2b", "14b"), default="2b", help="noted for the diffusion generator")
    p.add_argument("--output-dir", required=True, type=Path, metavar="OUT")
    p.set_defaults(run=run_render)


def run(args: argparse.Namespace) -> int:
    """0 when both files are written."""
    import json

    from noescape.datasets.anomalygen import read_anomalygen
    from noescape.defects.cookbook import new_cookbook
    from noescape.files import check_folder

    _usable_name(args.name)
    folder = args.output_dir or Path("cookbooks") / args.name
    check_folder(folder)
    dataset = read_anomalygen(args.source)
    for path in new_cookbook(args.name, dataset, folder, replace=args.replace):
        print(path)
    types = json.dumps([[kind.texture, kind.name] for kind in dataset.types], ensure_ascii=False)
    print(f"anomaly_types_json: {types}", file=sys.stderr)
    return 0


def run_render(args: argparse.Namespace) -> int:
    """0 when data set and checkpoint can be used and the files are written."""
    from noescape.cli.defects.place import anomaly_types
    from noescape.cli.defects.reading import reading
    from noescape.datasets.anomalygen import read_anomalygen
    from noescape.defects.base_models import check_base_model
    from noescape.defects.cookbook_render import Rendering, check_checkpoint, render

    _usable_name(args.usecase)
    dataset = read_anomalygen(args.dataset_dir, progress=reading())
    if args.base_model is not None:
        check_base_model(args.base_model)
    asked = Rendering(
        usecase=args.usecase,
        types=anomaly_types(args.anomaly_types),
        default_dependency=args.default_spatial_dependency,
        model_size=args.model_size if args.generator == "diffusion" else None,
    )
    types = render(dataset, asked, args.output_dir)
    print(f"{len(types)} types: {', '.join(types)}")
    if args.checkpoint_dir is not None:
        print(f"checkpoint: step {check_checkpoint(args.checkpoint_dir, args.step, types)}")
    print(f"configuration: {args.output_dir}")
    return 0


def _usable_name(name: str) -> None:
    from noescape.files import safe_name
    from noescape.records import UsageError

    if safe_name(name) != name:
        raise UsageError(f"the name of a use case becomes a folder: {name!r}; try {safe_name(name)!r}")
