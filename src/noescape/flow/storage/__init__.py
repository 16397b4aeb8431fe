"""Where the data of flows lies: local folders and object stores behind one door.

Uploads appear whole or not at all, a folder belongs to the one task that writes it, downloads go on after a kill.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from noescape.flow.storage.folder import FolderStore
from noescape.flow.storage.store import ClaimedError, Entry, OnBytes, StorageError, Store, UnfinishedError
from noescape.flow.storage.urls import Target, absolute, is_remote, url_problem

__all__ = [
    "ClaimedError",
    "Entry",
    "FolderStore",
    "OnBytes",
    "StorageError",
    "Store",
    "Target",
    "UnfinishedError",
    "absolute",
    "is_remote",
    "open_store",
    "url_problem",
]


def open_store(url: str, *, secrets: Mapping[str, Mapping[str, str]] | None = None) -> Store:
    """The store at `url`: a folder (relative to the current one, `~`, file://) or s3://, gs://, azure://.

    `secrets` are credentials by name, each with `access_key_id`, `access_key` and, if wanted, `endpoint` (the storage
    it is for, such as s3://bucket, or an http address), `override_url` (http address of the server), `region` and
    `addressing_style`. Without a fitting one the environment decides, as it does for the library of that storage.
    UsageError for a wrong url or a library that is not installed. Opening talks to nobody.
    """
    place = absolute(url, Path.cwd())
    if not is_remote(place):
        return FolderStore(place)
    from noescape.flow.storage.remote import open_remote

    return open_remote(place, secrets or {})
