"""What a long command says on its way: one line at a time, to whoever listens."""

from __future__ import annotations

import time
from collections.abc import Callable

OnLine = Callable[[str], None]
PAUSE_S = 10.0


def silent(line: str) -> None:
    """Nobody listens."""


class Progress:
    """A line when a stage ends, and one every ten seconds on the way."""

    def __init__(self, on_line: OnLine, stage: str, total: int) -> None:
        self._say, self._stage, self._total = on_line, stage, total
        self._begun = self._last = time.monotonic()

    def step(self, done: int) -> None:
        """`done` of the total are done."""
        now = time.monotonic()
        if done >= self._total:
            self._say(f"{self._stage}: {self._total} in {now - self._begun:.1f} s")
        elif now - self._last > PAUSE_S:
            self._last = now
            left = (now - self._begun) / max(1, done) * (self._total - done)
            self._say(f"{self._stage}: {done} of {self._total}, about {left:.0f} s left")
