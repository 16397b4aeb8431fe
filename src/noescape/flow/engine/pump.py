"""Where a command's words go: straight into the log, or through a masker when it knows secrets."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

_PIECE = 1 << 16
_PATIENCE_S = 0.5


class Pump:
    """A context manager around the life of one command; `entrance` is its standard output and error.

    With no secrets that is the log file itself: no byte passes through this process. Otherwise a thread reads a pipe,
    masks, and writes; memory stays at one piece. When the log cannot be written the pipe is emptied all the same, so
    that the command does not hang, and `problem` says why.
    """

    def __init__(self, log: Path, secrets: Sequence[str], kill_holders: Callable[[], object]) -> None:
        """`kill_holders` ends processes that keep the pipe open after the command is gone."""
        self.problem: str | None = None
        self._log, self._secrets, self._kill_holders = log, secrets, kill_holders
        self._thread: threading.Thread | None = None
        self._out = -1
        self.entrance = -1

    def __enter__(self) -> Pump:
        self._out = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        if not self._secrets:
            self.entrance = self._out
            return self
        reader, self.entrance = os.pipe()
        self._thread = threading.Thread(target=self._carry, args=(reader,), daemon=True)
        self._thread.start()
        return self

    def started(self) -> None:
        """The command has its own end now (or never will)."""
        if self._thread is not None and self.entrance >= 0:
            os.close(self.entrance)
            self.entrance = -1

    def __exit__(self, *_: object) -> None:
        self.started()
        if self._thread is not None:
            self._thread.join(_PATIENCE_S)
            while self._thread.is_alive():
                self._kill_holders()
                self._thread.join(_PATIENCE_S)
        os.close(self._out)

    def _carry(self, reader: int) -> None:
        from noescape.flow.secrets.mask import Masker

        masker = Masker(self._secrets)
        try:
            while piece := os.read(reader, _PIECE):
                self._write(masker.feed(piece))
            self._write(masker.flush())
        finally:
            os.close(reader)

    def _write(self, data: bytes) -> None:
        try:
            while data and self.problem is None:
                data = data[os.write(self._out, data) :]
        except OSError as error:
            self.problem = f"{self._log}: cannot be written ({error.strerror or error}), its end is missing"
