"""Figures for the terminal: always with n, and with the bound that n allows."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any


def metric_lines(metrics: dict[str, Any]) -> list[str]:
    """The main figures of metrics.json, one line each."""
    n = metrics["n"]
    lines = [f"{n['images']} images: {n['good']} good, {n['defect']} defective, {n.get('errors', 0)} unreadable"]
    auroc = metrics["image_auroc"]
    if auroc is not None:
        low, high = metrics["image_auroc_bounds"]
        lines.append(f"image AUROC       {auroc:.4f}  (at least {low:.3f}, at most {high:.3f}; 95% each side)")
    if metrics.get("pixel_auroc") is not None:
        regions = f"{n['pixel_regions']} regions on {n['pixel_images']} images"
        lines.append(
            f"pixel AUROC {metrics['pixel_auroc']:.4f}   pixel AP {metrics['pixel_ap']:.4f}   "
            f"AUPRO {metrics['pixel_aupro']:.4f}  ({regions})"
        )
    at = metrics["at_threshold"]
    lines.append(f"at threshold {at['threshold']:.4f} (NG if over it):")
    lines.append(f"  false alarms    {rate_text(at['false_alarm_rate'])}   FP/(FP+TN), good parts stopped")
    lines.append(f"  missed defects  {rate_text(at['miss_rate'])}   FN/(TP+FN), defects let through")
    for point in metrics["false_alarm_rate_at_recall"]:
        lines.append(f"  at {point['recall']:.0%} recall: false alarms {rate_text(point['false_alarm_rate'])}")
    return lines


def unusual_lines(run: Path, metrics: dict[str, Any] | None = None, root: Path | None = None) -> list[str]:
    """What to do where a few unusual good images decide the threshold of `run`; nothing where they do not.

    `metrics` of images with truth say what that costs; `root` is the folder that names of good images start from, if
    it is known.
    """
    from noescape.cli.data_text import printed
    from noescape.files import read_json_object

    limits = read_json_object(run / "thresholds.json", "thresholds")
    other = limits.get("without_unusual")
    if not other:
        return []
    names, n, limit = other["images"], limits["n_good"], other["image_threshold"]
    parts = [f"all {size} of {printed(group)}" for group, size in other["groups"].items()]
    alone = len(names) - sum(other["groups"].values())
    parts += [f"{alone} other{'s' if alone > 1 else ''}"] if parts and alone else []
    place, where = shlex.quote(str(run)), shlex.quote(str(run / "unusual_good.txt"))
    folder = ""
    if read_json_object(run / "meta.json", "what fit wrote").get("plain_folder"):
        folder = f"--good {shlex.quote(str(root)) if root else 'GOOD'} "
    return [
        f"WARNING: {len(names)} of {n} good images stand apart and hold the threshold up: defects pass under it",
        f"  held out they score far above the rest: {', '.join([*parts, 'first ' + printed(names[0])])}",
        f"  without them the same rule gives {limit:.4f} instead of {limits['image_threshold']:.4f}{_cost(metrics)}",
        f"  look at them: {where} names them{f', in {root}' if root else ''}. Then, if they are",
        "  - not as good parts should be: fit again without them (first delete the lines of those to keep)",
        f"      noescape fit {folder}--config {shlex.quote(str(run / 'config.yaml'))} --run-id "
        f"{shlex.quote(run.name + '-2')} --leave-out {where}",
        "  - good: fit again with more like them; or have such parts stopped, too, for a person to look at",
        f"      noescape tune {place} --image-threshold {limit:.4f}",
    ]


def _cost(metrics: dict[str, Any] | None) -> str:
    """What these images would have at the other threshold, as the second half of a sentence."""
    then, now = (metrics or {}).get("without_unusual"), (metrics or {}).get("at_threshold")
    if not then or not now:
        return ""
    (missed, defects, before), (stopped, good, until_now) = (
        (then[name]["events"], then[name]["n"], now[name]["events"]) for name in ("miss_rate", "false_alarm_rate")
    )
    return (
        f";\n  on these images that misses {missed} of {defects} defects instead of {before}, and stops {stopped} of "
        f"{good} good parts instead of {until_now}"
    )


def rate_text(rate: dict[str, Any]) -> str:
    """`2.4% (5 of 208, at most 5.0%)`."""
    if rate["value"] is None:
        return "unknown (no case)"
    return f"{rate['value']:.1%} ({rate['events']} of {rate['n']}, at most {rate['upper']:.1%} with 95% confidence)"
