"""New images of good parts, scored by a model that has not seen them: the ground for new thresholds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from noescape.anomaly.bundle import Bundle
from noescape.anomaly.progress import Tell
from noescape.anomaly.thresholds import GoodScores, sample_pixels
from noescape.anomaly.unlike import Seen, drift, flags
from noescape.files import read_jsonl, sha256_file
from noescape.imaging import read_picture
from noescape.imaging.parallel import ordered_map, worker_count
from noescape.records import DataError, ImageError, Sample

FEW = 50
UNLIKE_SHARE = 0.1


@dataclass(frozen=True, kw_only=True)
class NewGood:
    """`rows`: one for each image, in order, with its score, flags, or error; `used`: the readable ones, each content
    once, with their `scores` and looks (`seen`) in the same order."""

    rows: tuple[dict[str, Any], ...]
    used: tuple[Sample, ...]
    seen: tuple[Seen, ...]
    scores: GoodScores

    @property
    def unusual(self) -> dict[str, int]:
        """How many of the used images carry each flag."""
        return dict(sorted(Counter(flag for row in self.rows for flag in row.get("flags", ())).items()))


def score_new_good(bundle: Bundle, samples: Sequence[Sample], tell: Tell) -> NewGood:
    """Score `samples` (taken for good). What cannot be read costs one row; what is there twice counts once.

    DataError without any readable image.
    """
    workers = worker_count(bundle.config.data.num_workers)
    detector = bundle.detector(streams=workers)
    read = partial(read_picture, max_pixels=bundle.config.data.max_pixels, white_level=bundle.meta["white_level"])

    def one(sample: Sample) -> tuple[str, float, Any, Seen] | ImageError:
        try:
            picture = read(sample.image)
            score, finished = detector.score(picture.rgb)
            return sha256_file(sample.image), score, sample_pixels(finished), bundle.look(picture)
        except ImageError as error:
            return error
        except OSError as error:
            return ImageError(sample.image, "unreadable", f"cannot be read ({error.strerror or error})")

    rows: list[dict[str, Any]] = []
    used, seen, pixels = [], [], []
    first: dict[str, str] = {}
    step = tell("scoring new good images", len(samples))
    for number, (sample, result) in enumerate(zip(samples, ordered_map(one, samples, workers), strict=True), 1):
        row: dict[str, Any] = {"image_path": sample.key}
        if isinstance(result, ImageError):
            rows.append({**row, "error": {"code": result.code, "reason": result.reason}})
        elif result[0] in first:
            rows.append({**row, "same_as": first[result[0]]})
        else:
            digest, score, sampled, look = result
            first[digest] = sample.key
            unusual = flags(bundle.meta["training_appearance"], look)
            rows.append({**row, "pred_score": score, "flags": unusual})
            used.append(sample)
            seen.append(look)
            pixels.append(sampled)
        step(number)
    if not used:
        raise DataError(f"none of the {len(samples)} new good images can be read: {_first_error(rows)}")
    scores = GoodScores(
        image=np.array([row["pred_score"] for row in rows if "pred_score" in row]), pixels=np.concatenate(pixels)
    )
    return NewGood(rows=tuple(rows), used=tuple(used), seen=tuple(seen), scores=scores)


def warnings_about(new: NewGood, bundle: Bundle, run: Path) -> list[str]:
    """What speaks against trusting these images, in sentences."""
    out, n = [], len(new.used)
    if n < FEW:
        out.append(
            f"only {n} new good image{'' if n == 1 else 's'}: one or two of them decide the threshold; "
            f"{FEW} are a start, 200 are better"
        )
    odd = sum(bool(row.get("flags")) for row in new.rows)
    if odd:
        named = ", ".join(f"{name} {count}" for name, count in new.unusual.items())
        much = "look" if odd > 1 else "looks"
        out.append(
            f"{odd} of {n} {much} unlike the training images ({named}): check camera and light; thresholds cannot make "
            "up for other pictures, fitting on them can"
        )
    moved = drift(bundle.meta["training_appearance"], [look.appearance for look in new.seen])
    if moved is not None and moved["verdict"] == "drifted":
        worst = max(moved["per_measure"], key=lambda name: moved["per_measure"][name]["standard_deviations"])
        out.append(
            f"as a whole they drifted from the training images: {worst} is off by {moved['score']:.1f} standard "
            "deviations of training"
        )
    known = _scores_of_training(run)
    again = sum(row.get("pred_score") in known for row in new.rows if "pred_score" in row)
    if again:
        out.append(
            f"{again} of {n} score exactly as a training image does: the model has probably seen them, and scores "
            "of seen images are too low to set a threshold"
        )
    return out


def _scores_of_training(run: Path) -> set[float]:
    path = run / "preds_train.jsonl"
    return {row["pred_score"] for row in read_jsonl(path) if "pred_score" in row} if path.is_file() else set()


def _first_error(rows: list[dict[str, Any]]) -> str:
    return next((f"{r['image_path']}: {r['error']['reason']}" for r in rows if "error" in r), "there are none")
