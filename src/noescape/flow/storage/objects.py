"""One object store through fsspec: every call there and back, every failure one clear error without secrets."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from noescape.flow.secrets.mask import mask
from noescape.flow.storage.backends import connect, hidden_values
from noescape.flow.storage.store import OnBytes, StorageError
from noescape.flow.storage.urls import remote_parts

PART = 8 << 20  # bytes of one request
_MOST_PARTS = 9000  # S3 takes 10,000
_SIGNED = re.compile(
    r"(?i)((?:sig|signature|accountkey|credential|security-token|awsaccesskeyid)(?:=|%3d))[^&;\s<\"']+"
)
_LOGIN = re.compile(r"//[^/@\s]+@")
_FORBIDDEN = re.compile(r"(?i)\b40[13]\b|denied|forbidden|authoriz|authenticat|credential|signature|access ?key")


class ForbiddenError(StorageError):
    """The server does not let these credentials do this."""


@dataclass(frozen=True, kw_only=True)
class Remote:
    """One object as the server lists it; `key` begins with the bucket or container."""

    key: str
    size: int
    etag: str | None
    modified: float


class Objects:
    """The objects behind one url. Connects at the first call; may be used from several threads.

    An object that is not there is a FileNotFoundError, one that should not be there a FileExistsError, all else a
    StorageError with the url, what the server said and what to do.
    """

    def __init__(self, url: str, payload: Mapping[str, str]) -> None:
        self.url = url
        self._payload = payload
        self._scheme, parts = remote_parts(url)
        if self._scheme == "azure":
            parts = parts[1:]
        self.bucket, self.prefix = parts[0], parts[1:]
        self.base = "/".join(parts)

    @cached_property
    def _system(self) -> Any:
        return connect(self.url, self._payload)

    def _call(self, method: str, *args: Any, **options: Any) -> Any:
        problem: Exception
        try:
            return getattr(self._system, method)(*args, **options)
        except (FileNotFoundError, FileExistsError) as error:
            problem = type(error)(self._clean(error))
        except Exception as error:
            problem = self._told(error)
        raise problem  # out here, so that the library's own error, which may hold secrets, does not hang on it

    def _clean(self, error: Exception) -> str:
        text = " ".join(str(error).split())[:1000]
        text = _LOGIN.sub("//***@", _SIGNED.sub(r"\1***", mask(text, hidden_values(self._payload))))
        return text[:300] or type(error).__name__

    def _told(self, error: Exception) -> StorageError:
        said = f"{self.url}: {type(error).__name__}: {self._clean(error)}"
        if isinstance(error, PermissionError) or _FORBIDDEN.search(said.removeprefix(self.url)):
            return ForbiddenError(f"{said}; check the credentials and what they may do there")
        return StorageError(f"{said}; check the address and the network, then run the same again")

    def list(self) -> list[Remote]:
        """All objects under the url, or the one that it names, sorted by key."""
        try:
            found = self._call("find", self.base, detail=True)
        except FileNotFoundError as error:
            if re.search(r"(?i)bucket|container", str(error)):
                raise self.absent() from None
            return []
        if not isinstance(found, dict):  # a library that gives names alone when there is one object
            found = {name: self._call("info", name) for name in found}
        rows = [_remote(info) for info in found.values() if info["type"] == "file"]
        return sorted((row for row in rows if not row.key.endswith("/")), key=lambda row: row.key)

    def info(self, key: str) -> Remote | None:
        """The object of this key as it is now; None if there is none."""
        try:
            info = self._call("info", key)
        except FileNotFoundError:
            return None
        return _remote(info) if info["type"] == "file" else None

    def any(self) -> bool:
        """Whether there is the object of the url, or one below it. One or two requests."""
        try:
            self._call("info", self.base)
        except FileNotFoundError:
            return False
        return True

    def read(self, key: str) -> bytes | None:
        """The whole content of a small object; None if there is none."""
        try:
            return bytes(self._call("cat_file", key, max_concurrency=1))
        except FileNotFoundError:
            return None

    def read_range(self, key: str, start: int, end: int) -> bytes:
        """The bytes from `start` to before `end`."""
        try:
            return bytes(self._call("cat_file", key, start=start, end=end, max_concurrency=1))
        except FileNotFoundError:
            raise StorageError(f"{self.url}: {key} has gone while it was fetched; run the same again") from None

    def write(self, key: str, data: bytes) -> None:
        """Write a small object."""
        try:
            self._call("pipe_file", key, data)
        except FileNotFoundError:
            raise self.absent() from None

    def create(self, key: str, data: bytes) -> None:
        """Write a small object that must not be there: FileExistsError if it is.

        Servers that know no such condition write it in any case: read it back.
        """
        try:
            self._call("pipe_file", key, data, mode="create")
        except FileNotFoundError:
            raise self.absent() from None
        except StorageError as error:
            if not re.search(r"(?i)not ?implemented|\b501\b|unsupported", str(error)):
                raise
            self.write(key, data)

    def put(self, source: Path, key: str, size: int, on_bytes: OnBytes | None) -> None:
        """Upload a file in parts of 8 MiB (larger from 72 GiB on); two of them are in memory at a time."""
        options: dict[str, Any] = {"callback": _callback(size, on_bytes)}
        if self._scheme != "azure":
            options["chunksize"] = max(PART, math.ceil(size / _MOST_PARTS / (1 << 18)) * (1 << 18))
        try:
            self._call("put_file", str(source), key, max_concurrency=2, **options)
        except FileNotFoundError:
            raise self.absent() from None

    def delete(self, key: str) -> None:
        """Remove an object, if it is there."""
        try:
            self._call("rm_file", key)
        except FileNotFoundError:
            return

    def absent(self) -> StorageError:
        """The error for a bucket or container that does not exist."""
        kind = "container" if self._scheme == "azure" else "bucket"
        return StorageError(f"{self.url}: the {kind} {self.bucket} is not there; make it first, or check the name")


def _remote(info: Mapping[str, Any]) -> Remote:
    etag = info.get("ETag") or info.get("etag")
    moment = info.get("LastModified") or info.get("last_modified") or info.get("updated")
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment)
    return Remote(
        key=str(info["name"]),
        size=int(info["size"] or 0),
        etag=str(etag).strip('"') if etag else None,
        modified=moment.timestamp() if isinstance(moment, datetime) else 0.0,
    )


def _callback(size: int, on_bytes: OnBytes | None) -> Any:
    from fsspec.callbacks import Callback

    class Told(Callback):  # type: ignore[misc]
        """Turns totals and steps of a library into steps that never go back."""

        done = 0

        def relative_update(self, inc: int = 1) -> None:
            self.absolute_update(self.done + inc)

        def absolute_update(self, value: int) -> None:
            step = min(value, size) - self.done
            if step > 0 and on_bytes:
                self.done += step
                on_bytes(step)

    return Told(size=size)


def in_turn(on_bytes: OnBytes | None) -> OnBytes | None:
    """`on_bytes` for several threads: one at a time."""
    if on_bytes is None:
        return None
    from threading import Lock

    lock = Lock()

    def tell(count: int) -> None:
        with lock:
            on_bytes(count)

    return tell


def at_once(work: Callable[[Any], Any], items: Any, *, threads: int) -> list[Any]:
    """`work` of every item, several at a time, results in order; the first error stops what has not begun."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(threads) as pool:
        futures = [pool.submit(work, item) for item in items]
        try:
            return [future.result() for future in futures]
        except BaseException:
            for future in futures:
                future.cancel()
            raise
