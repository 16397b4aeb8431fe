"""Draw the same row again and keep the best: a door that generators go through only when they are asked to."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from noescape.defects.placement.testcase import TestCase
from noescape.records import WorkError

T = TypeVar("T")
ORIGINAL = "original"
GUIDANCE = CROP_RATIO = (1.5, 10.0)  # what a row is drawn with again


@dataclass(frozen=True, kw_only=True, eq=False)
class Found(Generic[T]):
    """What was kept: `item`, its `score` (None where nothing was scored), and `source`: original, round_N or regen_k.

    `scores` are those of all draws in their order, None for one that failed; `passed` says whether a threshold was
    reached (True where there is none).
    """

    item: T
    score: float | None
    source: str
    scores: tuple[float | None, ...]
    passed: bool = True


def refine(draw: Callable[[int], T], score: Callable[[T], float], rounds: int) -> Found[T]:
    """The best of `draw(0)`, …, `draw(rounds)`; of equals the earliest. With `rounds` 0 nothing is scored.

    `draw(k)` must depend on k alone, so that the same row gives the same picture again. A draw that fails is left out;
    if all fail, the first failure is raised. A score that is no number counts as the worst.
    """
    if rounds < 0:
        raise ValueError(f"rounds: expected 0 or more, got {rounds}")
    if not rounds:
        return Found(item=draw(0), score=None, source=ORIGINAL, scores=())
    best: Found[T] | None = None
    scores: list[float | None] = []
    failure: WorkError | None = None
    for number in range(rounds + 1):
        try:
            item = draw(number)
        except WorkError as error:
            failure = failure or error
            scores.append(None)
            continue
        value = known(score(item))
        scores.append(value)
        if best is None or value > (best.score if best.score is not None else -math.inf):
            source = f"round_{number}" if number else ORIGINAL
            best = Found(item=item, score=value, source=source, scores=())
    if best is None:
        raise failure or ValueError("nothing was drawn")
    return Found(item=best.item, score=best.score, source=best.source, scores=tuple(scores))


def known(score: float) -> float:
    """The score, or the lowest that there is where it is no number."""
    return score if math.isfinite(score) else -math.inf


def varied(case: TestCase, attempt: int, seed: int = 0) -> TestCase:
    """The row for another attempt: attempt 0 as it is, others with guidance and crop ratio drawn anew (by `seed`, the
    row's own seed and the attempt)."""
    if not attempt:
        return case
    rng = np.random.default_rng((seed, case.seed, attempt))
    guidance, crop = (round(float(rng.uniform(*span)), 2) for span in (GUIDANCE, CROP_RATIO))
    return case.model_copy(update={"guidance": guidance, "crop_ratio": None if case.crop_ratio is None else crop})


def attempt_rng(seed: tuple[int, ...], attempt: int) -> np.random.Generator:
    """Random numbers of an attempt. Attempt 0 has those of a generation without any refining, so that switching it on
    changes only the pictures that it betters."""
    return np.random.default_rng((*seed, attempt) if attempt else seed)
