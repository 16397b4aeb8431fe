"""Try again, later each time: exponential back-off with jitter, and what the service itself asks for."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

import numpy as np

from noescape.defects.restyle.errors import EndpointError

LONGEST_S = 60.0
LONGEST_ASKED_S = 300.0  # a service that asks for more is taken for one that will not answer
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Backoff:
    """`retry` further attempts; the wait before the n-th is `first_s` doubled n - 1 times, times 0.5 to 1.5 as `rng`
    says (so that many clients do not come back at once), at most a minute."""

    retry: int
    first_s: float
    rng: np.random.Generator
    sleep: Callable[[float], None] = time.sleep

    def run(self, attempt: Callable[[], T]) -> tuple[T, int]:
        """The result of the first attempt that works, and how many it took; else the last EndpointError."""
        for count in range(1, self.retry + 2):
            try:
                return attempt(), count
            except EndpointError as error:
                if not error.again or count > self.retry:
                    raise
                jitter = float(self.rng.uniform(0.5, 1.5))
                wait_s = min(LONGEST_S, self.first_s * 2 ** (count - 1) * jitter)
                if error.wait_s is not None:
                    if error.wait_s > LONGEST_ASKED_S:
                        raise
                    wait_s = max(wait_s, error.wait_s)
                self.sleep(wait_s)
        raise AssertionError("the loop ends by return or raise")


def asked_wait(header: str | None) -> float | None:
    """Seconds from a Retry-After header: a number, or a date; None where it says neither."""
    text = (header or "").strip()
    if text.isascii() and text.isdecimal():
        return float(text[:9])
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
