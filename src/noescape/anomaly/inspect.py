"""The AOI runner: a folder of images in; a row, a mask and an overlay for each out; killed anywhere, it goes on.

OUT/preds.jsonl  report.json  report.html  ng.csv  timing.json  masks/  overlays/  inspection.json (what this is)
"""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from noescape.anomaly.bundle import Bundle
from noescape.anomaly.detector import Detector
from noescape.anomaly.evaluate import summary
from noescape.anomaly.progress import Tell, silent
from noescape.anomaly.unlike import drift, flags
from noescape.anomaly.verdict import Judge, error_row
from noescape.datasets import data_digest
from noescape.files import (
    JsonlAppender,
    clock_is_stopped,
    read_json_object,
    read_jsonl,
    remove_parts,
    utc_stamp,
    write_bytes,
    write_csv,
    write_json,
)
from noescape.imaging import Appearance, png_bytes, read_picture
from noescape.imaging.parallel import ordered_map, worker_count
from noescape.metrics import evaluator_digest, rate, rate_fields
from noescape.records import DataError, ImageError, Sample, UsageError
from noescape.report import write_inspection_report

OWN = ("preds.jsonl", "report.json", "report.html", "ng.csv", "timing.json", "inspection.json", "masks", "overlays")
NG_HEADER = (
    "image",
    "label",
    "review",
    "score",
    "threshold",
    "defects",
    "area_px",
    "worst_bbox_xyxy",
    "flags",
    "error",
)


@dataclass(frozen=True, kw_only=True)
class Options:
    """How to inspect. `precision` and `workers`: None and 0 = as fitted and one per core; `overwrite` throws away
    other results in the output folder; `html` False leaves the report out (for very large runs)."""

    min_defect_area: int = 0
    precision: str | None = None
    workers: int = 0
    device: str = "cpu"
    overwrite: bool = False
    overlays: bool = True
    html: bool = True


def inspect(
    samples: Sequence[Sample],
    image_root: Path,
    run: Path,
    out: Path,
    options: Options | None = None,
    *,
    tell: Tell = silent,
) -> dict[str, Any]:
    """Inspect `samples` (keys relative to `image_root`) with the bundle `run` into `out`; returns report.json.

    Images that cannot be read cost a row with an error. With truth in the samples the report carries figures. Finished
    rows of the same inspection are kept. DataError without any image; UsageError where `out` holds something else.
    """
    options = options or Options()
    if not samples:
        raise DataError(f"{image_root}: no images (PNG, JPEG, BMP, TIFF or WebP) to inspect")
    bundle = Bundle(run)
    images = data_digest(samples)  # content, not names: a camera may write new pictures under old names
    identity = {
        "bundle": bundle.digest,
        "inputs": images,
        "min_defect_area": options.min_defect_area,
        "precision": options.precision or bundle.meta["precision"],
        "overlays": options.overlays,
    }
    _claim(out, identity, options.overwrite)
    done = _finished_rows(out, samples)
    latencies = _run(samples[done:], done, bundle, out, options, tell, len(samples))
    rows = list(read_jsonl(out / "preds.jsonl"))
    report = _report(rows, images, bundle, image_root)
    write_json(out / "report.json", report)
    if latencies or not (out / "timing.json").is_file():
        write_json(out / "timing.json", {} if clock_is_stopped() else latencies)
    _write_ng(out / "ng.csv", rows)
    if options.html:
        step = tell("writing the report", 1)
        write_inspection_report(out, image_root=image_root)
        step(1)
    return report


def _claim(out: Path, identity: dict[str, Any], overwrite: bool) -> None:
    marker = out / "inspection.json"
    for name in OWN:  # what a kill left; without this a kill before the first whole file would look like other files
        for part in out.glob(f".{name}.*.part"):
            part.unlink(missing_ok=True)
    if out.is_dir() and any(out.iterdir()):
        same = marker.is_file() and _read_identity(marker) == identity
        if not same and not overwrite:
            raise UsageError(
                f"{out} holds {'another inspection' if marker.is_file() else 'other files'} (other images, another "
                "model or other options): choose an empty folder, or --overwrite to replace its results"
            )
        if not same:
            for name in OWN:
                path = out / name
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
    out.mkdir(parents=True, exist_ok=True)
    write_json(marker, identity)
    for name in ("masks", "overlays"):
        remove_parts(out / name)


