"""Keep what is good enough, draw the rest again: refining first, then a threshold with a few more tries."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from noescape.defects.quality.refine import Found, known, refine
from noescape.records import UsageError, WorkError

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchOptions:
    """Both off by default. `rounds` of refining; `threshold` that a picture's score must reach (0 or less: none);
    `tries` draws more for one that does not."""

    rounds: int = 0
    threshold: float = 0.0
    tries: int = 5

    def __post_init__(self) -> None:
        if self.rounds < 0 or self.tries < 0:
            raise UsageError(f"search: expected rounds and tries from 0, got {self.rounds} and {self.tries}")
        if not math.isfinite(self.threshold):
            raise UsageError(f"search: expected a number as threshold, got {self.threshold}")

    @property
    def off(self) -> bool:
        """Nothing is scored, nothing is drawn twice."""
        return not self.rounds and self.threshold <= 0


def search(draw: Callable[[int], T], score: Callable[[T], float], options: SearchOptions) -> Found[T]:
    """Refine, then regenerate until the threshold is reached; what reaches it never is returned as not `passed`.

    Draws are numbered on: 0, the rounds, then the tries. So each has random numbers of its own, and the first picture
    is the one that there would be with everything off. The best of all draws is kept, and its source says which.
    """
    if options.off:
        return Found(item=draw(0), score=None, source="original", scores=())
    if options.threshold <= 0:
        return refine(draw, score, options.rounds)
    best, scores, failure = _first(draw, score, options.rounds)
    for k in range(1, options.tries + 1):
        if best is not None and best.score is not None and best.score >= options.threshold:
            break
        try:
            item = draw(options.rounds + k)
        except WorkError as error:
            failure = failure or error
            scores.append(None)
            continue
        value = known(score(item))
        scores.append(value)
        if best is None or best.score is None or value > best.score:
            best = Found(item=item, score=value, source=f"regen_{k}", scores=())
    if best is None:
        raise failure or ValueError("nothing was drawn")
    passed = best.score is not None and best.score >= options.threshold
    return replace(best, scores=tuple(scores), passed=passed)


def _first(
    draw: Callable[[int], T], score: Callable[[T], float], rounds: int
) -> tuple[Found[T] | None, list[float | None], WorkError | None]:
    """The best of the rounds (with one draw and no round: that one, scored)."""
    try:
        if rounds:
            found = refine(draw, score, rounds)
            return found, list(found.scores), None
        item = draw(0)
    except WorkError as error:
        return None, [None] * (rounds + 1), error
    value = known(score(item))
    return Found(item=item, score=value, source="original", scores=()), [value], None
