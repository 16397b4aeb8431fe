"""`noescape deft mine`: rows of the pool that are worth adding."""

from __future__ import annotations

import argparse
from pathlib import Path

from noescape.cli.deft.flags import add_parser, add_workspace, finish

DESCRIPTION = """\
Choose rows of the source pool for the weak samples; rows that are in training already are left out first.

  noescape deft mine --targets mining_gaps.parquet --pool synth_pool/source_pool.parquet \\
      --exclude train.csv --out mining_filter/
  noescape deft mine … --select hard --scores pool/inference.csv --budget 200
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `mine`."""
    parser = add_parser(commands, "mine", "choose rows of the pool", DESCRIPTION)
    parser.add_argument("--targets", type=Path, required=True, metavar="PARQUET", help="weak samples (filepath, label)")
    parser.add_argument("--pool", type=Path, required=True, metavar="PARQUET", help="source_pool.parquet")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where results go")
    parser.add_argument("--select", choices=("knn", "hard", "uncertain", "random"), default="knn", help="default: knn")
    parser.add_argument("--top-k", type=int, default=5, metavar="N", help="neighbours per weak sample (default 5)")
    parser.add_argument(
        "--min-similarity", type=float, metavar="COSINE", help="default: 0.9, or the same share offline"
    )
    parser.add_argument(
        "--exclude", type=Path, action="append", default=[], metavar="CSV", help="rows not to choose again"
    )
    parser.add_argument("--scores", type=Path, metavar="CSV", help="inference.csv of the pool, for hard and uncertain")
    parser.add_argument("--threshold", type=float, metavar="T", help="of the model, for uncertain")
    parser.add_argument("--budget", type=int, metavar="N", help="most rows (default: top-k per weak sample)")
    parser.add_argument("--seed", type=int, default=42, help="of random (default 42)")
    parser.add_argument(
        "--pool-embeddings", type=Path, metavar="PARQUET", help="filepath, embedding of another encoder"
    )
    parser.add_argument("--target-embeddings", type=Path, metavar="PARQUET", help="the same for the weak samples")
    parser.add_argument("--cache", type=Path, metavar="PARQUET", help="vectors by content (default: beside the pool)")
    add_workspace(parser)
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from noescape.cli.progress import tell
    from noescape.deft.mine import Embeddings, mine
    from noescape.records import UsageError

    if (args.pool_embeddings is None) != (args.target_embeddings is None):
        raise UsageError("give --pool-embeddings and --target-embeddings together, from one encoder")
    cache = args.cache or args.pool.parent / "source_embeddings.parquet"
    source = Embeddings(cache=cache)
    if args.pool_embeddings:
        source = Embeddings(name="given", pool=args.pool_embeddings, targets=args.target_embeddings)
    done = mine(
        args.targets,
        args.pool,
        args.out,
        workspace=args.workspace,
        top_k=args.top_k,
        min_similarity=args.min_similarity,
        select=args.select,
        exclude=args.exclude,
        scores=args.scores,
        threshold=args.threshold,
        budget=args.budget,
        seed=args.seed,
        embeddings=source,
        tell=tell,
    )
    told = {
        "select": done.select, "candidates": done.candidates, "kept": done.kept, "rejected": done.rejected,
        "similarity_threshold": done.similarity_threshold, "synthetic": done.synthetic, "labels": done.labels,
        "excluded": done.excluded, "lost": [one.to_json() for one in done.lost], "warnings": list(done.warnings),
        "mining_pool": str(done.mining_pool),
    }  # fmt: skip
    finish(args, told, [(args.out / "mining_summary.txt").read_text("utf-8").rstrip()])
    return 0
