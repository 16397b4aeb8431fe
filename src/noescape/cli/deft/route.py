"""`noescape deft route`: which weak samples are mined, which are generated, which neither."""

from __future__ import annotations

import argparse
from pathlib import Path

from noescape.cli.deft.flags import add_parser, finish

DESCRIPTION = """\
Split kpi_gaps.parquet into mining_gaps.parquet and anomalygen_gaps.parquet; what goes nowhere is named.

  noescape deft route --gaps rca_results/kpi_gaps.parquet --pool synth_pool/source_pool.csv --out routing_results/
  noescape deft route … --generator-type PCB+bridge --generator-type PCB+missing
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `route`."""
    parser = add_parser(commands, "route", "weak samples to mining or to the generator", DESCRIPTION)
    parser.add_argument("--gaps", type=Path, required=True, metavar="PARQUET", help="what `deft rca` found")
    parser.add_argument("--pool", type=Path, metavar="CSV", help="rows that can be mined")
    parser.add_argument(
        "--generator-type", action="append", default=[], metavar="TYPE", help="a type the generator knows"
    )
    parser.add_argument(
        "--by-label", action="store_true", help="mine only labels that the pool has, also with no generator"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where results go")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from noescape.deft.hardstop import examples
    from noescape.deft.route import route

    every = False if args.by_label else None
    done = route(args.gaps, args.pool, args.generator_type, args.out, every_gap_to_mining=every)
    told = {
        "total": done.total, "mining": done.mining, "anomalygen": done.generation,
        "dropped": [one.to_json() for one in done.dropped], "labels_not_in_pool": list(done.uncovered),
        "mining_gaps": str(done.mining_gaps), "anomalygen_gaps": str(done.generation_gaps or "") or None,
    }  # fmt: skip
    lines = [
        f"{done.total} gaps: {done.mining} to mining, {done.generation} to the generator, {len(done.dropped)} dropped"
    ]
    lines += [f"dropped: {examples(one.row for one in done.dropped)}"] if done.dropped else []
    lines += [f"warning: the pool has no row labelled {', '.join(done.uncovered)}"] if done.uncovered else []
    finish(args, told, [*lines, f"results: {args.out}"])
    return 0
