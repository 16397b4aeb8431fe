"""Images below a folder, in a stable order, without ever leaving it."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

from noescape.imaging import is_image_name
from noescape.records import GOOD_TYPE, UNCERTAIN_TYPE, DataError, ImageError, Sample

UNKNOWN_TYPE = "unknown"

_log = logging.getLogger(__name__)


def read_folder(folder: Path, *, label: int | None = None, refused: list[ImageError] | None = None) -> list[Sample]:
    """Every image below `folder`, recursively, sorted by key; all with the same `label` (None: nobody says).

    What counts is the suffix: other files are ignored, broken images are kept (reading them costs one row later).
    Hidden files and folders are passed over. Links that lead out of the folder are refused: each is appended to
    `refused`, or logged as a warning when no list is given; folders reached twice are entered once.
    DataError when `folder` is no folder. Nothing is decoded.
    """
    defect_type = {0: GOOD_TYPE, 1: "defect", None: UNKNOWN_TYPE}[label]
    return [
        Sample(key=key, image=path, label=label, defect_type=defect_type) for key, path in find_images(folder, refused)
    ]


def read_labelled_folder(folder: Path, *, refused: list[ImageError] | None = None) -> list[Sample]:
    """Like `read_folder`, with labels where the folder tells them: if it has a subfolder `good/`, the names of its
    subfolders are the defect types (the `test/` folder of the MVTec layout); masks are taken from a
    `ground_truth/` beside `folder`. Images outside of any subfolder, and those in `uncertain/`, have no label.
    """
    found = find_images(folder, refused)
    if not (folder / GOOD_TYPE).is_dir():
        return [Sample(key=key, image=path, label=None, defect_type=UNKNOWN_TYPE) for key, path in found]
    truth = folder.parent / "ground_truth"
    samples = []
    for key, path in found:
        parts = key.split("/")
        kind = parts[0] if len(parts) > 1 else UNKNOWN_TYPE
        mask = find_mask(truth, "/".join(parts[:-1]), path) if label_of(kind) == 1 else None
        samples.append(Sample(key=key, image=path, label=label_of(kind), defect_type=kind, mask=mask))
    return samples


def label_of(kind: str) -> int | None:
    """The label that a folder of this name gives: good 0, uncertain or unknown None, everything else 1."""
    return {GOOD_TYPE: 0, UNCERTAIN_TYPE: None, UNKNOWN_TYPE: None}.get(kind, 1)


def find_mask(truth: Path, folder_name: str, image: Path) -> Path | None:
    """The mask of `image` in `truth/<folder_name>/`: `<stem>_mask.png` (MVTec AD) or `<stem>.png`, if there is one."""
    for name in (f"{image.stem}_mask.png", f"{image.stem}.png"):
        path = truth / folder_name / name
        if path.is_file() and path.resolve().is_relative_to(truth.resolve()):
            return path
    return None


def find_images(folder: Path, refused: list[ImageError] | None = None) -> list[tuple[str, Path]]:
    """(key, path) of every image below `folder`, sorted by key. See `read_folder` for what is refused."""
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise DataError(f"{folder}: expected a folder of images, but it {what}")
    rows: list[ImageError] = []
    found = sorted((printable(path.relative_to(folder).as_posix()), path) for path in _walk(folder, rows))
    if refused is not None:
        refused.extend(rows)
    else:
        for row in rows:
            _log.warning("left out: %s", printable(str(row)))
    return found


def printable(name: str) -> str:
    r"""`name` as text that UTF-8 can hold: bytes of a file name that are not UTF-8 become `\xNN`."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _walk(folder: Path, rows: list[ImageError]) -> Iterator[Path]:
    home = folder.resolve()
    seen: set[tuple[int, int]] = set()
    todo = [folder]
    while todo:
        here = todo.pop()
        try:
            stat = here.stat()
            entries = sorted(os.scandir(here), key=lambda entry: entry.name)
        except OSError as error:
            rows.append(ImageError(here, "unreadable", f"the folder cannot be listed ({error.strerror or error})"))
            continue
        if (stat.st_dev, stat.st_ino) in seen:
            continue  # a link back up, or a second way into the same folder
        seen.add((stat.st_dev, stat.st_ino))
        for entry in entries:
            if entry.name.startswith("."):
                continue
            path = here / entry.name
            is_folder = entry.is_dir()
            if not is_folder and not is_image_name(entry.name):
                continue
            if entry.is_symlink() and not _stays_inside(path, home):
                rows.append(
                    ImageError(path, "outside", "is a link that leads out of the folder; copy the file instead")
                )
            elif is_folder:
                todo.append(path)
            elif entry.is_file() or entry.is_symlink():
                yield path  # a dangling link inside is an image that cannot be read: one row later
            else:
                rows.append(ImageError(path, "unreadable", "is no regular file"))


def _stays_inside(path: Path, home: Path) -> bool:
    try:
        return path.resolve().is_relative_to(home)
    except (OSError, RuntimeError):
        return False
