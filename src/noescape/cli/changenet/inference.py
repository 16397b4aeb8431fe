"""`noescape changenet inference`."""

from __future__ import annotations

import argparse
from pathlib import Path

DESCRIPTION = """\
Score the rows of dataset.classify.infer_dataset: inference.csv holds its columns and siamese_score.

  noescape changenet inference -e spec.yaml inference.checkpoint=model.safetensors
  noescape changenet inference -e spec.yaml --heatmaps 20      best_val and latest of the spec's training

Without a checkpoint, those of results_dir/train are run into inference/best_val and inference/latest. Where rows are
labelled both PASS and otherwise, the KPI is written beside the scores.
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `inference`."""
    from noescape.cli.changenet.reading import add_spec

    p = commands.add_parser(
        "inference",
        help="score pairs",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_spec(p)
    p.add_argument("--csv", type=Path, metavar="FILE", help="instead of the spec's infer_dataset.csv_path")
    p.add_argument(
        "--heatmaps", type=int, default=0, metavar="N", help="draw the N highest scores, -1 all (default %(default)s)"
    )
    p.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """0 when every row was tried, whatever came out."""
    from noescape.changenet.infer import infer
    from noescape.changenet.kpi_files import headline, write_kpi
    from noescape.cli.changenet.reading import checkpoints, read_spec, say

    spec = read_spec(args)
    out = spec.folder("inference")
    for name, checkpoint in checkpoints(spec, spec.inference.checkpoint).items():
        done = infer(spec, checkpoint, args.csv, out / name, heatmaps=args.heatmaps, on_line=say)
        lost = f", {len(done.errors)} without a score (column reason)" if done.errors else ""
        print(f"{done.table}: {len(done.rows)} rows{lost}")
        labels = {row.is_defect for row, score in zip(done.rows, done.scores, strict=True) if score is not None}
        if labels == {True, False}:
            print(headline(write_kpi(out / name)))
    return 0
