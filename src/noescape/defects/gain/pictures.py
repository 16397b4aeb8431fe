"""The pictures of a comparison at one size, and what the extractor makes of them, once each."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch

from noescape.defects.gain.segmenter import SIDE, Bool, Extractor, Rgb, Taught
from noescape.defects.generators.exemplar.exemplars import Exemplar, take_apart
from noescape.defects.generators.exemplar.logdomain import Float, to_log
from noescape.imaging import read_picture
from noescape.records import GOOD_TYPE, Sample

LEAST = 8  # pixels of 256 x 256: a defect that is smaller there is not taught with nor tested on


class Pictures:
    """Samples at 256 x 256; read at once, features when they are asked for (.9 MB each, kept)."""

    def __init__(self, samples: Sequence[Sample], extractor: Extractor) -> None:
        self.samples = tuple(samples)
        self.kinds = tuple(s.defect_type for s in samples)
        self.groups = tuple(s.group or s.key for s in samples)
        self.rgb = [_picture(s) for s in samples]
        self.masks = [_mask(s) for s in samples]
        self.extractor = extractor
        self._known: dict[int, Taught] = {}

    def taught(self, indices: Sequence[int]) -> Taught:
        """The features and truth of some of them."""
        for i in indices:
            if i not in self._known:
                self._known[i] = self.extractor([self.rgb[i]], [self.masks[i]])
        parts = [self._known[i] for i in indices]
        features = tuple(torch.cat(levels) for levels in zip(*(p.features for p in parts), strict=True))
        return Taught(features=features, truth=torch.cat([p.truth for p in parts]))

    def exemplar(self, index: int) -> Exemplar:
        """One defect taken apart."""
        return take_apart(self.samples[index].key, self.rgb[index], self.masks[index])

    def surface(self, index: int) -> Float:
        """One picture in the log domain."""
        return to_log(self.rgb[index])


def usable(samples: Sequence[Sample]) -> tuple[tuple[Sample, ...], tuple[str, ...]]:
    """The samples to compare with, and the keys of defects that are left out: no mask, or next to nothing marked."""
    kept = [s for s in samples if s.defect_type == GOOD_TYPE or _mask(s).sum() > LEAST]
    known = {s.key for s in kept}
    return tuple(kept), tuple(s.key for s in samples if s.key not in known)


def _picture(sample: Sample) -> Rgb:
    return np.asarray(cv2.resize(read_picture(sample.image).rgb, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)


def _mask(sample: Sample) -> Bool:
    if sample.defect_type == GOOD_TYPE or sample.mask is None:
        return np.zeros((SIDE, SIDE), np.bool_)
    mask = (read_picture(sample.mask).rgb[..., 0] > 127).astype(np.float32)
    return np.asarray(cv2.resize(mask, (SIDE, SIDE), interpolation=cv2.INTER_AREA) >= 0.5, np.bool_)
