"""How a watched run is shown: a live table on a terminal, a line per change in a pipe, JSON lines for a program."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import IO, Any, Protocol

from noescape.files import utc_stamp
from noescape.flow.watching.foreign import MAX_SHOWN, discreet, harmless, last_state
from noescape.flow.watching.snapshot import Snapshot, failed, read_query

COLOURS = {
    "COMPLETED": "green",
    "RUNNING": "cyan",
    "INITIALIZING": "cyan",
    "RESCHEDULED": "yellow",
    "FAILED_UPSTREAM": "dim red",
}


@dataclass(frozen=True, kw_only=True)
class Change:
    """A status that became another. `what` is workflow, group or task; `before` is empty at first sight."""

    what: str
    name: str
    before: str
    now: str
    group: str = ""
    retry_id: int | None = None
    exit_code: int | None = None


class View(Protocol):
    """What a watcher tells."""

    def update(self, snapshot: Snapshot, changes: Iterable[Change] = ()) -> None:
        """How it stands now, and what changed since the last time."""

    def lines(self, title: str, lines: Iterable[str]) -> None:
        """The end of a log."""

    def note(self, text: str) -> None:
        """A remark for people."""

    def end(self, facts: Mapping[str, Any], sentences: Iterable[str]) -> None:
        """The result: `facts` for programs, `sentences` for people."""

    def close(self) -> None:
        """Give the terminal back; may be called twice."""


def view_for(out: IO[str], *, as_json: bool = False) -> View:
    """The view that fits `out`: a table if it is a terminal that can draw one."""
    if as_json:
        return JsonLines(out)
    return LiveTable(out) if out.isatty() and os.environ.get("TERM", "dumb") != "dumb" else PlainLines(out)


class JsonLines:
    """One JSON object a line: events workflow, group, task, log, note, end."""

    def __init__(self, out: IO[str]) -> None:
        self._out = out

    def update(self, snapshot: Snapshot, changes: Iterable[Change] = ()) -> None:
        """One line per change."""
        for change in changes:
            row: dict[str, Any] = {"event": change.what, "name": change.name, "from": change.before, "to": change.now}
            if change.what == "task":
                row |= {"group": change.group, "retry_id": change.retry_id, "exit_code": change.exit_code}
            self._say(row | {"run": snapshot.id})

    def lines(self, title: str, lines: Iterable[str]) -> None:
        """All in one row."""
        self._say({"event": "log", "title": title, "lines": _discreet(lines)})

    def note(self, text: str) -> None:
        """A row."""
        self._say({"event": "note", "text": text})

    def end(self, facts: Mapping[str, Any], sentences: Iterable[str]) -> None:
        """A row."""
        self._say({"event": "end", **facts})

    def close(self) -> None:
        """Nothing to give back."""

    def _say(self, row: dict[str, Any]) -> None:
        text = json.dumps({"at": utc_stamp(), **row}, ensure_ascii=False, default=str)
        print(text.encode("utf-8", "backslashreplace").decode("utf-8"), file=self._out, flush=True)


class PlainLines:
    """One line per change, for a log."""

    def __init__(self, out: IO[str]) -> None:
        self._out = out

    def update(self, snapshot: Snapshot, changes: Iterable[Change] = ()) -> None:
        """One line per change: when, what, its status."""
        for change in changes:
            name = f"{change.group}/{change.name}" if change.what == "task" else f"{change.what} {change.name}"
            again = f" (try {change.retry_id + 1})" if change.retry_id else ""
            code = f" (exit code {change.exit_code})" if change.exit_code else ""
            self._say(f"{utc_stamp()}  {name}{again}  {change.now}{code}")

    def lines(self, title: str, lines: Iterable[str]) -> None:
        """Indented under a title."""
        self._say(f"--- {title}")
        for line in _discreet(lines):
            self._say(f"    {line}")
        self._say("---")

    def note(self, text: str) -> None:
        """A line."""
        self._say(f"{utc_stamp()}  {text}")

    def end(self, facts: Mapping[str, Any], sentences: Iterable[str]) -> None:
        """The sentences."""
        for sentence in sentences:
            for line in sentence.split("\n"):
                self._say(line)

    def close(self) -> None:
        """Nothing to give back."""

    def _say(self, line: str) -> None:
        print(harmless(line), file=self._out, flush=True)


class LiveTable:
    """A table that is drawn over itself: group, task, status, time, try. Log lines and notes scroll above it.

    For a program that knows its state itself: `update(query)` with the query JSON, or a snapshot, then `close()`.
    """

    def __init__(self, out: IO[str], *, width: int | None = None) -> None:
        from rich.console import Console
        from rich.live import Live

        self._console = Console(file=out, width=width, highlight=False, markup=False, emoji=False)
        self._live = Live(console=self._console, auto_refresh=False, transient=False)
        self._snapshot: Snapshot | None = None
        self._live.start()

    def update(self, snapshot: Snapshot | Mapping[str, Any], changes: Iterable[Change] = ()) -> None:
        """Draw it anew; call it about once a second so that times move."""
        self._snapshot = snapshot if isinstance(snapshot, Snapshot) else read_query(snapshot)
        self._live.update(_table(self._snapshot, datetime.now(UTC)), refresh=True)

    def lines(self, title: str, lines: Iterable[str]) -> None:
        """Above the table."""
        self._above(f"--- {title}", "bold")
        for line in _discreet(lines):
            self._above(f"    {line}", "")
        self._above("---", "bold")

    def note(self, text: str) -> None:
        """Above the table."""
        self._above(text, "yellow")

    def end(self, facts: Mapping[str, Any], sentences: Iterable[str]) -> None:
        """The sentences, under the table."""
        self.close()
        for sentence in sentences:
            for line in sentence.split("\n"):
                self._above(line, "")

    def close(self) -> None:
        """Leave the last table standing."""
        self._live.stop()

    def _above(self, text: str, style: str) -> None:
        from rich.text import Text

        self._console.print(Text(harmless(text), style=style), soft_wrap=True)


def _discreet(lines: Iterable[str]) -> list[str]:
    """Without secrets; endless lines are cut far behind what is shown of them."""
    return discreet("\n".join(last_state(line)[: 50 * MAX_SHOWN].replace("\n", " ") for line in lines)).split("\n")


def _table(snapshot: Snapshot, now: datetime) -> Any:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, title=Text(f"{harmless(snapshot.id)}  {harmless(snapshot.status)}"))
    for column in ("group", "task", "status", "time", "try"):
        table.add_column(
            column, no_wrap=column != "task", overflow="ellipsis", justify="right" if column == "time" else "left"
        )
    shown = ""
    for task in snapshot.tasks:
        group, shown = ("" if task.group == shown else task.group), task.group
        style = COLOURS.get(task.status, "red" if failed(task.status) else "")
        code = f" ({task.exit_code})" if task.exit_code else ""
        seconds = task.seconds(now)
        cells = (group, task.name, "", "" if seconds is None else clock(seconds), str(task.retry_id + 1))
        row = [Text(harmless(cell)) for cell in cells]
        row[2] = Text(harmless(task.status) + code, style=style)
        table.add_row(*row)
    return table


def status_lines(snapshot: Snapshot, *, verbose: bool = False) -> list[str]:
    """The same table as plain text: one line per task (`verbose`: per try), under the status of the run."""
    now = datetime.now(UTC)
    tasks = [t for g in snapshot.groups for t in g.tasks] if verbose else list(snapshot.tasks)
    rows = [("group", "task", "try", "time", "status")]
    for task in tasks:
        seconds = task.seconds(now)
        code = f" ({task.exit_code})" if task.exit_code else ""
        told = f"  {task.failure_message.strip()}" if task.failure_message.strip() else ""
        rows.append(
            (
                harmless(task.group),
                harmless(task.name),
                str(task.retry_id + 1),
                "" if seconds is None else clock(seconds),
                harmless(discreet(task.status + code + told)),
            )
        )
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    table = ["  ".join([*(cell.ljust(w) for cell, w in zip(row[:4], widths, strict=True)), row[4]]) for row in rows]
    return [f"{harmless(snapshot.id)}  {harmless(snapshot.status)}", *(line.rstrip() for line in table)]


def clock(seconds: float) -> str:
    """65 as 1:05, 3700 as 1:01:40."""
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"
