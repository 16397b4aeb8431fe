"""Markdown tables, and the paired interval that they show."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from scipy.special import stdtrit


@dataclasses.dataclass(frozen=True, kw_only=True)
class Paired:
    """A mean of `n` paired differences with its two-sided 95% t-interval (None for n < 2)."""

    mean: float
    low: float | None
    high: float | None
    n: int
    positive: int

    def __str__(self) -> str:
        if self.low is None or self.high is None:
            return f"{self.mean:+.4f} (n {self.n}: no interval)"
        return f"{self.mean:+.4f} [{self.low:+.4f}, {self.high:+.4f}], {self.positive} of {self.n} above 0"


def paired(differences: Sequence[float]) -> Paired:
    """The interval takes the differences as independent; splits of one data set share images, so it is narrow."""
    d = np.asarray(differences, np.float64)
    mean, positive = float(d.mean()), int((d > 0).sum())
    if len(d) < 2:
        return Paired(mean=mean, low=None, high=None, n=len(d), positive=positive)
    half = float(stdtrit(len(d) - 1, 0.975) * d.std(ddof=1) / np.sqrt(len(d)))
    return Paired(mean=mean, low=mean - half, high=mean + half, n=len(d), positive=positive)


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table; floats as they print, so format them first."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines) + "\n"


def fixed(value: float | None, digits: int = 3) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def middle(values: Sequence[float], digits: int = 2) -> str:
    """Median with the range of the repeats."""
    return f"{np.median(values):.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"
