"""`noescape fit`: learn from good images."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

HELP = """\
Learn what good parts look like, from good images alone, and set the thresholds.

  noescape fit --config patchcore_mvtec.yaml --data-root parts/ --category bracket
  noescape fit --config padim_mvtec.yaml --data-root parts/bracket --run-id first
  noescape fit --config patchcore_mvtec.yaml --good photos_of_good_parts/

The data set is in the MVTec AD layout: <category>/train/good/, and if you have them test/<type>/ and
ground_truth/<type>/. With --good any folder of images will do. Kill it and start it again: it goes on.
"""


def register(commands: Any) -> None:
    """Add the command."""
    p = commands.add_parser(
        "fit", help="learn from good images", description=HELP, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument(
        "--config",
        default="patchcore_mvtec.yaml",
        help="a YAML file, or the name of a shipped one: patchcore_mvtec.yaml (default), padim_mvtec.yaml, "
        "patchcore_resnet18.yaml, padim_resnet18.yaml",
    )
    p.add_argument("--data-root", type=Path, help="folder that holds the category folder, or the category itself")
    p.add_argument("--category", help="name of the category folder under --data-root")
    p.add_argument(
        "--data-name", dest="name", help="what to call the images, where that folder is the category (default: as it)"
    )
    p.add_argument("--good", type=Path, help="instead: a plain folder of good images, searched recursively")
    p.add_argument(
        "--leave-out", type=Path, metavar="LIST", help="text file: names of good images not to learn from, one a line"
    )
    p.add_argument("--output-dir", type=Path, help="where runs go (default: runs/)")
    p.add_argument("--run-id", help="name of the run (default: the time)")
    p.add_argument("--device", help="auto, cpu or cuda")
    p.add_argument("--precision", choices=("f32", "bf16", "auto"), help="of the backbone on the CPU (default f32)")
    p.add_argument("--seed", type=int)
    p.add_argument("--backbone", help="e.g. efficientnet_lite0, mobilenet_v2, resnet18, wide_resnet50_2, dinov2_vits14")
    p.add_argument("--weights", type=Path, help="local weights file of the backbone (.safetensors, .pth)")
    p.add_argument("--layers", help="comma-separated outputs of the backbone, e.g. layer2,layer3")
    p.add_argument("--image-size", type=int, nargs="+", metavar="N", help="network input: one side, or height width")
    p.add_argument("--coreset-sampling-ratio", type=float, help="PatchCore: share of patches kept (default 0.01)")
    p.add_argument("--memory-budget-mb", type=int, help="PatchCore: memory for patches while fitting (default 600)")
    p.add_argument("--tile", type=int, help="cut images into tiles of this many source pixels instead of shrinking")
    p.add_argument("--overlap", type=int, help="of tiles, in source pixels (default 64)")
    p.add_argument("--roi", type=Path, help="mask image: only its non-black part is inspected")
    p.add_argument("--threshold-source", choices=("heldout", "train"), help="good scores that set the thresholds")
    p.add_argument("--image-percentile", type=float, help="of good image scores (default 99.5)")
    p.add_argument("--pixel-percentile", type=float, help="of good pixel scores (default 99.9)")
    p.add_argument("--review-band", type=float, nargs=2, metavar=("LOW", "HIGH"), help="percentiles marked for review")
    p.add_argument("--num-workers", type=int, help="threads (default: one per core)")
    p.add_argument("--max-pixels", type=int, help="largest image that is read (default 2^28)")
    p.add_argument("--tensorboard", action="store_true", default=None, help="also log to TensorBoard (extra)")
    p.add_argument("--dry-run", action="store_true", help="check everything, say what it would cost, write nothing")
    p.add_argument("--json", action="store_true", help="print the result as JSON")
    p.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Fit and print what came out."""
    from noescape.anomaly.config import load_config, parse_config
    from noescape.anomaly.fit import fit, good_folder
    from noescape.anomaly.unusual_good import read_names
    from noescape.cli.progress import tell

    _one_place(args)
    values = load_config(args.config).model_dump()
    given = {
        "model": ("backbone", "weights", "coreset_sampling_ratio", "memory_budget_mb"),
        "data": ("category", "name", "tile", "overlap", "roi", "num_workers", "max_pixels"),
        "thresholds": ("image_percentile", "pixel_percentile", "review_band"),
        "": ("output_dir", "run_id", "device", "precision", "seed", "tensorboard"),
    }
    for part, names in given.items():
        target = values[part] if part else values
        target.update({n: getattr(args, n) for n in names if getattr(args, n) is not None})
    if args.backbone:
        values["model"]["layers"] = ()  # the layers of another backbone mean nothing here
    if args.layers:
        values["model"]["layers"] = tuple(args.layers.split(","))
    if args.data_root:
        values["data"]["root"] = args.data_root
    if args.image_size:
        values["data"]["image_size"] = _height_and_width(args.image_size)
    if args.threshold_source:
        values["thresholds"]["source"] = args.threshold_source
    if args.leave_out:
        values["data"]["leave_out"] = tuple(dict.fromkeys([*values["data"]["leave_out"], *read_names(args.leave_out)]))
    config = parse_config(values, "command line")
    data = good_folder(args.good, config.data.name) if args.good else None
    if args.dry_run:
        return _plan(config, data, args.json)
    folder = fit(config, tell=tell, data=data)
    return _say(folder, args.json, args.good)


def _one_place(args: argparse.Namespace) -> None:
    """UsageError where --good stands beside what names a data set: one of the two would be ignored."""
    from noescape.records import UsageError

    ignored = [flag for flag, value in (("--data-root", args.data_root), ("--category", args.category)) if value]
    if args.good and ignored:
        raise UsageError(
            f"--good {args.good} is a folder of good images, {' and '.join(ignored)} a data set: give one of them. "
            "(To test a run of --good: noescape evaluate --run-dir RUN --data-root DIR)"
        )


def _height_and_width(given: list[int]) -> tuple[int, int]:
    if len(given) > 2:
        from noescape.records import UsageError

        came = " ".join(map(str, given))
        raise UsageError(f"--image-size {came}: expected one number (a square) or two (height width), got {len(given)}")
    return given[0], given[-1]


def _plan(config: Any, data: Any, as_json: bool) -> int:
    from noescape.anomaly.estimate import estimate
    from noescape.files import dump_json

    plan = estimate(config, data)
    if as_json:
        print(dump_json(plan), end="")
    else:
        print("\n".join(f"{name.replace('_', ' ')}: {value}" for name, value in plan.items()))
    return 0


def _say(folder: Path, as_json: bool, good: Path | None) -> int:
    from noescape.cli.figures import metric_lines, unusual_lines
    from noescape.files import dump_json, read_json_object

    metrics_file = folder / "metrics.json"
    metrics = read_json_object(metrics_file, "figures") if metrics_file.is_file() else None
    limits = read_json_object(folder / "thresholds.json", "thresholds")
    limits.pop("good_scores")
    if as_json:
        print(dump_json({"run_dir": str(folder), "thresholds": limits, "metrics": metrics}), end="")
        return 0
    print(f"run folder: {folder}")
    print(
        f"image threshold {limits['image_threshold']:.4f}, pixel threshold {limits['pixel_threshold']:.4f} "
        f"({limits['source']} scores of {limits['n_good']} good images)"
    )
    if metrics:
        print("\n".join(metric_lines(metrics)))
    for line in unusual_lines(folder, metrics, good):
        print(line)
    print(f"next: noescape inspect --input-dir IMAGES --model-dir {folder} --output-dir OUT")
    return 0
