"""Where data lies: folders of this machine, or urls of object stores in the shapes that the cluster takes."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Literal
from urllib.parse import unquote

from noescape.records import UsageError

Target = Literal["local", "osmo"]
# What stands behind `scheme://`, and how many parts of it there must be.
SHAPES = {
    "s3": ("s3://bucket/path", 1),
    "gs": ("gs://bucket/path", 1),
    "azure": ("azure://account/container/path", 2),
    "swift": ("swift://endpoint/account/bucket/path", 3),
    "tos": ("tos://endpoint/bucket/path", 2),
}
HERE = ("s3", "gs", "azure")  # what this machine reads and writes itself
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_PART = re.compile(r"[^/,;*]+")


def is_remote(url: str) -> bool:
    """Whether `url` has a scheme that leads away from this machine (known here or not)."""
    match = _SCHEME.match(url)
    return match is not None and match[1] != "file"


def url_problem(url: str, target: Target) -> str | None:
    """What is wrong with `url` for `target`, in one sentence with the mend; None if nothing is.

    `local` takes folders (relative, absolute, `~`, file://) and s3, gs, azure; `osmo` takes the five schemes of the
    cluster and no folder. Parts between slashes hold no comma, semicolon or asterisk.
    """
    if not url.strip() or "\0" in url:
        return f"expected a url or a folder, got {url!r}"
    if not is_remote(url):
        return _folder_problem(url, target)
    scheme, rest = _split(url)
    if scheme not in SHAPES:
        return f"unknown kind of storage {scheme}:// in {url!r}; known are {', '.join(f'{s}://' for s in SHAPES)}"
    shape, least = SHAPES[scheme]
    parts = rest.removesuffix("/").split("/")
    if not all(_PART.fullmatch(part) for part in parts):
        return f"expected {shape}, no part empty or with ',', ';' or '*', got {url!r}"
    if len(parts) < least:
        return f"expected {shape}, got {url!r}: {least} parts are needed, {len(parts)} given"
    if target == "local" and scheme not in HERE:
        return f"{scheme}:// storage is used by the cluster alone; here take a folder or {', '.join(HERE)} ({url!r})"
    if {".", ".."} & set(parts) or re.search(r"[\x00-\x1f\x7f\\]", rest):
        return f"a url has no '.', '..', backslash or control character between its slashes, got {url!r}"
    return None


def _folder_problem(url: str, target: Target) -> str | None:
    if target == "osmo":
        return f"{url!r} is a folder of this machine, which the cluster cannot see; give s3://bucket/path or the like"
    if url.startswith("file://") and not re.match(r"file://(localhost)?/", url):
        return f"expected file:///absolute/path, got {url!r}"
    return None


def absolute(url: str, base: Path) -> str:
    """`url` as it can be stored: a folder (relative to `base`, `~` or file://) as an absolute path, others checked.

    UsageError if it is neither a folder nor a url that this machine can use.
    """
    problem = url_problem(url, "local")
    if problem:
        raise UsageError(problem)
    if is_remote(url):
        scheme, rest = _split(url)
        return f"{scheme}://{rest.removesuffix('/')}"
    match = _SCHEME.match(url)
    if match:
        return os.path.normpath("/" + unquote(match[2]).partition("/")[2])
    if url.startswith("~"):
        try:
            return os.path.normpath(Path(url).expanduser())
        except RuntimeError as error:
            raise UsageError(f"{url!r}: {error}") from None
    return os.path.normpath(Path(os.path.abspath(base)) / url)  # noqa: PTH100 - links stay as they are written


def remote_parts(url: str) -> tuple[str, list[str]]:
    """Scheme and the parts between the slashes of a checked remote url."""
    scheme, rest = _split(url)
    return scheme, rest.removesuffix("/").split("/")


def _split(url: str) -> tuple[str, str]:
    match = _SCHEME.match(url)
    if match is None:
        raise UsageError(f"expected scheme://…, got {url!r}")
    return match[1], match[2]
