"""Progress of reading a data set, shown only where it takes a while."""

from __future__ import annotations

from collections.abc import Callable

QUICK = 500  # files: a few seconds


def reading() -> Callable[[int, int], None]:
    """What `read_anomalygen` calls with (done, total)."""
    from noescape.cli.progress import tell

    shown: list[Callable[[int], None]] = []

    def on(done: int, total: int) -> None:
        if total > QUICK:
            if not shown:
                shown.append(tell("reading", total))
            shown[0](done)

    return on
