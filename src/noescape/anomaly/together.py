"""Several files of a run folder change together: all or none, wherever the work is killed.

The new files are written whole into a hidden folder beside their places; that folder gets its final name by one
rename, and this is the moment of the change. Then the files move to their places one by one. Who finds the folder
under its final name (the writer was killed while moving) moves the rest: `finish_replacing`, at every opening.
"""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from noescape.files import contained, write_bytes, write_json
from noescape.records import BundleError

PENDING = ".update"
LAST = "manifest.json"  # moved last, so that a reader who sees the new one sees all the others new as well
_REMOVE = "remove.json"


def replace_together(folder: Path, files: Mapping[str, bytes], *, remove: Sequence[str] = ()) -> None:
    """Put `files` (posix name relative to `folder`, content) in place and delete the files named in `remove`.

    A kill leaves the old state, the new one, or a pending change that `finish_replacing` completes; besides at most
    one hidden folder `.update.*.part`, which the next call clears away. One writer at a time.
    """
    finish_replacing(folder)
    for litter in folder.glob(f"{PENDING}.*.part"):
        shutil.rmtree(litter, ignore_errors=True)
    stage = folder / f"{PENDING}.{secrets.token_hex(4)}.part"
    (stage / "files").mkdir(parents=True)
    for name, data in files.items():
        contained(folder, name)
        write_bytes(contained(stage / "files", name), data)
    for name in remove:
        contained(folder, name)
    write_json(stage / _REMOVE, list(remove))
    stage.rename(folder / PENDING)
    finish_replacing(folder)


def finish_replacing(folder: Path) -> bool:
    """Complete a change that was interrupted; False if there is none. Safe to run from several processes at once.

    BundleError where the change cannot be completed: the folder is read-only here, or it was tampered with.
    """
    pending = folder / PENDING
    if not pending.exists() and not pending.is_symlink():
        return False
    if pending.is_symlink() or not pending.is_dir():
        raise BundleError(f"{pending} is no folder that noescape made: remove it")
    try:
        while pending.is_dir():
            with suppress(FileNotFoundError):  # another process moved it first
                _move_all(pending, folder)
    except (OSError, ValueError) as error:
        raise BundleError(
            f"{folder}: a change of this bundle was interrupted and cannot be completed here ({error}); "
            "open it once where it may be written"
        ) from None
    return True


def _move_all(pending: Path, folder: Path) -> None:
    staged = pending / "files"
    waiting = sorted(p.relative_to(staged).as_posix() for p in staged.rglob("*") if not p.is_dir() or p.is_symlink())
    for name in sorted(waiting, key=lambda n: n == LAST):
        target = contained(folder, name)
        target.parent.mkdir(parents=True, exist_ok=True)
        (staged / name).replace(target)
    if (pending / _REMOVE).is_file():
        for name in json.loads((pending / _REMOVE).read_text("utf-8")):
            contained(folder, str(name)).unlink(missing_ok=True)
        (pending / _REMOVE).unlink(missing_ok=True)
    shutil.rmtree(pending)
