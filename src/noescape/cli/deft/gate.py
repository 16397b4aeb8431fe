"""`noescape deft gate`: is the target met? Answers by its exit code."""

from __future__ import annotations

import argparse
from pathlib import Path

from noescape.cli.deft.flags import TARGET, add_decisions, add_parser, add_spec, add_workspace, finish

DESCRIPTION = """\
Judge an inference.csv against a KPI target, in percentage points, and say what so many parts can prove.

  noescape deft gate inference.csv
  noescape deft gate inference.csv --kpi-target 'far < 0.5 % at recall = 100 %' --proved
  noescape deft gate blind/inference.csv --threshold 0.4137     at the threshold that was chosen on another set

Exit codes: 0 met, 1 not met (with --proved: not proved with 95% confidence), 2 wrong use.
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `gate`."""
    parser = add_parser(commands, "gate", "is the target met? (exit code 1: no)", DESCRIPTION)
    parser.add_argument("inference", type=Path, metavar="CSV", help="scores: what `changenet inference` wrote")
    parser.add_argument("--kpi-target", default=TARGET, metavar="TEXT", help=f"default: {TARGET!r}".replace("%", "%%"))
    parser.add_argument(
        "--threshold", type=float, default=-1.0, metavar="T", help="default: the best that keeps the recall"
    )
    parser.add_argument("--proved", action="store_true", help="ask for proof, not only for the measured rate")
    add_spec(parser, required=False)
    add_workspace(parser)
    add_decisions(parser)
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from noescape.deft.gate import gate
    from noescape.deft.places import Images
    from noescape.deft.rca import kpi_images_dir
    from noescape.deft.scored import read_scored_csv
    from noescape.deft.target import parse_target

    target = parse_target(args.kpi_target)
    images = None
    if args.spec:
        from noescape.changenet.spec_file import load_spec

        spec = load_spec(args.spec)
        images = Images.of(spec.dataset.classify, kpi_images_dir(spec), args.workspace)
    scored = read_scored_csv(args.inference, decisions=args.decisions, images=images)
    verdict = gate(scored.at(args.threshold) if args.threshold >= 0 else scored.best(target.recall), target)
    lines = list(verdict.lines)
    lines += [f"{len(scored.lost)} rows have no score and were not judged"] if scored.lost else []
    lines += [scored.fixed.said] if scored.fixed and scored.fixed.said else []
    finish(args, verdict.to_json() | {"unscored": len(scored.lost)}, lines)
    return 0 if (verdict.proved if args.proved else verdict.met) else 1
