"""Run another program for what it prints: with a time limit, bounded memory, no terminal, and nothing left behind."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

GRACE_S = 2.0  # between asking a program to stop (it may still print what it has) and ending it
_PIECE = 1 << 16


@dataclass(frozen=True, kw_only=True)
class Captured:
    """What a program said. `code` None = it was stopped at the time limit. Cut = more was said than was kept."""

    code: int | None
    out: bytes
    err: bytes
    out_cut: bool = False


class _Bounded:
    """The first or the last `limit` bytes of what is fed to it."""

    def __init__(self, limit: int, *, keep_end: bool) -> None:
        self._limit, self._keep_end = limit, keep_end
        self._data = bytearray()
        self.cut = False

    def feed(self, piece: bytes) -> None:
        if self._keep_end:
            self._data += piece
            if len(self._data) > 2 * self._limit:  # seldom, so that feeding stays linear
                del self._data[: -self._limit]
                self.cut = True
        else:
            room = self._limit - len(self._data)
            self._data += piece[:room]
            self.cut = self.cut or len(piece) > room

    def bytes(self) -> bytes:
        if len(self._data) > self._limit:
            self.cut = True
            return bytes(self._data[-self._limit :])
        return bytes(self._data)


def capture(
    argv: Sequence[str],
    *,
    timeout_s: float,
    limit: int = 64 << 20,
    keep_end: bool = False,
    cwd: Path | None = None,
) -> Captured:
    """Run `argv` and return what it printed: at most the first (or last: `keep_end`) `limit` bytes of its output.

    At the time limit it gets an interrupt, so that what it has buffered still comes out, and 2 s later it is killed
    with all its children. An interrupt of ours ends it too. OSError if it cannot be started.
    """
    with subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=cwd,
        start_new_session=True,
    ) as process:
        out, err = _Bounded(limit, keep_end=keep_end), _Bounded(1 << 16, keep_end=True)
        try:
            stopped = _read(process, out, err, time.monotonic() + timeout_s)
        except BaseException:
            _signal(process, signal.SIGKILL)
            raise
        code = process.wait()
    return Captured(code=None if stopped else code, out=out.bytes(), err=err.bytes(), out_cut=out.cut)


def _read(process: subprocess.Popen[bytes], out: _Bounded, err: _Bounded, end: float) -> bool:
    """Read until the program has ended and its pipes are empty; True if it had to be stopped."""
    asked, drained_at = False, 0.0
    with selectors.DefaultSelector() as selector:
        for pipe, sink in ((process.stdout, out), (process.stderr, err)):
            if pipe is None:  # never: both were asked for
                continue
            os.set_blocking(pipe.fileno(), False)
            selector.register(pipe, selectors.EVENT_READ, sink)
        while selector.get_map():
            now = time.monotonic()
            ready = selector.select(min(0.1, max(0.0, end - now)))
            for key, _ in ready:
                piece = os.read(key.fd, _PIECE)
                if piece:
                    key.data.feed(piece)
                else:
                    selector.unregister(key.fileobj)
            if process.poll() is not None:
                drained_at = drained_at or now + 0.2
                if not ready and now >= drained_at:  # a child of it holds the pipes open, and will not tell us more
                    _signal(process, signal.SIGKILL)
                    return asked
            elif now >= end:
                if asked:
                    break
                _signal(process, signal.SIGINT)
                asked, end = True, now + GRACE_S
    try:
        process.wait(max(0.0, end - time.monotonic()))
    except subprocess.TimeoutExpired:
        _signal(process, signal.SIGKILL)
        return True
    return asked


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
