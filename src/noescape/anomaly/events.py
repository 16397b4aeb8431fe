"""What happened in a run, one JSON line each, in logs/events.jsonl; to TensorBoard too where that is asked for."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from noescape.anomaly.progress import Tell
from noescape.files import JsonlAppender, utc_stamp
from noescape.records import UsageError


class Events:
    """Appends events; `tell` is a `Tell` that also logs each stage with its duration."""

    def __init__(self, folder: Path, *, tensorboard: bool = False) -> None:
        self._log = JsonlAppender(folder / "events.jsonl")
        self._board = _board(folder) if tensorboard else None

    def write(self, event: str, **values: Any) -> None:
        """One event with its values; numbers also become TensorBoard scalars."""
        self._log.append({"at": utc_stamp(), "event": event, **values})
        for name, value in values.items():
            if self._board is not None and isinstance(value, int | float):
                self._board.add_scalar(f"{event}/{name}", value)

    def telling(self, tell: Tell) -> Tell:
        """`tell`, and an event when a stage opens and when it is done."""

        def both(stage: str, total: int) -> Callable[[int], None]:
            step, start = tell(stage, total), time.monotonic()
            self.write("stage_started", stage=stage, total=total)

            def on(done: int) -> None:
                step(done)
                if done >= total:
                    self.write("stage_done", stage=stage, seconds=round(time.monotonic() - start, 3))

            return on

        return both

    def close(self) -> None:
        """Flush and close."""
        self._log.close()
        if self._board is not None:
            self._board.close()

    def __enter__(self) -> Events:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _board(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise UsageError("tensorboard: true needs the extra: pip install 'noescape[tensorboard]'") from None
    return SummaryWriter(str(folder))
