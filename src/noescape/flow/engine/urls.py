"""Stores behind the urls of tasks: opened, told apart, and compared with what was recorded."""

from __future__ import annotations

import hashlib

from noescape.files import sha256_named
from noescape.flow.engine.layout import RunFolder
from noescape.flow.engine.shop import Shop
from noescape.flow.storage import Store, absolute, is_remote, open_store


def store_at(shop: Shop, url: str) -> Store:
    """The store of a url whose tokens are replaced; folders are relative to the caller's folder."""
    return open_store(absolute(url, shop.base), secrets=shop.storage_secrets)


def input_identity(shop: Shop, store: Store, regex: str | None) -> str | None:
    """Digest of an input's content; None before the first run of a flow that goes on from its own checkpoints."""
    own = any(f"{store.url.rstrip('/')}/".startswith(f"{place.rstrip('/')}/") for place in shop.kept)
    return None if own and not store.exists() else url_identity(shop.run, store, regex)


def url_identity(run: RunFolder, store: Store, regex: str | None) -> str:
    """Digest of a url's content; a cache beside the runs spares reading unchanged folders again."""
    if is_remote(store.url):
        return store.identity(regex)
    name = hashlib.sha256(store.url.encode("utf-8", "backslashreplace")).hexdigest()[:16]
    return store.identity(regex, cache=run.path / "digests" / f"{name}.json")


def listing_of(store: Store) -> str:
    """Digest of names and sizes, to see later whether uploaded outputs are still what they were."""
    return sha256_named((entry.path, str(entry.size)) for entry in store.entries())
