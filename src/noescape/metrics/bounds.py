"""What n cases can prove: exact (Clopper-Pearson) one-sided bounds of a rate, and claims in plain words.

The lower bound of k events in n cases is the rate at which k or more would be seen in just 5% of such tests, the
upper bound the rate at which k or fewer would. Both come from the exact binomial tail, never from a normal
approximation, which promises too much exactly where inspection lives: few events, large n.
"""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass
from functools import lru_cache

from noescape.records import Rate

CONFIDENCE = 0.95


def rate(events: int, n: int) -> Rate:
    """`events` of `n` with one-sided 95% bounds (0 and 1 where n = 0).

    The bounds are accurate to 1e-10 for n up to 1e6. Cost: under 10 ms at n = 1e6, microseconds at n = 1,000;
    remembered. ValueError unless 0 <= events <= n.
    """
    k, cases = operator.index(events), operator.index(n)
    if not 0 <= k <= cases:
        raise ValueError(f"expected 0 <= events <= n, got {events} events of {n}")
    return Rate(events=k, n=cases, lower=lower_bound(k, cases), upper=upper_bound(k, cases))


def lower_bound(events: int, n: int, confidence: float = CONFIDENCE) -> float:
    """With this confidence, one-sided, the true rate is at least this; 0 without an event."""
    if events == 0:
        return 0.0
    if events == n:
        return math.exp(math.log1p(-confidence) / n)
    return _quantile(events, n - events + 1, 1 - confidence)


def upper_bound(events: int, n: int, confidence: float = CONFIDENCE) -> float:
    """With this confidence, one-sided, the true rate is at most this; 1 when every case is an event."""
    if events == n:
        return 1.0
    if events == 0:
        return -math.expm1(math.log1p(-confidence) / n)
    return 1.0 - _quantile(n - events, events + 1, 1 - confidence)


def cases_needed(target: float, confidence: float = CONFIDENCE, *, events: int = 0) -> int:
    """The smallest n at which `events` of n (none, if not said) proves a rate strictly under `target`.

    0.1% needs 2,995 cases without an event. ValueError unless target and confidence lie strictly between 0 and 1.
    """
    _inside("target", target)
    _inside("confidence", confidence)
    if events < 0:
        raise ValueError(f"expected a number of events from 0, got {events}")
    too_few = events  # n = events proves nothing; the bound then falls as n grows
    enough = max(1, 2 * events)
    while upper_bound(events, enough, confidence) >= target:
        too_few, enough = enough, 2 * enough
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        if upper_bound(events, middle, confidence) < target:
            enough = middle
        else:
            too_few = middle
    return enough


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """Whether a rate lies under its target: `met` as observed, `proved` with 95% confidence; `text` says it."""

    proved: bool
    met: bool
    text: str


def claim(
    measured: Rate,
    target: float,
    *,
    name: str = "false alarm rate",
    cases: str = "good parts",
    event: str = "false alarm",
    events: str = "false alarms",
) -> Claim:
    """Judge "`measured` is under `target`" (strictly), and put the judgement in words.

    The four names make the sentence: for a miss rate `name="miss rate", cases="defective parts", event="miss",
    events="misses"`. ValueError unless 0 < target < 1.
    """
    _inside("target", target)
    value = measured.value
    met, proved = value is not None and value < target, measured.upper < target
    goal = f"< {percent(target)}"
    if value is None:
        seen = f"{name}: no {cases} were tested"
    else:
        share = f" = {percent(value)}" if measured.events else ""
        limit = percent(measured.upper, apart_from=target)
        seen = f"{name} {measured.events:,} of {measured.n:,}{share} (at most {limit} with {CONFIDENCE:.0%} confidence)"
    if proved:
        verdict = f"proves {goal}"
    elif value is not None and not met:
        surely = measured.lower >= target
        verdict = f"does not meet {goal}" + (f", surely not (at least {percent(measured.lower)})" if surely else "")
    else:
        needed = cases_needed(target, events=measured.events)
        verdict = f"cannot prove {goal}, that needs {needed:,} {cases} {_allowing(measured.events, event, events)}"
    return Claim(proved=proved, met=met, text=f"{seen}: {verdict}")


def _allowing(count: int, event: str, events: str) -> str:
    if not count:
        return f"without {'an' if event[0] in 'aeiou' else 'a'} {event}"
    return f"with no more than {count:,} {event if count == 1 else events}"


def percent(share: float, *, apart_from: float | None = None) -> str:
    """A share in percent with three significant digits, or as many as it takes not to read like `apart_from`."""
    for digits in range(3, 17):
        text = f"{100 * share:.{digits}g}"
        if apart_from is None or share == apart_from or float(text) != float(f"{100 * apart_from:.{digits}g}"):
            break
    if "e" in text:
        text = f"{float(text):.{digits + 12}f}".rstrip("0").rstrip(".")
    return f"{text}%"


def _inside(name: str, value: float) -> None:
    if not 0 < value < 1:
        raise ValueError(f"{name}: expected a number strictly between 0 and 1, got {value!r}")


@lru_cache(maxsize=4096)
def _quantile(a: int, b: int, probability: float) -> float:
    """The x at which the regularised incomplete beta function I_x(a, b) equals `probability`.

    Newton's steps inside a shrinking bracket; a step that leaves the bracket halves it instead.
    """
    low, high = 0.0, 1.0
    x = a / (a + b)
    for _ in range(200):
        off = incomplete_beta(a, b, x) - probability
        low, high = (low, x) if off > 0 else (x, high)
        slope = math.exp((a - 1) * math.log(x) + (b - 1) * math.log1p(-x) - _log_beta(a, b))
        following = x - off / slope if slope > 0 else low
        if not low < following < high:
            following = (low + high) / 2
        if abs(following - x) <= 1e-15 * x:
            return following
        x = following
    return x


def incomplete_beta(a: float, b: float, x: float) -> float:
    """I_x(a, b) for a, b > 0: the chance of at least a successes in a + b - 1 trials at success rate x."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):  # the fraction converges fast on one side of the mean only
        return 1.0 - incomplete_beta(b, a, 1.0 - x)
    front = math.exp(a * math.log(x) + b * math.log1p(-x) - _log_beta(a, b)) / a
    return front / _continued_fraction(a, b, x)


def _continued_fraction(a: float, b: float, x: float) -> float:
    """1 + d1/(1 + d2/(1 + ...)), DLMF 8.17.22, from the front (modified Lentz). About sqrt(max(a, b)) terms."""
    tiny = 1e-300
    value, c, d = 1.0, 1.0, 0.0
    for term in range(1, 1_000_000):
        m, odd = divmod(term, 2)
        if odd:
            part = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            part = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        d = 1.0 / ((1.0 + part * d) or tiny)
        c = (1.0 + part / c) or tiny
        value *= c * d
        if abs(c * d - 1.0) < 1e-15:
            return value
    raise ArithmeticError(f"the incomplete beta function did not converge at a={a}, b={b}, x={x}")


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)
