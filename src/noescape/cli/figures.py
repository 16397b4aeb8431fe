"""Figures for the terminal: always with n, and with the bound that n allows."""

from __future__ import annotations

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


def unusual_lines(limits: dict[str, Any]) -> list[str]:
    """What to say when good images far above the rest decide the threshold; nothing when there are none."""
    unusual = [row for row in limits.get("unusual_good") or [] if row["score"] >= 0.8 * limits["image_threshold"]]
    if not unusual:
        return []
    groups = {row["group"] for row in unusual}
    where = f", all of group {groups.pop()}" if len(groups) == 1 and None not in groups and len(unusual) > 1 else ""
    shown = ", ".join(f"{row['image_path']!r} ({row['score']:.1f})" for row in unusual[:3])
    return [
        f"look at this: {len(unusual)} good image(s) score far above the rest when held out, and the threshold follows "
        f"them{where}: {shown}{', …' if len(unusual) > 3 else ''}",
        "  not good after all? remove them and fit again. good? the model needs more like them, or another threshold:",
        "  noescape tune R --good NEW/ --target-false-alarm 1%",
    ]


def rate_text(rate: dict[str, Any]) -> str:
    """`2.4% (5 of 208, at most 5.0%)`."""
    if rate["value"] is None:
        return "unknown (no case)"
    return f"{rate['value']:.1%} ({rate['events']} of {rate['n']}, at most {rate['upper']:.1%} with 95% confidence)"
