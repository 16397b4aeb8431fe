"""`noescape defects generate`: the images that a testcase.jsonl asks for, with labels and provenance."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

DESCRIPTION = """\
Draw the defects that testcase.jsonl asks for (`noescape defects place` writes one).

  noescape defects generate --checkpoint-dir models/my_part --input-jsonl testcase.jsonl --output-dir out --seed 0

OUT gets reconstructed_image/ (the defect), original_image/ (its clean twin), original_mask/ (its label), pictures to
look at, SDG_result.csv and provenance.jsonl. A row that fails costs itself alone: see errors.jsonl. The same command
goes on where a killed one stopped. Same seed, same bytes, whatever the number of workers.
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `generate`."""
    p = commands.add_parser(
        "generate",
        help="draw the defects that a testcase.jsonl asks for",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("--checkpoint-dir", type=Path, required=True, metavar="C", help="what `finetune` wrote")
    p.add_argument(
        "--step", type=int, metavar="N", help="a saved step (default: the best by valid_kpi.csv, else latest)"
    )
    p.add_argument("--input-jsonl", type=Path, required=True, metavar="FILE", help="the test cases")
    p.add_argument("--output-dir", type=Path, required=True, metavar="OUT")
    p.add_argument("--seed", type=int, default=0, help="beside the seed of each row (default 0)")
    p.add_argument("--workers", type=int, default=0, metavar="N", help="threads (default 0: one per core)")
    p.add_argument(
        "--refine-rounds", type=int, default=0, metavar="N", help="draw N times more, keep the best (default 0)"
    )
    p.add_argument("--threshold", type=float, default=0.0, metavar="S", help="least score of an image (default: none)")
    p.add_argument("--tries", type=int, default=5, metavar="N", help="draws more for what is under it (default 5)")
    p.add_argument(
        "--score", default="nn", choices=("nn", "completeness", "aq_nn"), help="what both go by (default nn)"
    )
    p.add_argument("--overwrite", action="store_true", help="replace the results of another generation in OUT")
    p.add_argument("--strict", action="store_true", help="exit with 1 if any row failed")
    p.add_argument("--dry-run", action="store_true", help="check everything, estimate time and disk, and stop")
    p.add_argument("--json", action="store_true", help="print summary.json")
    p.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """0 when anything was made (`--strict`: everything), else 1."""
    from noescape.cli.progress import tell
    from noescape.defects.generators.diffusion.shards import generate_sharded
    from noescape.defects.generators.diffusion.world import joined
    from noescape.defects.generators.plan import estimate, plan
    from noescape.defects.quality.filter import SearchOptions
    from noescape.files import check_folder, dump_json
    from noescape.records import UsageError

    if args.seed < 0:
        raise UsageError(f"--seed: expected 0 or more, got {args.seed}")
    check_folder(args.output_dir)
    look = SearchOptions(rounds=args.refine_rounds, threshold=args.threshold, tries=args.tries)
    planned = plan(args.checkpoint_dir, args.input_jsonl, step=args.step)
    lost = sorted(name for name, digest in planned.digests.items() if digest is None)
    if lost:
        shown = ", ".join(repr(name)[1:-1] for name in lost[:5]) + (" …" if len(lost) > 5 else "")
        print(f"note: {len(lost)} of the files named are not there, their rows will fail: {shown}", file=sys.stderr)
    if args.dry_run:
        print(estimate(planned))
        return 0
    with joined() as world:
        summary = generate_sharded(
            planned, args.output_dir, world, seed=args.seed, workers=args.workers, overwrite=args.overwrite, look=look,
            measure=args.score, tell=tell,
        )  # fmt: skip
    if not world.leads:
        return 0
    if args.json:
        print(dump_json(summary), end="")
    else:
        _say(summary, args.output_dir)
    failed = summary["failed"] > 0 if args.strict else summary["made"] == 0
    return 1 if failed else 0


def _say(summary: dict[str, object], out: Path) -> None:
    made, types, copies = summary["made"], summary["types"], summary["near_copies"]
    assert isinstance(types, dict) and isinstance(copies, dict)  # noqa: S101 - for the type checker
    print(f"{made} images with {summary['instances']} defects: " + ", ".join(f"{k} {n}" for k, n in types.items()))
    if copies["n"]:
        print(f"near copies: {copies['count']} of {copies['n']} ({copies['formula']}; median {copies['median_ncc']})")
    if summary["failed"]:
        print(f"{summary['failed']} failed ({summary['failures']}): see {out / 'errors.jsonl'}")
    print(f"table: {out / 'SDG_result.csv'}   images: {out / 'reconstructed_image'}   labels: {out / 'original_mask'}")
