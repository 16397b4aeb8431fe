"""What of a run is already done: rows of frames, each with the digests of its files, until `metadata.json` is whole."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from noescape.files import (
    JsonlAppender,
    contained,
    read_json_object,
    read_jsonl,
    remove_parts,
    sha256_file,
    write_json,
)
from noescape.records import DataError, NoescapeError, UsageError

ROWS, METADATA = "frames.jsonl", "metadata.json"
Key = tuple[int, str]


class Ledger:
    """Opened on a new, empty or half-filled folder; UsageError if that holds another run, or anything else.

    A frame counts as done if its row is there and all of its files have the digests of the row.
    """

    def __init__(self, folder: Path, identity: dict[str, Any]) -> None:
        self._folder, self._identity = folder, identity
        self._rows: dict[Key, dict[str, Any]] = {}
        self._failed: dict[Key, dict[str, Any]] = {}
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / ROWS).is_file():
            self._take([*read_jsonl(folder / ROWS)])
        elif (folder / METADATA).is_file():
            value = read_json_object(folder / METADATA, "what was rendered")
            self._take([{"run": value.get("run")}, *(value.get("frames") or [])])
        elif any(folder.iterdir()):
            raise UsageError(f"{folder}: holds files of something else; give an empty or new folder")
        remove_parts(folder)
        self._log = JsonlAppender(folder / ROWS)
        if not (folder / ROWS).stat().st_size:
            self._log.append({"run": identity})
            for row in self._rows.values():
                self._log.append(row)

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._log.close()

    def has(self, trigger: int, cell: str) -> bool:
        """Whether the frame is done."""
        return (trigger, cell) in self._rows

    def add(self, trigger: int, cell: str, row: dict[str, Any]) -> None:
        """A frame whose files are all written."""
        self._rows[(trigger, cell)] = row
        self._log.append(row)

    def fail(self, row: dict[str, Any]) -> None:
        """A frame that could not be made; the next run tries it again."""
        self._failed[(row["trigger"], row["cell"])] = row

    def close(self, order: Sequence[Key]) -> None:
        """Write `metadata.json` with all rows in `order`, and drop the rows."""
        value = {
            "run": self._identity,
            "board": self._identity["scene"]["name"],
            "frames": [self._rows[key] for key in order if key in self._rows],
            "failed": [self._failed[key] for key in order if key in self._failed],
        }
        write_json(self._folder / METADATA, value)
        self._log.close()
        (self._folder / ROWS).unlink(missing_ok=True)

    def _take(self, rows: list[dict[str, Any]]) -> None:
        first = rows[0].get("run") if rows else None
        if rows and first != self._identity:
            raise UsageError(
                f"{self._folder}: holds another run ({_difference(first, self._identity)}); give another folder, or "
                "remove this one"
            )
        for row in rows[1:]:
            try:
                key = (int(row["trigger"]), str(row["cell"]))
                files = dict(row["files"])
            except (KeyError, TypeError, ValueError):
                raise DataError(f"{self._folder}: a row of {ROWS} is damaged; remove the folder") from None
            if all(self._whole(name, digest) for name, digest in files.items()):
                self._rows[key] = row

    def _whole(self, name: str, digest: str) -> bool:
        try:
            path = contained(self._folder, name)
            return path.is_file() and sha256_file(path) == digest
        except (OSError, NoescapeError):
            return False


def _difference(there: Any, here: dict[str, Any]) -> str:
    if not isinstance(there, dict):
        return "its first row is damaged"
    names = [name for name in here if there.get(name) != here[name]]
    return f"its {', '.join(names)} differ" if names else "an older form"
