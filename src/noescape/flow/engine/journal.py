"""The journal of a run: its one writer, and the status file that follows from it."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

from noescape.files import JsonlAppender, write_bytes
from noescape.flow.engine.layout import RunFolder
from noescape.flow.engine.state import RunState, read_state
from noescape.records import WorkError

STATUS_EVERY_S = 0.25
_STATUS_SHARE = 20.0  # writing status.json takes at most 1/20 of the time


class Journal:
    """Appends events, applies them to `state`, and rewrites status.json when that is due.

    An event is in the hands of the operating system when `write` returns: a kill loses nothing. Only `close` waits
    for the disk. An event that cannot be written is a WorkError, the journal stays whole.
    """

    def __init__(self, run: RunFolder, tell: Callable[[dict[str, Any]], None]) -> None:
        self.run = run
        try:
            self._rows = JsonlAppender(run.journal)
        except OSError as error:
            raise self._error(error) from None
        self.repaired_bytes = self._rows.repaired_bytes
        try:
            self.state: RunState = read_state(run.journal)
        except BaseException:
            self._rows.close()
            raise
        self._tell = tell
        self._due: float | None = None
        self._pause = STATUS_EVERY_S
        self._written = -1e9

    def write(self, event: str, **fields: Any) -> None:
        """One event, now."""
        row = {"event": event, "time": round(time.time(), 6), **{k: v for k, v in fields.items() if v is not None}}
        try:
            self._rows.append(row)
        except OSError as error:
            raise self._error(error) from None
        self.state.apply(row)
        if self._due is None:
            self._due = max(time.monotonic(), self._written + self._pause)
        self._tell(row)

    @property
    def due(self) -> float | None:
        """When (monotonic) status.json has to be written next; None = it is up to date."""
        return self._due

    def write_status(self, *, sync: bool = False) -> str | None:
        """Bring status.json up to date; what went wrong, in words (it can be made again from the journal)."""
        from noescape.flow.query import query_of

        self._due = None
        start = time.monotonic()
        try:
            # On one line: json writes that ten times faster than a pretty one, and a run has many of these.
            text = json.dumps(query_of(self.run, self.state), allow_nan=False) + "\n"
            write_bytes(self.run.status, text.encode(), sync=sync)
        except OSError as error:
            return f"{self.run.status}: cannot be written ({error.strerror or error})"
        finally:
            self._written = time.monotonic()
            self._pause = max(STATUS_EVERY_S, _STATUS_SHARE * (self._written - start))
        return None

    def close(self) -> None:
        """Sync and close."""
        try:
            self._rows.close()
        except OSError as error:
            raise self._error(error) from None

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            with contextlib.suppress(OSError):  # the first error is the one to tell
                self._rows.close()

    def _error(self, error: OSError) -> WorkError:
        return WorkError(
            f"{self.run.journal}: cannot be written ({error.strerror or error}); nothing recorded is lost, "
            f"`noescape flow resume {self.run.id}` goes on once that is mended"
        )
