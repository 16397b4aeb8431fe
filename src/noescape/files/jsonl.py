"""Append-only JSON lines: a row is there whole or not at all, and a torn last line is repaired."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from noescape.files.atomic import encoded, write_text
from noescape.records import DataError


def dump_row(row: dict[str, Any]) -> str:
    """One row as one line, without the newline. NaN and infinity are refused."""
    return json.dumps(row, ensure_ascii=False, allow_nan=False, separators=(", ", ": "))


def read_jsonl(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of `path`; a torn last line (a crash in mid-write) is left out.

    A broken line anywhere else is a DataError that names file and line.
    """
    with path.open("rb") as f:
        for number, line in enumerate(f, 1):
            if not line.endswith(b"\n"):
                return
            try:
                row = json.loads(line, parse_constant=_refuse)
            except (ValueError, RecursionError) as error:
                raise DataError(f"{path}, line {number}: not a row of JSON ({error})") from None
            if not isinstance(row, dict):
                raise DataError(f"{path}, line {number}: expected an object, got {type(row).__name__}")
            yield row


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def write_jsonl(path: Path, rows: Iterator[dict[str, Any]] | list[dict[str, Any]]) -> None:
    """Write all rows at once, atomically."""
    write_text(path, "".join(dump_row(row) + "\n" for row in rows))


class JsonlAppender:
    """Append rows to a file, one `write` call each, so that a kill can tear at most the last line.

    Opening cuts a torn last line off; `repaired_bytes` says how much was cut (0 = nothing was torn).
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._f = path.open("ab+", buffering=0)  # what fails to be written is not kept for later
        self.repaired_bytes = self._cut_torn_tail()

    def append(self, row: dict[str, Any]) -> None:
        """Write one row; it is in the hands of the operating system when this returns.

        On failure (a full disk) the part of the row that was written is cut off again, and OSError comes up.
        """
        data = encoded(dump_row(row) + "\n")
        try:
            while data:
                data = data[self._f.write(data) :]
        except OSError:
            self._cut_torn_tail()
            raise

    def close(self) -> None:
        """Sync to disk and close."""
        if not self._f.closed:
            os.fsync(self._f.fileno())
            self._f.close()

    def __enter__(self) -> JsonlAppender:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _cut_torn_tail(self) -> int:
        size = end = self._f.seek(0, os.SEEK_END)
        while end:
            start = max(0, end - 65536)
            self._f.seek(start)
            newline = self._f.read(end - start).rfind(b"\n")
            if newline >= 0:
                end = start + newline + 1
                break
            end = start
        if end < size:
            self._f.truncate(end)
        self._f.seek(0, os.SEEK_END)
        return size - end
