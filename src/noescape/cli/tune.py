"""`noescape tune`: new thresholds, or more good images, without fitting again."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

HELP = """\
New thresholds for a run, or more good images, without fitting again.

  noescape tune RUN --good new_good/                              the configured percentiles of their scores
  noescape tune RUN --good new_good/ --target-false-alarm 1%      at most 1% of them over the threshold
  noescape tune RUN --good new_good/ --keep-old                   count the good scores of fitting as well
  noescape tune RUN --good new_good/ --learn                      the model also learns these images
  noescape tune RUN --image-threshold 12.3                        set it; thresholds_history.jsonl keeps the old one

The new images must be of good parts and unseen by the model: take them from the line, some from each shift. What n
images can prove is said with the result. With --learn the thresholds come from the scores before learning, when the
images were still unseen. Killed anywhere, the run is the old one or the new one.
"""
WORST = 5


def register(commands: Any) -> None:
    """Add the command."""
    p = commands.add_parser(
        "tune",
        help="new thresholds, or more good images, without refitting",
        description=HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    p.add_argument("run_dir", metavar="RUN", type=Path, help="run folder")
    p.add_argument("--good", type=Path, metavar="FOLDER", help="new images of good parts, searched recursively")
    p.add_argument("--target-false-alarm", metavar="SHARE", help="share of good parts that may be stopped: 1%% or 0.01")
    p.add_argument("--keep-old", action="store_true", help="the stored good scores count too")
    p.add_argument("--learn", action="store_true", help="the model learns the new images; thresholds from before that")
    p.add_argument("--force", action="store_true", help="with --learn: also images that the model calls NG")
    p.add_argument("--image-threshold", type=float, metavar="X", help="set it: NG if the score is over X")
    p.add_argument("--pixel-threshold", type=float, metavar="X", help="set it: defect where the map is over X")
    p.add_argument(
        "--review-band", type=float, nargs=2, metavar=("LOW", "HIGH"), help="percentiles of good scores (as in fit)"
    )
    p.add_argument("--review-scores", type=float, nargs=2, metavar=("LOW", "HIGH"), help="the same in scores")
    p.add_argument("--dry-run", action="store_true", help="score and say what would change, write nothing")
    p.add_argument("--json", action="store_true", help="print the result as JSON, with a row for each image")
    p.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Tune and say what changed and what it proves."""
    from noescape.anomaly.tune import Tuning, parse_share, tune
    from noescape.cli.progress import tell
    from noescape.files import dump_json

    wanted = Tuning(
        good=args.good,
        target=parse_share(args.target_false_alarm) if args.target_false_alarm else None,
        keep_old=args.keep_old,
        learn=args.learn,
        force=args.force,
        image_threshold=args.image_threshold,
        pixel_threshold=args.pixel_threshold,
        band=tuple(args.review_scores) if args.review_scores else None,
        band_percentiles=tuple(args.review_band) if args.review_band else None,
        dry_run=args.dry_run,
    )
    report = tune(args.run_dir, wanted, tell=tell)
    print(dump_json(report) if args.json else "\n".join(lines(report, args.run_dir)) + "\n", end="")
    return 0


def lines(report: dict[str, Any], run: Path) -> list[str]:
    """The result for people."""
    import shlex

    out = _images(report)
    before, after = report["before"], report["after"]
    for name in ("image", "pixel"):
        rule = (after["tuned"] or {}).get(name, "unchanged")
        out.append(f"{name} threshold {before[f'{name}_threshold']:.4f} → {after[f'{name}_threshold']:.4f}  ({rule})")
    if after["review_band"]:
        out.append("review band {:.4f} to {:.4f}".format(*after["review_band"]))
    out.append(f"false alarms: {report['false_alarms']['text']}")
    if report["learnt"]:
        out += _learnt(report["learnt"])
    out += [f"warning: {text}" for text in report["warnings"]]
    if report["dry_run"]:
        return [*out, "dry run: nothing was written"]
    if not report["changed"]:
        return [*out, "nothing changed"]
    out.append(f"old thresholds: {run / 'thresholds_history.jsonl'}")
    if report["removed"]:
        out.append(f"removed, as no longer true: {', '.join(report['removed'])}")
    return [*out, f"next: noescape evaluate --run-dir {shlex.quote(str(run))}   (figures of the run as it is now)"]


def _images(report: dict[str, Any]) -> list[str]:
    from noescape.cli.data_text import printed

    good, rows = report["good_images"], report["images"]
    if not rows:
        return []
    out = [
        f"{good['found']} new good images: {good['used']} used, {good['unreadable']} unreadable, "
        f"{good['duplicates']} there twice; {good['over_threshold_before']} over the old threshold, "
        f"{good['over_threshold']} over the new one"
    ]
    for row in rows:
        if "error" in row:
            error = row["error"]
            out.append(f"  unreadable: {printed(row['image_path'])}: {error['code']}, {printed(error['reason'])}")
    scored = sorted((r for r in rows if "pred_score" in r), key=lambda r: (-r["pred_score"], r["image_path"]))
    out.append("  highest scores (look whether these parts are good):")
    out += [f"    {r['pred_score']:.4f}  {printed(r['image_path'])}" for r in scored[:WORST]]
    return out


def _learnt(said: dict[str, Any]) -> list[str]:
    if "bank_after" in said:
        what = f"the bank grew from {said['bank_before']} to {said['bank_after']} patches"
    elif said["exact"]:
        what = "mean and covariance are those of all images together"
    else:
        what = "mean and variances are those of all images together, weak directions approximately"
    return [
        f"learnt {said['images']} images: {what}",
        "the thresholds come from the scores of these images before they were learnt, when they were unseen",
    ]
