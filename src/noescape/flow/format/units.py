"""Durations and sizes as the workflow format writes them."""

from __future__ import annotations

import re

_ONE_UNIT = re.compile(r"(\d{1,12})(d|h|ms|us|m|s)")  # more digits than any clock needs are refused
_ISO = re.compile(
    r"P(?:(?P<d>\d{1,12}(?:\.\d+)?)D)?"
    r"(?:T(?:(?P<h>\d{1,12}(?:\.\d+)?)H)?(?:(?P<m>\d{1,12}(?:\.\d+)?)M)?(?:(?P<s>\d{1,12}(?:\.\d+)?)S)?)?"
)
_SECONDS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6}
# The format reads K, Ki and KiB alike, as powers of 1024.
_SIZE = re.compile(r"(\d{1,18}(?:\.\d{1,18})?)(B|[KMGT](?:iB?)?)?")
_BYTES = {"B": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
MAX_SECONDS = 60 * 86400.0  # what a cluster grants unless it is configured otherwise


def parse_duration(value: float | str) -> float:
    """Seconds of `90` (a number: seconds), `2h` or `PT1H30M`. ValueError with the rule on anything else.

    One number with one unit of d, h, m, s, ms, us: the format's own parser refuses `1h5m`, `1h 5m` and the text '90'.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if not 0 <= value < 1e12:
            raise ValueError(f"expected a number of seconds from 0 up, got {value!r}")
        return float(value)
    text = str(value)
    one = _ONE_UNIT.fullmatch(text)
    if one:
        return int(one[1]) * _SECONDS[one[2]]
    iso = _ISO.fullmatch(text)
    if iso and any(iso.groupdict().values()) and not text.endswith("T"):
        return sum(float(n) * _SECONDS[unit] for unit, n in iso.groupdict().items() if n)
    hint = "; write 5400s or 90m for an hour and a half" if re.search(r"\d[a-z]+\s*\d", text) else ""
    raise ValueError(
        f"expected a number of seconds, or one number with one unit such as 90m, 2h or 7d{hint}, got {value!r}"
    )


def parse_size(text: str) -> int:
    """Bytes of `8Gi`, `1.5Gi` or `4096` (bytes). ValueError with the rule on anything else (`1GB`, `8g`)."""
    match = _SIZE.fullmatch(text)
    if not match:
        raise ValueError(f"expected a number with Ki, Mi, Gi or Ti, such as 8Gi, got {text!r}")
    return int(float(match[1]) * _BYTES[(match[2] or "B")[0]])


def show_size(count: int) -> str:
    """`count` bytes for people, in the units of the format: 1536 -> 1.5Ki."""
    for unit in "TGMK":
        if count >= _BYTES[unit]:
            return f"{count / _BYTES[unit]:.4g}{unit}i"
    return f"{count} bytes"
