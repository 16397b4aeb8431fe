"""Fewer crops than there are, evenly over their names: what `max_images` keeps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from noescape.records import UsageError

Row = dict[str, Any]


def kept(rows: list[Row], most: int | None) -> list[Row]:
    """At most `most` of the rows, evenly over the sorted paths of their images, in their old order; the same ones each
    time. None keeps all."""
    if most is None or len(rows) <= most:
        return rows
    names = sorted(row["image"] for row in rows)
    chosen = {names[k * len(names) // most] for k in range(most)}
    return [row for row in rows if row["image"] in chosen]


def remove_others(folder: Path, rows: list[Row], keep: list[Row]) -> None:
    """Remove image and mask of each row that is not kept, and folders that are empty then."""
    wanted = {row["image"] for row in keep}
    for row in rows:
        if row["image"] not in wanted:
            for key in ("image", "cad_mask"):
                path = folder / row[key]
                path.unlink()
                for parent in (path.parent, path.parent.parent, path.parent.parent.parent):
                    if parent != folder and folder in parent.parents and not any(parent.iterdir()):
                        parent.rmdir()


def wanted_images(text: str | None) -> int | None:
    """The knob `max_images`: "" (or None) keeps all, else a whole number of at least 1. UsageError for other things."""
    if text is None or text == "":
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 9 or int(text) < 1:
        raise UsageError(f'max_images: expected a whole number of at least 1, or "" (all of them), got {text!r}')
    return int(text)
