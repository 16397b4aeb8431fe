"""loop_log.jsonl: one line for each stage that ended. Append-only: a line that is there is never changed.

    {"seq": 4, "ts": "2026-01-29T15:00:00Z", "iter": "iter1", "stage": "routing", "status": "ok", "summary": "…",
     "duration_sec": 3, "context_tokens": 0, "tokens": {…}}

`seq` counts from 1 and is always read back from disk. A last line that a kill tore is cut off and reported; any other
line that is not as it should be is refused: the file is what happened, and nobody may guess that.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from noescape.deft.state import BASELINE, STAGES, order_of
from noescape.files import JsonlAppender, clock_is_stopped, read_jsonl, utc_stamp
from noescape.records import DataError

FILE = "loop_log.jsonl"
OK, ERROR = "ok", "error"
TAIL = 5
# No language model works here: what readers of the public original sum up stays zero.
NO_TOKENS: dict[str, Any] = {
    "input": 0, "output": 0, "cache_read": 0, "cache_create": 0, "n_messages": 0, "models": [],
}  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One stage that ended. `ts`: when (UTC); `duration_sec` whole seconds, 0 where the clock is stopped."""

    seq: int
    ts: str
    iteration: str
    stage: str
    status: str
    summary: str
    duration_sec: int

    @property
    def text(self) -> str:
        """For people."""
        failed = "" if self.status == OK else f" {self.status.upper()}:"
        return f"{self.seq:>3}  {self.ts}  {self.iteration:<8}  {self.stage:<11} {failed}{self.summary}"


def read_log(path: Path) -> tuple[Line, ...]:
    """All lines; none where there is no file. A torn last line does not count. DataError for a line that is wrong."""
    if not path.is_file():
        return ()
    out = []
    for number, row in enumerate(read_jsonl(path), 1):
        problem = _problem(row, number)
        if problem:
            raise DataError(
                f"{path}, line {number}: {problem}. The log is never rewritten: put the file back as it was, or start "
                "a new run"
            )
        out.append(
            Line(
                seq=number, ts=row["ts"], iteration=row["iter"], stage=row["stage"], status=row["status"],
                summary=row["summary"], duration_sec=row["duration_sec"],
            )
        )  # fmt: skip
    return tuple(out)


def append(path: Path, iteration: str, stage: str, status: str, summary: str, seconds: float) -> tuple[Line, int]:
    """Append one line and sync it; the line, and how many bytes of a torn one were cut off before it.

    The number is the last one on disk plus one. Everything before is checked first, so that nothing is ever appended to
    a log that cannot be read. Cost: reads the file.
    """
    with JsonlAppender(path) as out:
        seq = len(read_log(path)) + 1
        duration = 0 if clock_is_stopped() else max(0, round(seconds))
        summary = " ".join(summary.split())
        line = Line(
            seq=seq, ts=utc_stamp(), iteration=iteration, stage=stage, status=status, summary=summary,
            duration_sec=duration,
        )  # fmt: skip
        out.append(
            {
                "seq": line.seq, "ts": line.ts, "iter": iteration, "stage": stage, "status": status,
                "summary": summary, "duration_sec": duration, "context_tokens": 0, "tokens": NO_TOKENS,
            }
        )  # fmt: skip
        return line, out.repaired_bytes


def repair(path: Path) -> int:
    """Cut a torn last line off; the number of bytes that went (0: nothing was torn, or there is no log)."""
    if not path.is_file():
        return 0
    with JsonlAppender(path) as out:
        return out.repaired_bytes


def tail(path: Path, count: int = TAIL) -> tuple[Line, ...]:
    """The last lines."""
    return read_log(path)[-count:]


def _problem(row: dict[str, Any], number: int) -> str:
    if type(row.get("seq")) is not int or row["seq"] != number:
        return f"expected seq {number}, got {row.get('seq')!r}"
    if row.get("stage") not in STAGES:
        return f"stage {row.get('stage')!r}: expected one of {', '.join(STAGES)}"
    if row.get("status") not in (OK, ERROR):
        return f"status {row.get('status')!r}: expected ok or error"
    name = row.get("iter")
    if not isinstance(name, str) or order_of(name)[0] == 1 << 30:
        return f"iter {name!r}: expected {BASELINE}, iter1, iter2, …"
    if not all(isinstance(row.get(key), str) for key in ("ts", "summary")):
        return "expected ts and summary as text"
    if type(row.get("duration_sec")) is not int or row["duration_sec"] < 0:
        return f"duration_sec {row.get('duration_sec')!r}: expected whole seconds"
    return ""
