"""How near generated defects come to real ones, patch by patch: nn_score and mnn_score.

A patch's likeness to a reference picture is its cosine to the best of that picture's patches. A picture's likeness to
a reference is the mean over its patches (nn), or over those pairs of patches that are each other's best (mnn). The
score of a picture is the mean over the TOP references that it is most like. 1 = made of the same patches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Float = npt.NDArray[np.float32]
TOP = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Nearness:
    """Scores of one picture; `references` are how many it was held against, `nearest` the number of the most like."""

    nn_score: float
    mnn_score: float
    references: int
    nearest: int


def nearness(patches: Float, references: Sequence[Float], *, top: int = TOP) -> Nearness | None:
    """Scores of `patches` [P, D] (rows of length 1) against reference pictures [Q, D]; None without a reference.

    Cost: P x Q x D products per reference.
    """
    if not references:
        return None
    pairs = [likeness(patches, reference) for reference in references]
    nn, mnn = np.array(pairs).T
    return Nearness(
        nn_score=_mean_of_best(nn, top), mnn_score=_mean_of_best(mnn, top), references=len(pairs),
        nearest=int(np.argmax(nn)),
    )  # fmt: skip


def likeness(patches: Float, reference: Float) -> tuple[float, float]:
    """(nn, mnn) of one picture to one reference."""
    cosines = patches @ reference.T
    forth, back = cosines.argmax(axis=1), cosines.argmax(axis=0)
    best = cosines.max(axis=1).astype(np.float64)
    mutual = back[forth] == np.arange(len(patches))
    if not mutual.any():  # argmax takes the first of equals, so that ties can leave no pair
        mutual = best >= best.max()
    return float(best.mean()), float(best[mutual].mean())


def real_floor(pictures: Sequence[Float], groups: Sequence[str], *, top: int = TOP) -> list[Nearness | None]:
    """Each real picture against the others of its type, none of its own group: what likeness real defects have."""
    return [
        nearness(one, [other for other, g in zip(pictures, groups, strict=True) if g != group], top=top)
        for one, group in zip(pictures, groups, strict=True)
    ]


def _mean_of_best(values: npt.NDArray[np.float64], top: int) -> float:
    return float(np.sort(values)[-top:].mean())
