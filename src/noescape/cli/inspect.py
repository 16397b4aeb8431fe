"""`noescape inspect`: the AOI runner."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

HELP = """\
Inspect every image of a folder: OK or NG, where, how sure; overlays, masks, preds.jsonl, ng.csv, report.html.

  noescape inspect --input-dir new/ --model-dir runs/patchcore/bracket/first --output-dir out/

An image that cannot be read costs one row. If the folder has a good/ subfolder, the folder names are taken as the
truth and the report carries figures. Kill it and start it again: it goes on where it was.
"""


def register(commands: Any) -> None:
    """Add the command."""
    p = commands.add_parser(
        "inspect", help="inspect a folder of images", description=HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    p.add_argument("--input-dir", type=Path, required=True)
    p.add_argument("--model-dir", type=Path, required=True, help="a run folder, or an exported bundle")
    p.add_argument("--output-dir", type=Path, required=True)
    add_options(p)
    p.add_argument("--no-truth", action="store_true", help="do not take folder names as truth")
    p.set_defaults(run=run)


def add_options(p: argparse.ArgumentParser) -> None:
    """The options that inspect and predict share."""
    p.add_argument("--min-defect-area", type=int, default=0, metavar="PX", help="smaller regions are dropped")
    p.add_argument("--precision", choices=("f32", "bf16", "auto"), help="of the backbone (default: as fitted)")
    p.add_argument("--device", default="cpu", help="cpu (default), cuda or auto")
    p.add_argument("--num-workers", type=int, default=0, help="threads (default: one per core)")
    p.add_argument("--no-overlays", action="store_true", help="write no overlay pictures")
    p.add_argument("--no-report", action="store_true", help="write no report.html")
    p.add_argument("--overwrite", action="store_true", help="replace the results of another inspection")
    p.add_argument("--fail-on-ng", action="store_true", help="exit with 1 if any part is NG or unreadable")
    p.add_argument("--json", action="store_true", help="print report.json")


def run(args: argparse.Namespace) -> int:
    """Inspect a folder."""
    from noescape.datasets import read_folder, read_labelled_folder

    if not args.input_dir.is_dir():
        from noescape.records import UsageError

        raise UsageError(f"--input-dir {args.input_dir}: no such folder")
    samples = read_folder(args.input_dir) if args.no_truth else read_labelled_folder(args.input_dir)
    return inspect_and_say(samples, args.input_dir, args.model_dir, args.output_dir, args)


def inspect_and_say(samples: Any, root: Path, model: Path, out: Path, args: argparse.Namespace) -> int:
    """Run an inspection with the shared options and print its summary."""
    from noescape.anomaly.inspect import Options, inspect
    from noescape.cli.figures import metric_lines, unusual_lines
    from noescape.cli.progress import tell
    from noescape.features.runtime import resolve_device
    from noescape.files import dump_json

    options = Options(
        min_defect_area=args.min_defect_area,
        precision=args.precision,
        workers=args.num_workers,
        device=resolve_device(args.device),
        overwrite=args.overwrite,
        overlays=not args.no_overlays,
        html=not args.no_report,
    )
    report = inspect(samples, root, model, out, options, tell=tell)
    if args.json:
        print(dump_json(report), end="")
    else:
        print(
            f"{report['num_images']} images: {report['num_ng']} NG, {report['num_review']} for review, "
            f"{report['num_flagged']} unlike the training images, {report['num_errors']} unreadable"
        )
        if report["drift"]:
            print(f"drift: {report['drift']['verdict']} ({report['drift']['score']:.2f} training standard deviations)")
        if report["metrics"]:
            print("\n".join(metric_lines(report["metrics"])))
        for line in unusual_lines(model, report["metrics"]):
            print(line)
        print(f"report: {out / 'report.html'}" if options.html else f"rows: {out / 'preds.jsonl'}")
        print(f"look at first: {out / 'ng.csv'}")
    return 1 if args.fail_on_ng and (report["num_ng"] or report["num_errors"]) else 0
