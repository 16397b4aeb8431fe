"""`noescape changenet evaluate`."""

from __future__ import annotations

import argparse

DESCRIPTION = """\
Score the labelled rows of dataset.classify.test_dataset, judge them at model.classify.eval_margin, and give the KPI.

  noescape changenet evaluate -e spec.yaml evaluate.checkpoint=model.safetensors

FAR (false alarm rate) = PASS rows stopped, of all PASS rows, at the threshold that lets no defect through, with its
exact 95% bound. test_fpr and test_fnr are shares of all rows, as in the public originals.
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `evaluate`."""
    from noescape.cli.changenet.reading import add_spec

    p = commands.add_parser(
        "evaluate",
        help="measure a checkpoint on labelled pairs",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_spec(p)
    p.add_argument("--heatmaps", type=int, default=0, metavar="N", help="draw the N highest scores, -1 all")
    p.add_argument("--json", action="store_true", help="print the figures as JSON")
    p.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """0 when it was measured, whatever came out."""
    from noescape.changenet.evaluate import evaluate
    from noescape.changenet.kpi_files import headline
    from noescape.cli.changenet.reading import checkpoints, read_spec, say
    from noescape.files import dump_json

    spec = read_spec(args)
    found = checkpoints(spec, spec.evaluate.checkpoint)
    checkpoint = found.get("") or found["best_val"]
    done = evaluate(spec, checkpoint, spec.folder("evaluate"), heatmaps=args.heatmaps, on_line=say)
    if args.json:
        print(dump_json({**done.figures, "kpi": done.kpi.to_json()}), end="")
        return 0
    print(f"at eval_margin {done.point.threshold:g}: " + ", ".join(f"{k} {v:.4g}%" for k, v in done.figures.items()))
    print(headline(done.kpi))
    print(f"files: {spec.folder('evaluate')}")
    return 0
