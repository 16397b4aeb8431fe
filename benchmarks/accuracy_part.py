"""Accuracy: both sides on the same images, measured with our metrics on maps of 256 x 256."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from jobs import OURS, OURS_NO_NORM, PARITY, Runner, Side, Split, fit_cpu_s, read_timing
from noescape.imaging import label_regions, read_picture, resize_mask
from noescape.metrics import PixelScores, auroc
from tables import fixed, paired, table

METRICS = ("image_auroc", "pixel_ap", "aupro")
TITLES = {"image_auroc": "image AUROC", "pixel_ap": "pixel AP", "aupro": "AUPRO (to 30% FPR)"}


def figures(split: Split, folder: Path) -> dict[str, float | None]:
    """The three figures of one result; pixel figures are None where the split has no masks."""
    with np.load(folder / "result.npz", allow_pickle=False) as result:
        scores = result["scores"]
        maps = result["maps"] if split.masked else None
    labels = np.array([sample.label for sample in split.test])
    out: dict[str, float | None] = {"image_auroc": auroc(labels, scores), "pixel_ap": None, "aupro": None}
    if maps is None:
        return out
    pixels = PixelScores()
    for sample, one in zip(split.test, maps, strict=True):
        values = one.astype(np.float32)
        if sample.label == 0:
            pixels.add(values)
        elif sample.mask is not None:
            mask = resize_mask(read_picture(sample.mask).rgb.max(2), *values.shape)
            if mask.any():
                pixels.add(values, mask, label_regions(mask))
    return out | {"pixel_ap": pixels.average_precision(), "aupro": pixels.aupro()}


def measure(runner: Runner, splits: list[Split], sides: tuple[Side, ...]) -> list[dict[str, Any]]:
    """One entry a split: its counts, and for each model its figures and what they cost."""
    folders = {(side.name, split.name): runner.kept(side, split) for side in sides for split in splits}
    out = []
    for split in splits:
        models = {}
        for side in sides:
            folder = folders[side.name, split.name]
            timing = read_timing(folder)
            embed_s, learn_s = fit_cpu_s(timing)
            models[side.name] = {
                **figures(split, folder),
                "embed_cpu_s": embed_s,
                "learn_cpu_s": learn_s,
                "model_cpu_ms": timing["predict_ms"]["model"]["cpu"]["median"],
                "peak_mb": timing["maxrss_mb"],
            }
        labels = [sample.label for sample in split.test]
        counts = {"train": len(split.train), "good": labels.count(0), "defect": labels.count(1)}
        out.append({"split": split.name, "n": counts, "masked": split.masked, "models": models})
    return out


def accuracy(runner: Runner, splits: list[Split]) -> tuple[dict[str, Any], str]:
    sides = OURS + ((PARITY, *runner.peer_sides) if runner.peer else ())
    found = measure(runner, splits, sides)
    text = _per_split(found, sides)
    differences: dict[str, Any] = {}
    if runner.peer:
        pairs = {"better of ours − better of anomalib's": (_names(OURS), _names(runner.peer_sides))} | {
            f"{a.name} − {b.name}": ([a.name], [b.name])
            for a in OURS
            for b in runner.peer_sides
            if b.name.endswith(f" {a.name}")
        }
        differences, more = _differences(found, pairs)
        text += "\n" + more
    return {"splits": found, "differences": differences}, text


def norm(runner: Runner, splits: list[Split]) -> tuple[dict[str, Any], str]:
    """The root norm of features against none, all else equal."""
    sides = OURS + OURS_NO_NORM
    found = measure(runner, splits, sides)
    pairs = {f"{a.name}: root − none": ([a.name], [b.name]) for a, b in zip(OURS, OURS_NO_NORM)}
    differences, more = _differences(found, pairs)
    return {"splits": found, "differences": differences}, _per_split(found, sides) + "\n" + more


def _names(sides: tuple[Side, ...]) -> list[str]:
    return [side.name for side in sides]


def _per_split(found: list[dict[str, Any]], sides: tuple[Side, ...]) -> str:
    """AUROC / AP / AUPRO of each model on each split, and the means; without masks the AUROC alone."""
    rows = []
    for entry in found:
        n = entry["n"]
        cells = [_cell(entry["models"][side.name]) for side in sides]
        rows.append([entry["split"], f"{n['train']} / {n['good']} / {n['defect']}", *cells])
    for masked in (True, False):
        part = [entry for entry in found if entry["masked"] is masked]
        if part:
            means = []
            for side in sides:
                values = {m: [entry["models"][side.name][m] for entry in part] for m in METRICS}
                means.append(_cell({m: None if None in v else float(np.mean(v)) for m, v in values.items()}))
            rows.append([f"**mean of {len(part)}**", "", *means])
    return table(["split", "n train / good / defect", *_names(sides)], rows)


def _cell(values: dict[str, Any]) -> str:
    return " / ".join(
        fixed(values[m], 4 if values["pixel_ap"] is None else 3) for m in METRICS if values[m] is not None
    )


def _differences(
    found: list[dict[str, Any]], pairs: dict[str, tuple[list[str], list[str]]]
) -> tuple[dict[str, Any], str]:
    """Paired differences over splits; of several models the best on the split by that metric counts."""
    groups = {"all": found} | {
        kind: part
        for kind in sorted({_kind(entry["split"]) for entry in found})
        if 1 < len(part := [entry for entry in found if _kind(entry["split"]) == kind]) < len(found)
    }
    out: dict[str, Any] = {}
    rows = []
    for name, (left, right) in pairs.items():
        for group, entries in groups.items():
            for metric in METRICS:
                if any(entry["models"][left[0]][metric] is None for entry in entries):
                    continue
                each = [
                    max(entry["models"][a][metric] for a in left) - max(entry["models"][b][metric] for b in right)
                    for entry in entries
                ]
                interval = paired(each)
                out.setdefault(name, {}).setdefault(group, {})[metric] = asdict(interval)
                rows.append([name, group, TITLES[metric], interval])
    return out, table(["paired difference", "splits", "figure", "mean [95% interval over splits]"], rows)


def _kind(split: str) -> str:
    return split.rpartition("/")[2]
