"""Numbers and names as people read them: rates with their n and bound, and text that cannot disguise itself."""

from __future__ import annotations

import math
import unicodedata
from dataclasses import dataclass

from noescape.metrics import cases_needed, upper_bound
from noescape.report.run_folder import Json, finite

_JOINERS = {"\u200c", "\u200d"}  # needed by Persian, Indic scripts and emoji; they cannot reorder text
_CLAIMS = (0.1, 0.01, 0.001, 0.0001)


@dataclass(frozen=True, kw_only=True, slots=True)
class RateText:
    """A rate in words: `value` ("2.1%"), `count` ("5 of 238"), `bound` ("at most 4.4%"), `claim` (what n carries)."""

    value: str
    count: str
    bound: str
    claim: str


def visible(text: str) -> str:
    """`text` with control, direction-changing and unpaired characters spelled out as \\u202e and the like."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        f"\\u{ord(c):04x}" if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") and c not in _JOINERS else c
        for c in text
    )


def percent(value: float, towards: str = "nearest") -> str:
    """0.0213 as "2.1%", with more digits near 0 and 100; `towards` "up" or "down" for bounds, never flattering."""
    points = 100 * value
    side = min(points, 100 - points)
    if side <= 0:
        return f"{points:.0f}%"
    digits = 1 if side >= 1 else 2 if side >= 0.1 else 3 if side >= 0.01 else 4
    scaled = points * 10**digits
    # A hair of tolerance, so that a bound of exactly 5 % is not printed as 5.1 %.
    turn = {"up": math.ceil(scaled - 1e-6), "down": math.floor(scaled + 1e-6)}.get(towards, round(scaled))
    return f"{turn / 10**digits:.{digits}f}%"


def decimals_for(scores: list[float]) -> int:
    """Decimals that tell scores of this spread apart: a thousand steps or more over their range, 0..6.

    The range is that of the middle 80%, so that one absurd score does not take the digits from all others.
    """
    ordered = sorted(scores) or [0.0]
    cut = len(ordered) // 10
    spread = ordered[-1 - cut] - ordered[cut] or ordered[-1] - ordered[0] or abs(ordered[0]) or 1.0
    return min(6, max(0, 3 - math.floor(math.log10(min(spread, 1e300)))))


def number(value: float, decimals: int) -> str:
    """A score with a fixed number of decimals; what would be shown as 0 but is not keeps two digits."""
    text = f"{value:.{decimals}f}"
    if value != 0 and float(text) == 0:
        text = f"{value:.1e}"
    return text.replace("-", "−", 1) if text.startswith("-") else text


def signed(value: float, decimals: int) -> str:
    """A margin with its sign: +0.35, −1.20, 0.00."""
    return ("+" if value > 0 else "") + number(value, decimals)


def count_word(n: int, one: str, many: str | None = None) -> str:
    """`1 image`, `2,995 images`."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def rate_text(rate: Json, what: str) -> RateText | None:
    """A rate record {value, events, n, lower, upper} in words; `what` names the n ("good part"). None if unusable."""
    events, n = finite(rate.get("events")), finite(rate.get("n"))
    if events is None or n is None:
        return None
    if n <= 0:
        return RateText(value="–", count=f"no {what}s", bound="", claim=f"Without {what}s this rate has no value.")
    value = finite(rate.get("value"))
    upper = finite(rate.get("upper"))
    return RateText(
        value=percent(events / n if value is None else value),
        count=f"{int(events):,} of {int(n):,}",
        bound="" if upper is None else f"at most {percent(upper, 'up')}",
        claim=_claim(int(n), what) if events == 0 else "",
    )


def _claim(n: int, what: str) -> str:
    """What zero events of `n` prove, and what they do not."""
    proved = percent(upper_bound(0, n), "up")
    open_claim = next((c for c in _CLAIMS if cases_needed(c) > n), None)
    if open_claim is None:
        return f"0 of {n:,} proves less than {proved}."
    return (
        f"0 of {n:,} proves less than {proved}, no more: “below {100 * open_claim:g}%” "
        f"needs {cases_needed(open_claim):,} {what}s without one."
    )