def _read_identity(marker: Path) -> Any:
    try:
        return read_json_object(marker, "an inspection")
    except DataError:
        return None  # not ours, or damaged: another inspection


def _finished_rows(out: Path, samples: Sequence[Sample]) -> int:
    with JsonlAppender(out / "preds.jsonl"):
        pass  # opening repairs a torn last line
    keys = [row["image_path"] for row in read_jsonl(out / "preds.jsonl")]
    if keys != [s.key for s in samples[: len(keys)]]:
        raise DataError(f"{out / 'preds.jsonl'} does not hold the rows of this inspection: use --overwrite")
    return len(keys)


def _run(
    samples: Sequence[Sample], done: int, bundle: Bundle, out: Path, options: Options, tell: Tell, total: int
) -> dict[str, Any]:
    if not samples:
        return {}
    workers = worker_count(options.workers or bundle.config.data.num_workers)
    detector = bundle.detector(streams=workers, precision=options.precision, device=options.device)
    judge = Judge(
        model=bundle.meta["model"],
        category=bundle.meta["category"],
        thresholds=bundle.thresholds,
        min_defect_area=options.min_defect_area,
    )
    one = partial(_one, bundle=bundle, detector=detector, judge=judge, out=out, overlays=options.overlays)
    numbered = list(enumerate(samples, done + 1))
    step, start, times = tell("inspecting", total), time.monotonic(), []
    with JsonlAppender(out / "preds.jsonl") as log:
        for number, (row, spent) in enumerate(ordered_map(lambda pair: one(*pair), numbered, workers), done + 1):
            log.append(row)
            times.append(spent)
            step(number)
    return _timing(np.array(times), time.monotonic() - start, workers)


def _one(
    number: int, sample: Sample, *, bundle: Bundle, detector: Detector, judge: Judge, out: Path, overlays: bool
) -> tuple[dict[str, Any], tuple[float, float, float]]:
    """Row of one image and its milliseconds for decoding, inference, and writing mask and overlay."""
    start = time.perf_counter()
    try:
        picture = read_picture(
            sample.image, max_pixels=bundle.config.data.max_pixels, white_level=bundle.meta["white_level"]
        )
        decoded = time.perf_counter()
        score, finished = detector.score(picture.rgb)
        inferred = time.perf_counter()
        seen = bundle.look(picture)
    except ImageError as error:
        return error_row(sample, error), (float("nan"),) * 3
    except DataError as error:  # this image does not suit the model
        return error_row(sample, ImageError(sample.image, "unsuitable", str(error))), (float("nan"),) * 3
    except MemoryError:
        problem = ImageError(sample.image, "memory", "not enough memory to inspect it")
        return error_row(sample, problem), (float("nan"),) * 3
    unusual = flags(bundle.meta["training_appearance"], seen)
    row, mask, overlay = judge.row(number, sample, score, finished, picture.rgb, unusual)
    row["appearance"] = {
        name: round(getattr(seen.appearance, name), 4) for name in ("brightness", "contrast", "sharpness")
    }
    write_bytes(out / row["mask_path"], png_bytes(mask), sync=False)
    if overlays:
        write_bytes(out / row["overlay_path"], png_bytes(overlay), sync=False)
    else:
        row["overlay_path"] = None
    end = time.perf_counter()
    return row, ((decoded - start) * 1e3, (inferred - decoded) * 1e3, (end - start) * 1e3)


