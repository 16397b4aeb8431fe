"""A folder that is filled whole or not at all, and that a killed program fills anew."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from noescape.records import DataError

UNFINISHED = ".unfinished"


@contextmanager
def fresh_folder(out: Path) -> Iterator[Path]:
    """Fill the empty or new folder `out` inside of this; yields a folder in it for what is needed on the way.

    That one is gone afterwards; it also marks `out` as unfinished: what a kill left is removed by the next start, and
    an error removes it at once. DataError when `out` holds anything else, or is a file.
    """
    scratch = out / UNFINISHED
    if out.is_dir() and any(out.iterdir()) and not scratch.is_dir():
        raise DataError(f"{out}: holds files already; give an empty or new folder, or remove what is there")
    if out.exists() and not out.is_dir():
        raise DataError(f"{out}: expected a folder, it is a file")
    _empty(out)
    scratch.mkdir(parents=True, exist_ok=True)
    try:
        yield scratch
    except BaseException:
        _empty(out)
        shutil.rmtree(scratch, ignore_errors=True)
        raise
    shutil.rmtree(scratch)


def _empty(out: Path) -> None:
    """Remove all but the mark, which goes last, so that a kill in here is seen."""
    for path in out.iterdir() if out.is_dir() else []:
        if path.name == UNFINISHED:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
