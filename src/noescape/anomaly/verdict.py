"""From score and map to what is said about an image: the row of preds.jsonl, its mask and its overlay."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt

from noescape.files import safe_name
from noescape.imaging import find_defects, fit_within, heat_overlay, resize_map
from noescape.records import ImageError, Sample

Float = npt.NDArray[np.float32]
U8 = npt.NDArray[np.uint8]
OVERLAY_SIDE = 1024  # overlays are for eyes; masks keep the source size


@dataclass(frozen=True, kw_only=True)
class Judge:
    """The rule that turns scores into rows: thresholds.json, the least area of a defect, and who judges."""

    model: str
    category: str
    thresholds: dict[str, Any]
    min_defect_area: int = 0

    def label(self, score: float) -> str:
        """NG strictly over the threshold."""
        return "NG" if score > self.thresholds["image_threshold"] else "OK"

    def review(self, score: float) -> bool:
        """Whether a score lies in the review band, if there is one (its ends included)."""
        band = self.thresholds.get("review_band")
        return band is not None and bool(band[0] <= score <= band[1])

    def row(
        self, number: int, sample: Sample, score: float, anomaly_map: Float, rgb: U8, flags: list[str]
    ) -> tuple[dict[str, Any], U8, U8]:
        """The row of image `number`, its mask (0/255, source size) and its overlay (at most 1024 pixels long).

        The map is brought to the size of the image first, so that mask, boxes and areas are one thing, in source
        pixels.
        """
        height, width = rgb.shape[:2]
        full = resize_map(anomaly_map, height, width)
        mask, defects = find_defects(full, self.thresholds["pixel_threshold"], min_area=self.min_defect_area)
        small = fit_within(rgb, OVERLAY_SIDE)
        low, high = self.thresholds["map_scale"]
        overlay = heat_overlay(small, resize_map(full, *small.shape[:2]), (low, high), fit_mask(mask, *small.shape[:2]))
        name = f"{number:06d}_{safe_name(PurePosixPath(sample.key).stem)}.png"
        label = self.label(score)
        row = {
            "image_path": sample.key,
            "model": self.model,
            "category": self.category,
            "image_size": [height, width],
            "gt_label": sample.label,
            "gt_type": sample.defect_type if sample.label is not None else None,
            "pred_score": score,
            "image_threshold": self.thresholds["image_threshold"],
            "pixel_threshold": self.thresholds["pixel_threshold"],
            "label": label,
            "is_anomaly": label == "NG",
            "review": self.review(score),
            "flags": flags,
            "num_defects": len(defects),
            "total_defect_area": sum(d.area for d in defects),
            "defects": [_plain(asdict(d)) for d in defects],
            "mask_path": f"masks/{name}",
            "overlay_path": f"overlays/{name}",
        }
        return row, mask, overlay


def error_row(sample: Sample, error: ImageError) -> dict[str, Any]:
    """The row of an image that could not be used."""
    return {
        "image_path": sample.key,
        "gt_label": sample.label,
        "label": None,
        "error": {"code": error.code, "reason": error.reason},
    }


def fit_mask(mask: U8, height: int, width: int) -> U8:
    """A mask at overlay size, by nearest neighbour."""
    if mask.shape == (height, width):
        return mask
    rows = (np.arange(height) * mask.shape[0] // height).clip(0, mask.shape[0] - 1)
    columns = (np.arange(width) * mask.shape[1] // width).clip(0, mask.shape[1] - 1)
    return np.asarray(mask[rows[:, None], columns])


def _plain(value: dict[str, Any]) -> dict[str, Any]:
    return {k: list(v) if isinstance(v, tuple) else v for k, v in value.items()}
