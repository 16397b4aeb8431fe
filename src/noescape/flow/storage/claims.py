"""Claims: who owns an uploaded folder, and what is in it. A small JSON file beside the data, never inside.

    {"noescape_claim": 1, "owner": "flow/task", "uploading": false, "files": [{"path", "size", "sha256", "etag"?}]}

While an upload is under way `uploading` is true and `files` is still the old content. Just before a local folder is
swapped in, `next` holds its inode number and its files, so that whichever folder a kill leaves has its manifest.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from noescape.files import dump_json
from noescape.flow.storage.names import checked
from noescape.flow.storage.store import Entry, StorageError

MAX_BYTES = 1 << 30


@dataclass(frozen=True, kw_only=True)
class Held:
    """What an upload declared about one file."""

    size: int
    sha256: str
    etag: str | None = None


Manifest = Mapping[str, Held]


@dataclass(frozen=True, kw_only=True)
class Claim:
    """Owner and content of one uploaded folder; see the module."""

    owner: str
    uploading: bool = False
    files: Manifest = field(default_factory=dict)
    next_folder: int | None = None
    next_files: Manifest = field(default_factory=dict)

    def of(self, folder: int) -> Manifest:
        """The manifest of the folder with this inode number."""
        return self.next_files if self.next_folder == folder else self.files

    def settled(self, folder: int | None) -> Claim:
        """The claim as it is with that folder in place and no upload under way."""
        files = self.files if folder is None else self.of(folder)
        return replace(self, uploading=False, files=files, next_folder=None, next_files={})


def manifest(entries: Iterable[Entry]) -> Manifest:
    """The manifest of uploaded entries, which have digests."""
    return {e.path: Held(size=e.size, sha256=e.digest or "", etag=e.etag) for e in entries}


def dump_claim(claim: Claim) -> str:
    """JSON text of a claim; the same claim gives the same text."""
    value: dict[str, Any] = {"noescape_claim": 1, "owner": claim.owner, "uploading": claim.uploading}
    value["files"] = _rows(claim.files)
    if claim.next_folder is not None:
        value["next"] = {"folder": claim.next_folder, "files": _rows(claim.next_files)}
    return dump_json(value)


def _rows(files: Manifest) -> list[dict[str, Any]]:
    rows = []
    for path in sorted(files):
        held = files[path]
        row: dict[str, Any] = {"path": path, "size": held.size, "sha256": held.sha256}
        rows.append(row | ({"etag": held.etag} if held.etag else {}))
    return rows


def parse_claim(data: bytes, where: str) -> Claim:
    """The claim in `data`; StorageError that names `where` if it is none."""
    try:
        if len(data) > MAX_BYTES:
            raise ValueError(f"larger than {MAX_BYTES} bytes")
        value = json.loads(data)
        if value["noescape_claim"] != 1:
            raise ValueError(f"claims of kind {value['noescape_claim']!r} are of another version")
        later = value.get("next")
        return Claim(
            owner=_text(value["owner"]),
            uploading=value["uploading"] is True,
            files=_files(value["files"], where),
            next_folder=None if later is None else int(later["folder"]),
            next_files={} if later is None else _files(later["files"], where),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else error
    raise StorageError(
        f"{where}: expected the claim of an uploaded folder, but it cannot be read ({reason}); if the folder beside "
        "it is as it should be, remove this file"
    )


def _files(rows: Any, where: str) -> Manifest:
    files = {}
    for row in rows:
        size, sha256 = row["size"], _text(row["sha256"])
        if not isinstance(size, int) or size < 0 or len(sha256) != 64:
            raise ValueError(f"size {size!r} or sha256 {sha256!r}")
        etag = row.get("etag")
        files[checked(_text(row["path"]), where)] = Held(size=size, sha256=sha256, etag=_text(etag) if etag else None)
    return files


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected text, got {value!r}")
    return value
