"""A folder of results that appears whole: filled beside its place, then renamed over what an earlier run left."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from noescape.records import DataError, UsageError


@contextmanager
def whole_folder(out: Path, mark: str) -> Iterator[Path]:
    """Yields a hidden folder to fill, which takes the place of `out` at the end, or is removed after an error.

    What is there already is replaced if it holds the file `mark`, which says that it is such a result; else
    UsageError, before anything is done.
    """
    taken = out.exists() and any(out.iterdir() if out.is_dir() else [out])
    if taken and not (out / mark).is_file():
        raise UsageError(f"{out} holds something else (no {mark}): choose another folder, or remove what is there")
    part = out.with_name(f".{out.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        part.mkdir(parents=True)
        yield part
        if out.is_symlink() or out.is_file():
            out.unlink()
        shutil.rmtree(out, ignore_errors=True)
        part.rename(out)
    except OSError as error:
        raise DataError(f"{out}: cannot be written ({error.strerror or error})") from None
    finally:
        shutil.rmtree(part, ignore_errors=True)
