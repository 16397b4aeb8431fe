"""What a task may demand of its machine before it starts: `noescape doctor --require shm=16Gi`, `gpu`, `nvoptix` …

Such checks are quick, so a task that runs on a machine which cannot do it fails in seconds and not after hours.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from noescape.records import UsageError

UNITS = {"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40}
# Checks that take an amount, and what it counts.
AMOUNTS = {"memory": "bytes", "disk": "bytes", "shm": "bytes", "gpu": "GPUs"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Demand:
    """The check `name` must be ok; with `least`, for at least so many bytes or GPUs. `text` is what was typed."""

    name: str
    text: str
    least: int | None = None


def parse_demands(wanted: Iterable[str], names: Sequence[str]) -> list[Demand]:
    """`NAME` or `NAME=AMOUNT` each; UsageError with the nearest of `names`, or with how an amount is written."""
    out = []
    for text in wanted:
        name, equals, amount = text.partition("=")
        if name not in names:
            near = difflib.get_close_matches(name.casefold(), names, 3, 0.5)
            hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(names)}"
            raise UsageError(f"--require {text!r}: there is no such check; {hint}")
        if equals and name not in AMOUNTS:
            raise UsageError(f"--require {text!r}: {name} takes no amount; those that do: {', '.join(AMOUNTS)}")
        out.append(Demand(name=name, text=text, least=_amount(text, name, amount) if equals else None))
    return out


def _amount(text: str, name: str, amount: str) -> int:
    if AMOUNTS[name] == "GPUs":
        if re.fullmatch(r"[1-9][0-9]{0,3}", amount):
            return int(amount)
        raise UsageError(f"--require {text!r}: expected a number of GPUs, such as gpu=1")
    match = re.fullmatch(r"([1-9][0-9]{0,12})(Ki|Mi|Gi|Ti)", amount)
    if not match:
        raise UsageError(f"--require {text!r}: expected a whole number with Ki, Mi, Gi or Ti, such as {name}=16Gi")
    return int(match[1]) * UNITS[match[2]]


def show_bytes(count: float) -> str:
    """`count` bytes in the units that demands are written in: 16Gi, 1.5Gi, 64Mi."""
    unit, size = next(((u, s) for u, s in reversed(UNITS.items()) if count >= s), ("", 1))
    return f"{count / size:.4g}{unit or ' bytes'}"
