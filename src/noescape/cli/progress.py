"""Progress for people: a bar with an ETA on a terminal, plain lines where a log reads."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable


def tell(stage: str, total: int) -> Callable[[int], None]:
    """Open a stage of `total` steps on stderr; the returned function takes the number of steps done so far."""
    if sys.stderr.isatty():
        from tqdm import tqdm

        bar = tqdm(total=total, desc=stage, unit="", leave=True, dynamic_ncols=True, file=sys.stderr)

        def on_bar(done: int) -> None:
            bar.update(done - bar.n)
            if done >= total:
                bar.close()

        return on_bar
    start = last = time.monotonic()
    print(f"{stage}: {total}", file=sys.stderr, flush=True)

    def on_line(done: int) -> None:
        nonlocal last
        now = time.monotonic()
        if done >= total:
            print(f"{stage}: done in {now - start:.1f} s", file=sys.stderr, flush=True)
        elif now - last > 10:
            last = now
            eta = (now - start) / max(done, 1) * (total - done)
            print(f"{stage}: {done} of {total}, about {eta:.0f} s left", file=sys.stderr, flush=True)

    return on_line