def _timing(times: Any, wall_s: float, workers: int) -> dict[str, Any]:
    good = times[~np.isnan(times[:, 0])]

    def spread(values: Any) -> dict[str, Any]:
        if not len(values):
            return {"n": 0, "p50": None, "p95": None, "p99": None}
        p50, p95, p99 = (round(float(v), 3) for v in np.percentile(values, (50, 95, 99)))
        return {"n": len(values), "p50": p50, "p95": p95, "p99": p99}

    return {
        "decode_ms": spread(good[:, 0]),
        "infer_ms": spread(good[:, 1]),
        "latency_ms": spread(good[:, 2]),
        "images_per_second": round(len(times) / wall_s, 3) if wall_s > 0 else None,
        "workers": workers,
    }


def _report(rows: list[dict[str, Any]], images: str, bundle: Bundle, image_root: Path) -> dict[str, Any]:
    judged = [r for r in rows if "error" not in r]
    ng = sum(r["label"] == "NG" for r in judged)
    known = [r for r in rows if r.get("gt_label") is not None]
    metrics = None
    if any(r["gt_label"] == 0 for r in known) and any(r["gt_label"] == 1 and "error" not in r for r in known):
        metrics = summary(known, {}, bundle.thresholds) | _pixel_figures(bundle, images)
    thresholds = dict(bundle.thresholds)
    looks = [Appearance(**r["appearance"]) for r in judged]
    return {
        "model": bundle.meta["model"],
        "category": bundle.meta["category"],
        "run_id": bundle.meta["run_id"],
        "thresholds": {k: v for k, v in thresholds.items() if k != "good_scores"},
        "good_scores": thresholds.get("good_scores"),
        "num_images": len(rows),
        "num_ng": ng,
        "ng_rate": ng / len(judged) if judged else None,
        "ng": rate_fields(rate(ng, len(judged)), "NG / judged images"),
        "num_review": sum(r["review"] for r in judged),
        "num_flagged": sum(bool(r["flags"]) for r in judged),
        "flags": dict(sorted(Counter(flag for r in judged for flag in r["flags"]).items())),
        "num_errors": len(rows) - len(judged),
        "drift": drift(bundle.meta["training_appearance"], looks),
        "metrics": metrics,
        "bundle_digest": bundle.digest,
        "data_digest": images,
        "evaluator_digest": evaluator_digest(),
        "image_root": image_root.name,
        "created_at": utc_stamp(),
    }


def _pixel_figures(bundle: Bundle, digest: str) -> dict[str, Any]:
    """The pixel figures that `evaluate` found with this bundle on the very same data; nothing otherwise."""
    path = bundle.folder / "metrics.json"
    if not path.is_file():
        return {}
    known = read_json_object(path, "the figures that evaluate wrote")
    if (known.get("data_digest"), known.get("evaluator_digest")) != (digest, evaluator_digest()):
        return {}
    return {name: known[name] for name in ("pixel_auroc", "pixel_ap", "pixel_aupro", "pixel_best_f1")}


def _write_ng(path: Path, rows: list[dict[str, Any]]) -> None:
    """Every image that a person must look at: NG, for review, flagged or unreadable; worst first."""
    chosen = [r for r in rows if "error" in r or r["label"] == "NG" or r["review"] or r["flags"]]
    chosen.sort(key=lambda r: (-r.get("pred_score", float("inf")), r["image_path"]))
    write_csv(path, NG_HEADER, [_ng_cells(r) for r in chosen])


def _ng_cells(row: dict[str, Any]) -> list[object]:
    if "error" in row:
        return [row["image_path"], "", "", "", "", "", "", "", "", f"{row['error']['code']}: {row['error']['reason']}"]
    worst = row["defects"][0]["bbox"] if row["defects"] else []
    return [
        row["image_path"],
        row["label"],
        "yes" if row["review"] else "",
        row["pred_score"],
        row["image_threshold"],
        row["num_defects"],
        row["total_defect_area"],
        " ".join(str(v) for v in worst),
        " ".join(row["flags"]),
        "",
    ]
