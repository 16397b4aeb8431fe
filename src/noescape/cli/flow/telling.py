"""What `flow run` and `flow resume` say while they work: a live table, lines, or JSON lines."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from noescape.cli.flow.results import Results
    from noescape.flow.engine.layout import RunFolder
    from noescape.flow.engine.outcome import Failure, Outcome

LAST_LINES = 20
_REDRAW_S = 0.2


@contextmanager
def telling(run: RunFolder, *, as_json: bool) -> Iterator[Callable[[dict[str, Any]], None]]:
    """What to call with each event of the engine; a terminal is given back whatever happens."""
    if as_json:
        yield _as_json
    elif sys.stdout.isatty():
        table = _Table(run)
        try:
            yield table
        finally:
            table.close()
    else:
        yield _Lines(run)


def _as_json(row: dict[str, Any]) -> None:
    if row["event"] != "tick":
        print(json.dumps(row, ensure_ascii=True), flush=True)


class _Lines:
    """A line for each status that became another, with the time used."""

    def __init__(self, run: RunFolder) -> None:
        from noescape.flow.engine.state import RunState

        self._state, self._start = RunState(), time.monotonic()
        print(f"{run.id}: {run.path}", flush=True)

    def __call__(self, row: dict[str, Any]) -> None:
        from noescape.flow.watching.foreign import harmless

        if row["event"] == "notice":
            print(f"note: {harmless(row['message'])}", file=sys.stderr, flush=True)
            return
        self._state.apply(row)
        if row["event"] == "engine" and row.get("kept"):
            self._say(f"kept: {', '.join(row['kept'])}")
        elif row["event"] == "cancel":
            self._say(f"cancel: {harmless(row['by'])} (asked once more, tasks are killed at once)")
        elif row["event"] == "task":
            self._task(row)
        elif row["event"] == "group" and row["status"] in ("SCHEDULING", "FAILED_UPSTREAM", "FAILED_QUEUE_TIMEOUT"):
            self._say(f"{row['group']}  {row['status']}")

    def _task(self, row: dict[str, Any]) -> None:
        from noescape.flow.status import TaskStatus

        status = TaskStatus(row["status"])
        if status is TaskStatus.INITIALIZING:
            return
        last = self._state.tasks[row["task"]].last
        took = ""
        if status.ended and last and "start_time" in last.times:
            took = f"  after {last.times['end_time'] - last.times['start_time']:.1f} s"
        again = f" (try {row['retry'] + 1})" if row["retry"] else ""
        code = f" (exit code {row['code']})" if row.get("code") else ""
        self._say(f"{row['task']}{again}  {status.value}{code}{took}")

    def _say(self, text: str) -> None:
        print(f"{time.monotonic() - self._start:8.1f} s  {text}", flush=True)


class _Table:
    """The live table of `flow watch`."""

    def __init__(self, run: RunFolder) -> None:
        from noescape.flow.engine.state import RunState
        from noescape.flow.watching.view import LiveTable

        self._run, self._state, self._view = run, RunState(), LiveTable(sys.stdout)
        self._drawn = 0.0

    def __call__(self, row: dict[str, Any]) -> None:
        from noescape.flow.query import query_of

        if row["event"] == "notice":
            self._view.note(row["message"])
            return
        self._state.apply(row)
        now = time.monotonic()
        if row["event"] == "end" or now - self._drawn > _REDRAW_S:
            self._view.update(query_of(self._run, self._state))
            self._drawn = now

    def close(self) -> None:
        """Leave the last table standing."""
        self._view.close()


def tell_end(outcome: Outcome, results: Results | None, *, runs_flag: str, as_json: bool) -> None:
    """How it ended, and where the results are; for each failure the end of its log and what to do."""
    if as_json:
        failures = [
            {"task": f.task, "retry_id": f.retry, "status": f.status, "exit_code": f.code, "message": f.message,
             "log": str(f.log)}
            for f in outcome.failures
        ]  # fmt: skip
        facts: dict[str, Any] = {
            "event": "outcome",
            "run": outcome.run_id,
            "status": outcome.status,
            "folder": str(outcome.run),
        }
        facts |= {"seconds": round(outcome.seconds, 3), "failures": failures}
        print(json.dumps(facts | {"results": results.as_json() if results else None}, ensure_ascii=True))
        return
    for failure in outcome.failures:
        _tell_failure(failure)
    kept = f", {outcome.kept} kept" if outcome.kept else ""
    print(f"{outcome.run_id}: {outcome.status} in {outcome.seconds:.1f} s ({outcome.ran} groups run{kept})")
    print(f"logs and outputs: {outcome.run}")
    for line in results.lines() if results else ():
        print(line)
    if outcome.status != "COMPLETED":
        print(f"go on with it:    noescape flow resume {outcome.run_id}{runs_flag}")
    if outcome.status == "FAILED":
        print("                  add --set KNOB=VALUE where a setting was wrong")
    sys.stdout.flush()


def _tell_failure(failure: Failure) -> None:
    from noescape.flow.watching.failure import classify
    from noescape.flow.watching.foreign import discreet, harmless
    from noescape.flow.watching.tail import last_lines

    lines, _ = last_lines(failure.log, LAST_LINES)
    code = "" if failure.code is None else f", exit code {failure.code}"
    words = "" if failure.message == code[2:] else f": {harmless(failure.message)}"
    kind, _ = classify(failure.status, failure.code, failure.message, lines)
    print(f"\ntask {failure.task}: {failure.status}{code}{words}")
    if lines:
        print(f"--- the end of {failure.log}")
        for line in lines:
            print(f"    {harmless(discreet(line))}")
        print("---")
    print(f"{kind.name}: {kind.meaning}\n  mend: {kind.mend}")
