"""A checkpoint at work, whatever its kind: a row in, a score and a heat map out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from noescape.changenet.images import LoadedPair
from noescape.changenet.rows import Row
from noescape.changenet.spec import Spec
from noescape.records import BundleError

Float = npt.NDArray[np.float32]


class Scorer(Protocol):
    """Opened for one images_dir. `heat_scale` (low, high) is the range in which heat is drawn, fixed in training;
    `heat_share` how far towards its peak heat counts as calm (see `boxes_of`)."""

    kind: str
    heat_share: float
    heat_scale: tuple[float, float]

    def load(self, row: Row) -> LoadedPair:
        """The images of a row as the model takes them; DataError or ImageError. Safe to call from threads."""
        ...

    def score(self, pairs: Sequence[LoadedPair]) -> list[float]:
        """One score for each: higher = more like a defect."""
        ...

    def heat(self, pair: LoadedPair) -> Float:
        """`[h, w]` over the whole model input, of any resolution: higher = where the score comes from."""
        ...


def open_scorer(checkpoint: Path, spec: Spec, images_dir: str | Path) -> Scorer:
    """Open a checkpoint of any kind for the rows of one images_dir.

    What was trained decides (backbone, sizes, registration); the spec says where weights of a backbone and images are.
    BundleError where the checkpoint is damaged or does not fit, UsageError where the spec contradicts it.
    """
    from noescape.changenet.checkpoint import read_checkpoint

    if checkpoint.suffix in (".pth", ".pt", ".ckpt"):
        from noescape.changenet.siamese.scorer import SiameseScorer

        return SiameseScorer.of_pth(checkpoint, spec, images_dir)
    tensors, card = read_checkpoint(checkpoint)
    try:
        return _opened(card["kind"], checkpoint, tensors, card, spec, images_dir)
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(f"{checkpoint}: its card does not fit this version ({error!r})") from None


def _opened(kind: str, path: Path, tensors: Any, card: dict[str, Any], spec: Spec, images_dir: str | Path) -> Scorer:
    if kind == "cached":
        from noescape.changenet.cached.scorer import CachedScorer

        return CachedScorer(path, tensors, card, spec, images_dir)
    if kind == "siamese":
        from noescape.changenet.siamese.scorer import SiameseScorer

        return SiameseScorer(path, tensors, card, spec, images_dir)
    from noescape.changenet.maps import MapScorer

    return MapScorer(path, tensors, card, spec, images_dir)
