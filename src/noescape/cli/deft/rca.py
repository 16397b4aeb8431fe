"""`noescape deft rca`: which samples the model gets wrong or nearly wrong, and why."""

from __future__ import annotations

import argparse
from pathlib import Path

from noescape.cli.deft.flags import TARGET, add_decisions, add_parser, add_spec, add_workspace, finish

DESCRIPTION = """\
Root cause analysis of an inference.csv: kpi_gaps.parquet, threshold.txt, metrics.json, weak_samples_breakdown.txt,
verdicts.csv with thumbnails, and unreachable_kpi.txt where no threshold on these scores meets the target.

  noescape deft rca --inference inference/best_val/inference.csv -e specs/baseline_spec.yaml --out rca_results/
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `rca`."""
    parser = add_parser(commands, "rca", "what the model misses, and why", DESCRIPTION)
    parser.add_argument("--inference", type=Path, required=True, metavar="CSV", help="scores of the KPI set")
    add_spec(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where results go")
    parser.add_argument(
        "--media-path", default="", metavar="DIR", help="where the CSV's paths start (default: the spec's)"
    )
    parser.add_argument("--threshold", type=float, default=-1.0, metavar="T", help="default: searched for")
    parser.add_argument(
        "--min-recall", type=float, default=1.0, metavar="SHARE", help="that the search keeps (default 1)"
    )
    parser.add_argument("--top-k", type=int, default=50, metavar="N", help="samples kept per label (default 50)")
    parser.add_argument("--kpi-target", default=TARGET, metavar="TEXT", help=f"default: {TARGET!r}".replace("%", "%%"))
    add_workspace(parser)
    add_decisions(parser)
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from noescape.deft.rca import rca
    from noescape.deft.target import parse_target
    from noescape.metrics import percent

    found = rca(
        args.inference,
        args.spec,
        args.out,
        threshold=args.threshold,
        min_recall=args.min_recall,
        top_k=args.top_k,
        media_path=args.media_path,
        workspace=args.workspace,
        target=parse_target(args.kpi_target),
        decisions=args.decisions,
    )
    p = found.point
    told = {
        "kpi_gaps": str(found.kpi_gaps), "threshold": found.threshold,
        "far_pct": p.far_pct, "recall_pct": 100 * p.recall,
        "samples": found.samples, "misclassified": found.misclassified, "target_labels": list(found.target_labels),
        "reachable": found.reachable, "verdicts": found.verdicts, "unscored": found.unscored,
    }  # fmt: skip
    lines = [
        f"threshold {found.threshold:.6g}: FAR {percent(p.far_pct / 100)} "
        f"({p.fp} of {p.fp + p.tn} good parts stopped), "
        f"recall {percent(p.recall)} ({p.fn} of {p.fn + p.tp} defects missed)",
        f"{found.samples} weak samples of {', '.join(found.target_labels)}, {found.misclassified} of them wrong",
        "why: " + ", ".join(f"{n} {name}" for name, n in found.verdicts.items()),
    ]
    lines += [found.decisions] if found.decisions else []
    lines += [] if found.reachable else ["no threshold on these scores meets the target: see unreachable_kpi.txt"]
    finish(args, told, [*lines, f"results: {args.out}"])
    return 0
