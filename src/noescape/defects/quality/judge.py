"""One number for one new picture, for refining and filtering: how near, how complete, or both."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from noescape.defects.generators.base import Generated
from noescape.defects.quality.features import PatchReader
from noescape.defects.quality.label_fit import label_fit
from noescape.defects.quality.nearest import nearness
from noescape.records import UsageError

U8 = npt.NDArray[np.uint8]
Bool = npt.NDArray[np.bool_]
MEASURES = ("nn", "completeness", "aq_nn")


@dataclass(frozen=True, kw_only=True, eq=False)
class Example:
    """A real defect of type `kind`: `rgb` and `mask` bool of one size (a crop with some surroundings is enough)."""

    kind: str
    rgb: U8
    mask: Bool


class Judge:
    """Scores pictures of the types that it has examples of; safe to call from threads.

    `measure`: nn (nn_score against the examples of the type, -1..1), completeness (of the label, 0..1), or aq_nn, their
    sum. The nn_score alone does not follow people's preferences (AUROC about .5 in the original's own notes, .76 for
    completeness); it also rewards copies. So it is a filter against failures, not a measure of beauty.
    """

    def __init__(self, examples: Iterable[Example], reader: PatchReader | None, measure: str = "aq_nn") -> None:
        if measure not in MEASURES:
            raise UsageError(f"score {measure!r}: expected one of {', '.join(MEASURES)}")
        if reader is None and measure != "completeness":
            raise UsageError(f"score {measure!r} needs a backbone; completeness does without")
        self.measure, self._reader = measure, reader
        self._examples: dict[str, list[Example]] = {}
        for example in examples:
            self._examples.setdefault(example.kind, []).append(example)
        self._known: dict[str, list[npt.NDArray[np.float32]]] = {}
        self._lock = threading.Lock()

    def __call__(self, made: Generated, kind: str) -> float:
        """Higher is better. UsageError where the type has no example and one is needed."""
        mask = made.mask > 0
        if not mask.any():
            return float("-inf")
        value = 0.0
        if self.measure != "nn":
            reach = made.provenance.get("widening_px")
            value += label_fit(
                made.image, made.clean, mask, reach=reach if isinstance(reach, int) else None
            ).completeness
        if self._reader is not None and self.measure != "completeness":
            found = nearness(self._reader(made.image, mask).unit, self._references(kind))
            value += found.nn_score if found else 0.0
        return value

    def _references(self, kind: str) -> list[npt.NDArray[np.float32]]:
        if kind not in self._examples:
            raise UsageError(f"type {kind!r} has no example to score by; there are {', '.join(self._examples)}")
        with self._lock:  # read once, when the first picture of the type comes
            if kind not in self._known:
                assert self._reader is not None  # noqa: S101 - the constructor saw to it
                self._known[kind] = [self._reader(e.rgb, e.mask).unit for e in self._examples[kind]]
            return self._known[kind]
