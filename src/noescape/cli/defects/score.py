"""`noescape defects score`: how good generated defects are, beside real ones."""

from __future__ import annotations

import argparse
from contextlib import nullcontext
from pathlib import Path

DESCRIPTION = """\
Hold generated defects against real ones, against their own clean originals and against each other.

  noescape defects score raw/ out/                      raw/: AnomalyGen or MVTec AD layout; out/: what `generate` wrote
  noescape defects score raw/ out/ --test parts/ --out quality/

Every figure stands beside its floor, what real pictures give against each other, and its n: few real pictures can only
show large differences. With --test, pictures that show what the test split shows are found: nothing that leaks may be
learnt from. None of these figures says that an inspector gets better; `noescape defects choose` measures that.
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `score`."""
    p = commands.add_parser(
        "score",
        help="how good generated defects are, beside real ones",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("real", type=Path, metavar="REAL", help="real defects with masks (AnomalyGen or MVTec AD layout)")
    p.add_argument("generated", type=Path, metavar="GENERATED", help="the output of `generate`, or such a layout")
    p.add_argument("--test", type=Path, metavar="SPLIT", help="test pictures that nothing may leak from (any layout)")
    p.add_argument("--category", metavar="NAME", help="which category of an MVTec AD folder")
    p.add_argument("--backbone", default="efficientnet_lite0", help="features (default %(default)s; any known name)")
    p.add_argument("--weights", type=Path, metavar="FILE", help="local weights of that backbone")
    p.add_argument("--device", default="cpu", help="cpu, cuda or auto (default cpu)")
    p.add_argument("--seed", type=int, default=0, help="of random halves and folds (default 0)")
    p.add_argument("--workers", type=int, default=0, metavar="N", help="threads (default 0: one per core)")
    p.add_argument("--out", type=Path, metavar="DIR", help="write quality.json, quality.txt and per_sample.csv there")
    p.add_argument("--json", action="store_true", help="print quality.json")
    p.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """0 when it was scored, whatever came out."""
    from noescape.cli.progress import tell
    from noescape.defects.quality.score import ScoreOptions, score, write_report
    from noescape.defects.quality.table import table_text
    from noescape.files import dump_json, one_at_a_time
    from noescape.records import UsageError

    if args.seed < 0:
        raise UsageError(f"--seed: expected 0 or more, got {args.seed}")
    options = ScoreOptions(
        backbone=args.backbone, weights=args.weights, device=args.device, category=args.category, test=args.test,
        seed=args.seed, workers=args.workers,
    )  # fmt: skip
    with nullcontext() if args.out is None else one_at_a_time(args.out):
        scored = score(args.real, args.generated, options, tell=tell)
        text = table_text(scored)
        if args.out is not None:
            write_report(scored, args.out, text)
    print(dump_json(scored.report) if args.json else text, end="")
    if args.out is not None and not args.json:
        print(f"\nreport: {args.out / 'quality.json'}   pictures: {args.out / 'per_sample.csv'}")
    return 0
