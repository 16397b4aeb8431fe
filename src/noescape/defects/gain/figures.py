"""What one training was worth: pixel and image figures on the test pictures, over all types and per type."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from noescape.imaging import label_regions
from noescape.metrics import PixelScores, auroc, average_precision

TOP_CELLS = 20  # the image score is the mean of the highest cells
FALSE_ALARMS = 0.05


def figures(
    scores: npt.NDArray[np.float32], truth: npt.NDArray[np.bool_], kinds: Sequence[str], good: str
) -> dict[str, float]:
    """pixel_ap, mean_type_ap, aupro, image_auroc, recall_at_5 (mean over types) and `ap_<type>`, `recall_<type>`.

    The threshold for 5% false alarms is set on the good test pictures themselves, alike for every arm.
    """
    by_kind = np.array(kinds)
    is_good = by_kind == good
    image = np.sort(scores.reshape(len(scores), -1), axis=1)[:, -TOP_CELLS:].mean(axis=1)
    pixels = PixelScores()
    for values, mask in zip(scores, truth, strict=True):
        drawn = mask.astype(np.uint8) * 255
        pixels.add(values, *((drawn, label_regions(drawn)) if mask.any() else ()))
    threshold = np.quantile(image[is_good], 1 - FALSE_ALARMS)
    out = {
        "pixel_ap": _known(average_precision(truth.ravel(), scores.ravel())),
        "aupro": _known(pixels.aupro()),
        "image_auroc": _known(auroc(~is_good, image)),
    }
    types = sorted(set(kinds) - {good})
    for kind in types:
        here = by_kind == kind
        out[f"ap_{kind}"] = _known(average_precision(truth[here].ravel(), scores[here].ravel()))
        out[f"recall_{kind}"] = float((image[here] > threshold).mean())
    out["mean_type_ap"] = float(np.mean([out[f"ap_{k}"] for k in types]))
    out["recall_at_5"] = float(np.mean([out[f"recall_{k}"] for k in types]))
    return out


def _known(value: float | None) -> float:
    return float("nan") if value is None else value
