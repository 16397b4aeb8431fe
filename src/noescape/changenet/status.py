"""status.json: one line of JSON for each thing that happened, as monitors of the public originals read it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from noescape.files import JsonlAppender, utc_stamp


class Status:
    """Appends lines; a line is there whole or not at all."""

    def __init__(self, path: Path) -> None:
        self._out = JsonlAppender(path)

    def say(self, status: str, message: str, kpi: Mapping[str, float] | None = None) -> None:
        """`status` is STARTED, RUNNING, SUCCESS, FAILURE or SKIPPED."""
        day, _, hour = utc_stamp().rstrip("Z").partition("T")
        year, month, date = day.split("-")
        row: dict[str, object] = {
            "date": f"{int(month)}/{int(date)}/{year}",
            "time": ":".join(str(int(part)) for part in hour.split(":")),
            "status": status,
            "verbosity": "ERROR" if status == "FAILURE" else "INFO",
            "message": message,
        }
        if kpi is not None:
            row["kpi"] = dict(kpi)
        self._out.append(row)

    def close(self) -> None:
        """Sync and close."""
        self._out.close()
