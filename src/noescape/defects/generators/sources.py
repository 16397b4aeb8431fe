"""What the files that test cases name are called in the results: names that mean something to who gets those alone."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from noescape.datasets.anomalygen_layout import FOLDERS, TYPED
from noescape.files import sha256_named


@dataclass(frozen=True, kw_only=True)
class Sources:
    """`names` of the files as results call them, by how the test cases name them; `dataset_sha256` is the digest of
    those of the data set (their names there and contents), the same wherever it lies. None: none of them is there."""

    names: Mapping[str, str]
    dataset_sha256: str | None


def name_sources(files: Mapping[str, str | None], folder: Path) -> Sources:
    """Name `files` (each with its digest, None where it is not there), which test cases in `folder` name.

    In a data set of the AnomalyGen layout: relative to the data set. Beside the test cases (placed masks): relative to
    those. Elsewhere: relative to the deepest folder that holds all such files.
    """
    full = {name: _plain(name) for name in files}
    roots = {name: _dataset_of(path) for name, path in full.items()}
    beside = _plain(folder)
    rest = [str(full[n].parent) for n in files if roots[n] is None and not full[n].is_relative_to(beside)]
    common = Path(os.path.commonpath(rest)) if rest else beside
    names = {}
    for name, path in full.items():
        home = roots[name] or (beside if path.is_relative_to(beside) else common)
        names[name] = path.relative_to(home).as_posix()
    return Sources(names=names, dataset_sha256=_digest(names, files, [n for n, root in roots.items() if root]))


def _dataset_of(path: Path) -> Path | None:
    """The data set that a file lies in, by the names of the folders above it: <root>/<TEXTURE>/clean_image/<file>."""
    for at, folder in enumerate(path.parents):
        if at == int(folder.name in TYPED) and folder.name in FOLDERS and len(path.parents) > at + 2:
            return path.parents[at + 2]
    return None


def _digest(names: Mapping[str, str], files: Mapping[str, str | None], inside: Sequence[str]) -> str | None:
    known = {(names[n], digest) for n in inside if (digest := files[n]) is not None}
    return sha256_named(sorted(known)) if known else None


def _plain(path: Path | str) -> Path:
    return Path(os.path.abspath(path))  # noqa: PTH100 - where a link stands says more than where it leads
