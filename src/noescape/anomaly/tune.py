"""Tune: new thresholds, or more good images, for a run that is fitted; without fitting again.

The old thresholds are never lost: thresholds_history.jsonl keeps each with what replaced it. Figures of the old state
(metrics.json) are removed in the same step, so that nothing stale can be read as if it were measured.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from noescape.anomaly.bundle import Bundle, change
from noescape.anomaly.learn_more import learn_more, merge_appearance
from noescape.anomaly.new_good import NewGood, score_new_good, warnings_about
from noescape.anomaly.progress import Tell, silent
from noescape.anomaly.tune_rule import Rule, apply_rule, proof
from noescape.anomaly.unlike import summarise
from noescape.datasets import data_digest, read_folder
from noescape.files import dump_json, dump_row, read_jsonl, utc_stamp
from noescape.records import DataError, Sample, UsageError

HISTORY = "thresholds_history.jsonl"
SPLIT_FOLDERS = ("train", "test", "ground_truth")


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """What is asked for. `good`: folder of new good images; `target`: share of them that may be stopped; `keep_old`:
    the stored good scores count too; `learn`: the model learns them (`force`: also those it calls NG); the rest sets
    values by hand: `band` in scores, `band_percentiles` in percentiles of good scores."""

    good: Path | None = None
    target: Fraction | None = None
    keep_old: bool = False
    learn: bool = False
    force: bool = False
    image_threshold: float | None = None
    pixel_threshold: float | None = None
    band: tuple[float, float] | None = None
    band_percentiles: tuple[float, float] | None = None
    dry_run: bool = False


def tune(run: Path, wanted: Tuning, *, tell: Tell = silent) -> dict[str, Any]:
    """Change the thresholds (and with `learn` the model) of `run`; returns what was done, with rows and warnings.

    A kill at any moment leaves the old bundle or the new one. Raises UsageError where the wishes contradict each
    other, DataError where the images do not allow it; then nothing was written.
    """
    _check(wanted)
    bundle = Bundle(run)
    samples = _good_samples(wanted.good) if wanted.good else []
    digest = data_digest(samples) if samples else None
    known = digest is not None and any(past["data_digest"] == digest for past in bundle.meta.get("learnt_more", ()))
    if known and wanted.learn:
        said = "the model has learnt these images before: nothing was done"
        return _report(run, bundle, wanted, None, bundle.thresholds, None, [said], [])
    new = score_new_good(bundle, samples, tell) if samples else None
    warnings = warnings_about(new, bundle, run) if new else []
    if known:
        warnings.append("the model has learnt these images: their scores are too low to set a threshold")
    limits = apply_rule(bundle.thresholds, new.scores if new else None, _rule(bundle, wanted))
    if digest:
        limits["tuned"]["data_digest"] = digest
    files: dict[str, bytes] = {}
    learnt = None
    if wanted.learn and new is not None and digest is not None:
        _refuse_ng(new, float(bundle.thresholds["image_threshold"]), wanted.force)
        for name in ("image_threshold", "pixel_threshold"):
            limits |= {f"{name}_train": None, f"{name}_heldout": None}
        if not wanted.dry_run:
            with threadpool_limits(limits=1):  # as in fitting: the same bytes on any number of cores
                files, learnt = _learnt_files(bundle, new, digest, tell)
    removed: list[str] = []
    if limits != bundle.thresholds and not wanted.dry_run:
        files["thresholds.json"] = dump_json(limits).encode()
        files[HISTORY] = _history(run, bundle.thresholds, limits["tuned"], learnt)
        stale = ("metrics.json", "preds_test.jsonl") if learnt else ("metrics.json",)
        removed = [name for name in stale if (run / name).is_file()]
        change(run, files, remove=removed)
    return _report(run, bundle, wanted, new, limits, learnt, warnings, removed)


def parse_share(text: str) -> Fraction:
    """`1%` or `0.01` as an exact share between 0 and 1; UsageError otherwise."""
    plain = text.strip()
    try:
        share = Fraction(plain[:-1].strip()) / 100 if plain.endswith("%") else Fraction(plain)
    except (ValueError, ZeroDivisionError):
        share = Fraction(-1)
    if not 0 < share < 1:
        raise UsageError(f"--target-false-alarm {text!r}: expected a share like 1% or 0.01, over 0 and under 100%")
    return share


def _check(wanted: Tuning) -> None:
    by_hand = (wanted.image_threshold, wanted.pixel_threshold, wanted.band, wanted.band_percentiles)
    if wanted.good is None:
        needing = {"--target-false-alarm": wanted.target, "--keep-old": wanted.keep_old, "--learn": wanted.learn}
        if asked := [name for name, value in needing.items() if value]:
            raise UsageError(f"{' and '.join(asked)} needs new good images: --good FOLDER")
        if all(value is None for value in by_hand):
            raise UsageError("nothing to do: give new good images (--good FOLDER), or a value (--image-threshold X)")
    if wanted.image_threshold is not None and wanted.target is not None:
        raise UsageError("--image-threshold and --target-false-alarm both say where the threshold lies: give one")
    if wanted.band is not None and wanted.band_percentiles is not None:
        raise UsageError("--review-scores and --review-band both set the review band: give one")
    numbers = [v for v in (wanted.image_threshold, wanted.pixel_threshold, *(wanted.band or ())) if v is not None]
    if not np.isfinite(numbers).all():
        raise UsageError("thresholds must be finite numbers")
    if any(not 0 < p < 100 for p in wanted.band_percentiles or ()):
        raise UsageError("--review-band: expected two percentiles between 0 and 100")


def _good_samples(folder: Path) -> list[Sample]:
    inside = [name for name in SPLIT_FOLDERS if (folder / name).is_dir()]
    if inside:
        raise UsageError(
            f"--good {folder} holds {', '.join(inside)}: it looks like a whole data set; give the folder of new good "
            "images alone"
        )
    samples = read_folder(folder, label=0)
    if not samples:
        raise DataError(f"{folder}: no images (PNG, JPEG, BMP, TIFF or WebP)")
    return samples


def _rule(bundle: Bundle, wanted: Tuning) -> Rule:
    config = bundle.config.thresholds
    configured = config.review_band if wanted.good and wanted.band is None else None
    return Rule(
        image_percentile=config.image_percentile,
        pixel_percentile=config.pixel_percentile,
        target=wanted.target,
        image=wanted.image_threshold,
        pixel=wanted.pixel_threshold,
        band=wanted.band,
        band_percentiles=wanted.band_percentiles or configured,
        keep_old=wanted.keep_old,
    )


def _refuse_ng(new: NewGood, threshold: float, force: bool) -> None:
    """DataError that names the images which the model calls NG: a defect learnt as good is never found again."""
    bad = sorted((r["pred_score"], r["image_path"]) for r in new.rows if r.get("pred_score", threshold) > threshold)
    if bad and not force:
        listed = "".join(f"\n  {score:.4f}  {name!r}" for score, name in bad[::-1][:10])
        more = f"\n  … and {len(bad) - 10} more" if len(bad) > 10 else ""
        raise DataError(
            f"{len(bad)} of {len(new.used)} images are NG to this model (score over {threshold:.4f}); what is learnt "
            f"as good is never found again. Look at them, take defects out, then use --force:{listed}{more}"
        )


def _learnt_files(bundle: Bundle, new: NewGood, digest: str, tell: Tell) -> tuple[dict[str, bytes], dict[str, Any]]:
    from safetensors.numpy import save

    tensors, said = learn_more(bundle, new.used, tell)
    old, n = bundle.meta, len(new.used)
    meta = {
        **old,
        # No longer what the configuration and the training images alone give: fitting again must not take it for that.
        "identity": _chained(old["identity"], digest),
        "train_digest": _chained(old["train_digest"], digest),
        "good_images": old["good_images"] + n,
        "patches": old["patches"] + said["patches"],
        "learnt": {name: list(a.shape) for name, a in tensors.items() if not name.startswith("probe")},
        "training_appearance": merge_appearance(old["training_appearance"], old["good_images"], summarise(new.seen), n),
        "learnt_more": [*old.get("learnt_more", ()), {"data_digest": digest, "images": n}],
    }
    weights = save({name: np.ascontiguousarray(tensors[name]) for name in sorted(tensors)})
    files = {"weights/model.safetensors": weights, "meta.json": dump_json(meta).encode()}
    return files, {"images": n, **{k: v for k, v in said.items() if k != "images"}}


def _chained(before: str, digest: str) -> str:
    return hashlib.sha256(f"{before} and {digest}".encode()).hexdigest()


def _history(run: Path, old: dict[str, Any], tuned: dict[str, Any], learnt: dict[str, Any] | None) -> bytes:
    rows = list(read_jsonl(run / HISTORY)) if (run / HISTORY).is_file() else []
    rows.append({"at": utc_stamp(), "replaced_by": tuned, "learnt": learnt, "thresholds": old})
    return "".join(dump_row(row) + "\n" for row in rows).encode("utf-8", "backslashreplace")


def _report(
    run: Path,
    bundle: Bundle,
    wanted: Tuning,
    new: NewGood | None,
    limits: dict[str, Any],
    learnt: dict[str, Any] | None,
    warnings: Sequence[str],
    removed: Sequence[str],
) -> dict[str, Any]:
    old = bundle.thresholds
    before = float(old["image_threshold"])
    rows = list(new.rows) if new else []
    for row in rows:
        if "pred_score" in row:
            row["label_before"] = "NG" if row["pred_score"] > before else "OK"
            row["label"] = "NG" if row["pred_score"] > limits["image_threshold"] else "OK"
    return {
        "run_dir": str(run),
        "changed": limits != old and not wanted.dry_run,
        "dry_run": wanted.dry_run,
        "before": _short(old),
        "after": _short(limits),
        "false_alarms": proof(limits, wanted.target),
        "good_images": {
            "found": len(rows),
            "used": len(new.used) if new else 0,
            "unreadable": sum("error" in row for row in rows),
            "duplicates": sum("same_as" in row for row in rows),
            "over_threshold_before": sum(row.get("label_before") == "NG" for row in rows),
            "over_threshold": sum(row.get("label") == "NG" for row in rows),
            "unlike_training": new.unusual if new else {},
        },
        "learnt": learnt,
        "removed": list(removed),
        "warnings": list(warnings),
        "images": rows,
    }


def _short(limits: dict[str, Any]) -> dict[str, Any]:
    names = ("image_threshold", "pixel_threshold", "review_band", "source", "n_good", "tuned")
    return {name: limits.get(name) for name in names}
