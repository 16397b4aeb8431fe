"""The errors a user can meet, as one family tree.

    NoescapeError
    ├── UsageError   the command or its arguments are wrong            (exit code 2)
    └── WorkError    the work itself failed                            (exit code 1)
        ├── DataError     a data set or a folder is not what it should be
        ├── ImageError    one image cannot be read: costs one row, never the batch
        ├── BundleError   a model folder is incomplete, altered or of another version
        └── PathEscapeError    a name from outside points out of its folder

Messages name what was expected, what came, where, and what to do next.
"""

from __future__ import annotations

from pathlib import Path


class NoescapeError(Exception):
    """Any failure that noescape explains itself; `exit_code` is what the command line returns."""

    exit_code = 1


class UsageError(NoescapeError):
    """The command or its arguments are wrong; nothing was written."""

    exit_code = 2


class WorkError(NoescapeError):
    """The work was asked for correctly but failed."""


class DataError(WorkError):
    """A data set or folder is not what it should be."""


class ImageError(WorkError):
    """One image cannot be used. `code` is a short stable word for programs (empty, truncated, …)."""

    def __init__(self, path: Path | str, code: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path, self.code, self.reason = Path(path), code, reason


class BundleError(WorkError):
    """A model folder is incomplete, was altered, or belongs to another version."""


class PathEscapeError(WorkError):
    """A name that came from outside points out of the folder it must stay in."""
