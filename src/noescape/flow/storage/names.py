"""Names that are fit for every place: no way out of a folder, no two that some disk would take for one."""

from __future__ import annotations

import re
import unicodedata
from pathlib import PureWindowsPath

from noescape.flow.storage.store import StorageError

MARKER = ".noescape-uploading"
_OWN = re.compile(r"\.(.+\.claim\.json|.+\.[0-9a-f]{8}\.(part|old)|noescape-[0-9a-f]{16}\.part|noescape-uploading)")


def is_own(name: str) -> bool:
    """Whether a file or folder of this name belongs to noescape itself (claims, unfinished copies), not to the data."""
    return name.startswith(".") and _OWN.fullmatch(name) is not None


def claim_name(folder: str) -> str:
    """The hidden sibling of a folder that says who owns it."""
    return f".{folder}.claim.json"


def checked(path: str, where: str) -> str:
    """`path` if it is a plain relative path with '/' between its parts; StorageError otherwise.

    The rules of `files.contained` as far as text can tell, and no backslash, empty part or '.'.
    """
    parts = path.split("/")
    windows = PureWindowsPath(path)
    if {"", ".", ".."} & set(parts) or "\0" in path or "\\" in path or windows.drive or path.startswith("~"):
        raise StorageError(
            f"{where}: the name {path!r} is not taken: expected a plain relative path, no empty part, '..', backslash, "
            "drive or leading '~'; rename it at its source"
        )
    return path


class Names:
    """Paths seen so far, to find two that a disk without case or with other Unicode forms would take for one."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._files: dict[str, str] = {}
        self._folders: set[str] = set()

    def add(self, path: str) -> str:
        """`path`, checked; StorageError if it clashes with an earlier one."""
        key = unicodedata.normalize("NFC", checked(path, self._where)).casefold()
        twin = self._files.get(key)
        if twin is not None:
            raise self._clash(path, twin)
        if key in self._folders:
            raise self._clash(path, "a folder")
        self._files[key] = path
        end = key.rfind("/")
        while end > 0 and key[:end] not in self._folders:
            if key[:end] in self._files:
                raise self._clash(path, self._files[key[:end]])
            self._folders.add(key[:end])
            end = key.rfind("/", 0, end)
        return path

    def _clash(self, path: str, other: str) -> StorageError:
        return StorageError(
            f"{self._where}: {path!r} and {other!r} would be one file on a disk that knows no upper case or other "
            "Unicode forms; rename one of them"
        )
