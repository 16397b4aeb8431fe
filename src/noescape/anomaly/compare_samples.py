"""The same few images seen by two models: which ones, their overlays, and one picture with all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from noescape.anomaly.bundle import Bundle
from noescape.anomaly.compare_sheet import Cell, SheetRow, sheet_png
from noescape.anomaly.paired import Scored
from noescape.anomaly.progress import Tell
from noescape.anomaly.run_data import tested_data
from noescape.anomaly.verdict import Judge
from noescape.datasets import data_digest
from noescape.files import safe_name, write_bytes
from noescape.imaging import png_bytes, read_picture
from noescape.records import DataError, ImageError, Sample, UsageError

U8 = npt.NDArray[np.uint8]
SEVERITIES = ("mild", "medium", "severe")
PER_SEVERITY = 2


@dataclass(frozen=True, kw_only=True)
class Side:
    """One of the two runs: its folder, and what it is called here."""

    folder: Path
    label: str


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """One image that is shown: `name` starts its file names; `why` says why it was taken."""

    name: str
    sample: Sample
    why: str
    mask_share: float | None


def draw_samples(
    sides: Sequence[Side],
    out: Path,
    scored: Scored,
    keys: Sequence[str],
    metrics: dict[str, Any],
    root: Path | None,
    tell: Tell,
) -> list[dict[str, Any]]:
    """Write the overlays of both sides and side_by_side.png; returns what was drawn.

    `keys` are the images of `scored`, in its order. The data set is the one of the first run's configuration or
    `root`; DataError where it does not hold the images that were evaluated.
    """
    bundles = [Bundle(side.folder) for side in sides]
    samples = _samples(bundles[0], root, metrics)
    chosen = choose(scored, [samples[key] for key in keys], bundles[0].config.data.max_pixels)
    detectors = [bundle.detector() for bundle in bundles]
    rows, listed = [], []
    step = tell("drawing samples", len(chosen))
    for number, one in enumerate(chosen, 1):
        cells, entry = [], {"image_path": one.sample.key, "why": one.why, "mask_share": one.mask_share}
        files: dict[str, str] = {}
        for key, side, bundle, detector in zip("ab", sides, bundles, detectors, strict=True):
            row, overlay = _judged(one.sample, bundle, detector)
            files[key] = f"{side.label}/{one.name}_overlay.png"
            write_bytes(out / files[key], png_bytes(overlay), sync=False)
            entry[f"score_{key}"], entry[f"label_{key}"] = row["pred_score"], row["label"]
            over = "over" if row["label"] == "NG" else "limit"
            caption = f"{row['label']}   {row['pred_score']:.4g}   {over} {row['image_threshold']:.4g}"
            cells.append(Cell(rgb=overlay, caption=caption, alarm=row["label"] == "NG"))
        rows.append(_sheet_row(one, cells, bundles[0].config.data.max_pixels))
        listed.append({**entry, "files": files})
        step(number)
    titles = ("original", "truth", sides[0].label, sides[1].label)
    write_bytes(out / "side_by_side.png", sheet_png(titles, rows))
    return listed


def choose(scored: Scored, samples: Sequence[Sample], max_pixels: int) -> list[Chosen]:
    """Two good images and up to six defects, the same for the same scores and data, whichever model comes first.

    Good: the most usual and the most unusual one, by the mean rank of both models' scores. Defects: thirds by size of
    the mask (where nothing has a mask: by mean rank), from each third the middle one, then the next of another type.
    """
    rank = _mean_rank(scored)
    order = sorted(range(len(samples)), key=lambda i: (rank[i], samples[i].key))
    good = [i for i in order if not scored.defect[i]]
    out = []
    if good:
        picks = [(good[len(good) // 2], "a usual good image"), (good[-1], "the least usual good image")]
        for number, (i, why) in enumerate(picks[: len(good)], 1):
            out.append(Chosen(name=f"good_{number:02d}", sample=samples[i], why=why, mask_share=None))
    return out + _defects([i for i in order if scored.defect[i]], samples, max_pixels)


def _defects(order: list[int], samples: Sequence[Sample], max_pixels: int) -> list[Chosen]:
    """`order`: the defective images, by mean rank."""
    shares = {i: share for i in order if (share := _mask_share(samples[i], max_pixels)) is not None}
    by = "mask size" if shares else "score"
    if shares:
        order = sorted(shares, key=lambda i: (shares[i], samples[i].key))
    out: list[Chosen] = []
    for band, severity in enumerate(SEVERITIES):
        third = [i for at, i in enumerate(order) if int(3 * (at + 0.5) / len(order)) == band]
        for i in _two(third, samples):
            kind = safe_name(samples[i].defect_type, limit=40)
            name = f"defect_{severity}_{kind}_{len(out) + 1:02d}"
            why = f"{severity} by {by}"
            out.append(Chosen(name=name, sample=samples[i], why=why, mask_share=shares.get(i)))
    return out


def _two(third: list[int], samples: Sequence[Sample]) -> list[int]:
    """The middle one and the one nearest to it of another type, else of the same; in order of severity."""
    if len(third) <= PER_SEVERITY:
        return third
    middle = len(third) // 2
    nearest = sorted((at for at in range(len(third)) if at != middle), key=lambda at: (abs(at - middle), at))
    kind = samples[third[middle]].defect_type
    other = next((at for at in nearest if samples[third[at]].defect_type != kind), nearest[0])
    return [third[at] for at in sorted((middle, other))]


def _mean_rank(scored: Scored) -> npt.NDArray[np.float64]:
    """For each image the mean over both models of the number of images that score lower."""
    ranks = [np.searchsorted(np.sort(s), s) for s in scored.scores]
    return np.asarray((ranks[0] + ranks[1]) / 2, np.float64)


def _mask_share(sample: Sample, max_pixels: int) -> float | None:
    mask = _mask(sample, max_pixels)
    return None if mask is None else float((mask > 0).mean())


def _mask(sample: Sample, max_pixels: int) -> U8 | None:
    if sample.mask is None:
        return None
    try:
        grey: U8 = read_picture(sample.mask, max_pixels=max_pixels).rgb.max(2)
    except ImageError:
        return None
    return grey if grey.any() else None


def _samples(bundle: Bundle, root: Path | None, metrics: dict[str, Any]) -> dict[str, Sample]:
    """The evaluated samples by key."""
    try:
        dataset = tested_data(bundle, root)
    except (DataError, UsageError) as error:
        raise type(error)(f"{error}\n(or leave the pictures out with --no-samples)") from None
    samples = list(dataset.test)
    if str(metrics.get("uncertain", "")).startswith("counted"):
        samples += [replace(s, label=1, mask=None) for s in dataset.uncertain]
    if (found := data_digest(samples)) != metrics["data_digest"]:
        raise DataError(
            f"{dataset.root}: the test images are not those that were evaluated (digest {found[:12]}…, metrics.json "
            f"says {str(metrics['data_digest'])[:12]}…): give those with --data-root, or use --no-samples"
        )
    return {sample.key: sample for sample in samples}


def _judged(sample: Sample, bundle: Bundle, detector: Any) -> tuple[dict[str, Any], U8]:
    picture = read_picture(
        sample.image, max_pixels=bundle.config.data.max_pixels, white_level=bundle.meta["white_level"]
    )
    score, finished = detector.score(picture.rgb)
    judge = Judge(model=bundle.meta["model"], category=bundle.meta["category"], thresholds=bundle.thresholds)
    row, _, overlay = judge.row(1, sample, score, finished, picture.rgb, [])
    return row, overlay


def _sheet_row(one: Chosen, judged: list[Cell], max_pixels: int) -> SheetRow:
    rgb = read_picture(one.sample.image, max_pixels=max_pixels).rgb
    mask = _mask(one.sample, max_pixels)
    if one.sample.label == 0:
        truth = Cell(rgb=rgb, caption="good")
    elif mask is None:
        truth = Cell(rgb=rgb, caption=f"{one.sample.defect_type}, no mask")
    else:
        share = f"{100 * (one.mask_share or 0):.2g}% of the image"
        truth = Cell(rgb=rgb, caption=f"{one.sample.defect_type}, {share}", mask=mask)
    return SheetRow(title=one.why, key=one.sample.key, cells=(Cell(rgb=rgb), truth, *judged))
