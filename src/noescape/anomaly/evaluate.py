"""Evaluate: scores of a test set against its truth, with n and bounds, on a named evaluator and named data."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from noescape.anomaly.bundle import Bundle
from noescape.anomaly.progress import Tell, silent
from noescape.anomaly.run_data import tested_data
from noescape.datasets import Dataset, data_digest
from noescape.files import write_json, write_jsonl
from noescape.imaging import label_regions, read_picture, resize_mask
from noescape.imaging.parallel import ordered_map, worker_count
from noescape.metrics import PixelScores, evaluate_images, evaluator_digest, operating_point, pixel_summary, rate_fields
from noescape.records import GOOD_TYPE, DataError, ImageError, Sample

Float = npt.NDArray[np.float32]


def evaluate(
    run: Path,
    *,
    tell: Tell = silent,
    include_uncertain: bool = False,
    precision: str | None = None,
    root: Path | None = None,
) -> dict[str, Any]:
    """Score the test images of the run's data set (or of `root`) and write metrics.json and preds_test.jsonl."""
    bundle = Bundle(run)
    return evaluate_test(
        run,
        tested_data(bundle, root),
        tell=tell,
        include_uncertain=include_uncertain,
        precision=precision,
        bundle=bundle,
    )


def evaluate_test(
    run: Path,
    dataset: Dataset,
    *,
    tell: Tell = silent,
    include_uncertain: bool = False,
    precision: str | None = None,
    bundle: Bundle | None = None,
) -> dict[str, Any]:
    """The same for a data set at hand. `include_uncertain` counts test/uncertain as defective, as its own type."""
    bundle = bundle or Bundle(run)
    samples = list(dataset.test)
    if include_uncertain:
        samples += [_as_defect(s) for s in dataset.uncertain]
    if not samples:
        raise DataError(f"{dataset.root} has no test images (test/<type>/): there is nothing to evaluate")
    rows, pixels = _score(bundle, samples, tell, precision)
    metrics = summary(rows, pixels, bundle.thresholds)
    metrics |= {
        "model": bundle.meta["model"],
        "category": bundle.meta["category"],
        "run_id": bundle.meta["run_id"],
        "data_digest": data_digest(samples),
        "evaluator_digest": evaluator_digest(),
        "uncertain": "counted as defective" if include_uncertain else f"left out ({len(dataset.uncertain)} images)",
    }
    (run / "metrics.json").unlink(missing_ok=True)  # so that a kill here cannot leave rows and figures that differ
    write_jsonl(run / "preds_test.jsonl", rows)
    write_json(run / "metrics.json", metrics)
    return metrics


def summary(rows: Sequence[dict[str, Any]], pixels: dict[str, PixelScores], limits: dict[str, Any]) -> dict[str, Any]:
    """All figures of scored rows; `pixels` by defect type with the good images under "good"; `limits` is the content
    of thresholds.json. Where a few unusual good images decide the threshold, `without_unusual` counts these rows at
    the one that the others give."""
    good = [r for r in rows if "error" not in r]
    if not good:
        raise DataError("none of the test images could be read")
    out = evaluate_images(
        np.array([r["gt_label"] for r in good]),
        np.array([r["pred_score"] for r in good]),
        [r["gt_type"] for r in good],
        limits["image_threshold"],
    )
    if other := limits.get("without_unusual"):
        out["without_unusual"] = _counted(good, other["image_threshold"])
    everything = PixelScores()
    for one in pixels.values():
        everything.merge(one)
    whole = pixel_summary(everything)
    out["n"] = {**out["n"], "errors": len(rows) - len(good), **{f"pixel_{k}": v for k, v in whole.pop("n").items()}}
    for name, figures in out["per_type"].items():
        own = PixelScores()
        for part in (GOOD_TYPE, name):
            if part in pixels:
                own.merge(pixels[part])
        figures |= {k: v for k, v in pixel_summary(own).items() if k != "n"} if name in pixels else _no_pixels()
    return {**whole, **out}


def _counted(rows: Sequence[dict[str, Any]], threshold: float) -> dict[str, Any]:
    labels, scores = (np.array([r[name] for r in rows]) for name in ("gt_label", "pred_score"))
    at = operating_point(labels, scores, threshold)
    return {
        "threshold": threshold,
        "false_alarm_rate": rate_fields(at.false_alarm_rate, "FP/(FP+TN)"),
        "miss_rate": rate_fields(at.miss_rate, "FN/(TP+FN)"),
    }


def _no_pixels() -> dict[str, None]:
    return {k: None for k in pixel_summary(PixelScores()) if k != "n"}


def _score(
    bundle: Bundle, samples: list[Sample], tell: Tell, precision: str | None
) -> tuple[list[dict[str, Any]], dict[str, PixelScores]]:
    workers = worker_count(bundle.config.data.num_workers)
    detector = bundle.detector(streams=workers, precision=precision)
    read = partial(read_picture, max_pixels=bundle.config.data.max_pixels, white_level=bundle.meta["white_level"])

    def one(sample: Sample) -> tuple[dict[str, Any], Float | None, Any]:
        row = {"image_path": sample.key, "gt_label": sample.label, "gt_type": sample.defect_type, "group": sample.group}
        try:
            picture = read(sample.image)
            score, finished = detector.score(picture.rgb)
            truth = _truth(sample, finished, picture.height, picture.width, bundle.config.data.max_pixels)
        except ImageError as error:
            return {**row, "error": {"code": error.code, "reason": error.reason}}, None, None
        except DataError as error:  # this image does not suit the model
            return {**row, "error": {"code": "unsuitable", "reason": str(error)}}, None, None
        label = "NG" if score > bundle.thresholds["image_threshold"] else "OK"
        return {**row, "pred_score": score, "label": label}, finished, truth

    rows: list[dict[str, Any]] = []
    pixels: dict[str, PixelScores] = {}
    masked = any(s.mask for s in samples)
    step = tell("scoring test images", len(samples))
    for number, (row, finished, truth) in enumerate(ordered_map(one, samples, workers), 1):
        rows.append(row)
        # A defective image without a mask would count all its pixels as good: it is left out of pixel figures.
        if masked and finished is not None and (row["gt_label"] == 0 or truth is not None):
            mask, regions = truth or (None, None)
            pixels.setdefault(row["gt_type"], PixelScores()).add(finished, mask, regions)
        step(number)
    return rows, pixels


def _truth(sample: Sample, finished: Float, height: int, width: int, max_pixels: int) -> Any:
    """(mask, regions) at the size of the map, or None without a mask. ImageError where the mask does not fit."""
    if sample.label != 1 or sample.mask is None:
        return None
    mask = read_picture(sample.mask, max_pixels=max_pixels).rgb.max(2)
    if mask.shape != (height, width):
        raise ImageError(
            sample.mask, "mask_size", f"the mask is {mask.shape[1]}x{mask.shape[0]}, its image {width}x{height}"
        )
    scaled = resize_mask(mask, *finished.shape)
    return (scaled, label_regions(scaled)) if scaled.any() else None


def _as_defect(sample: Sample) -> Sample:
    return Sample(key=sample.key, image=sample.image, label=1, defect_type=sample.defect_type, group=sample.group)
