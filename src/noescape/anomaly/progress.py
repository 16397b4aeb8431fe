"""How long work says how far it is: a `Tell` opens a stage and gives back a function for the steps done."""

from __future__ import annotations

from collections.abc import Callable

Tell = Callable[[str, int], Callable[[int], None]]


def silent(stage: str, total: int) -> Callable[[int], None]:
    """A `Tell` that says nothing."""
    return lambda done: None
