"""Which thing on the board each pixel belongs to: the numbered mask of a frame, its table, and the components in it."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from noescape.files import safe_name
from noescape.imaging import MAX_PIXELS
from noescape.imaging.quiet import quiet_reading
from noescape.records import Box, DataError, ImageError

JOINTS = ("solder", "pad")
NO_PART = frozenset({*JOINTS, "pcb"})
MAX_BYTES = 1 << 30
Ids = npt.NDArray[np.uint16]


@dataclass(frozen=True, kw_only=True)
class Instance:
    """One thing that is seen: its labels, the box of its visible pixels and how many there are.

    `hidden` is the share of its own pixels that others cover, None where nobody says.
    """

    number: int
    path: str
    labels: Mapping[str, str]
    box: Box
    area: int
    hidden: float | None = None

    @property
    def name(self) -> str:
        """The last part of its path, as it may stand in a file name."""
        return safe_name(self.path.rstrip("/").rpartition("/")[2])

    @property
    def kind(self) -> str:
        """Its class, lower case."""
        return self.labels.get("class", "").lower()

    @property
    def defect(self) -> str:
        """The kind of defect that it shows, "" for none."""
        return self.labels.get("defect", "").lower()

    @property
    def refdes(self) -> str:
        """Its designator on the board, "" where unknown."""
        return self.labels.get("refdes", "")


@dataclass(frozen=True, kw_only=True, eq=False)
class Instances:
    """`ids` [H, W], 0 = nothing, and what each number is. `unknown` numbers are in the mask but in no table."""

    ids: Ids
    by_path: Mapping[str, Instance]
    unknown: tuple[int, ...] = ()

    @property
    def parts(self) -> list[Instance]:
        """Components (neither board nor pad nor solder), by path."""
        return [one for _, one in sorted(self.by_path.items()) if one.kind not in NO_PART]

    def joints_of(self, refdes: str) -> list[Instance]:
        """Pads and solder of a component."""
        known = [one for _, one in sorted(self.by_path.items()) if one.kind in JOINTS]
        return [one for one in known if refdes and one.refdes == refdes]


def read_ids(path: Path, *, max_pixels: int = MAX_PIXELS) -> Ids:
    """The numbers in a grey PNG of 8 or 16 bits, as they are. ImageError for anything else."""
    try:
        if not path.is_file():
            raise ImageError(path, "unreadable", "is no file")
        if path.stat().st_size > MAX_BYTES:
            raise ImageError(path, "too_large", f"more than {MAX_BYTES} bytes")
        with quiet_reading(), Image.open(io.BytesIO(path.read_bytes()), formats=("PNG",)) as image:
            if image.width * image.height > max_pixels:
                raise ImageError(path, "too_large", f"{image.width}x{image.height} pixels, the limit is {max_pixels}")
            if image.mode not in ("L", "I;16", "I;16B", "I"):
                raise ImageError(path, "unsupported", f"expected a grey PNG of numbers, it holds {image.mode} pixels")
            found = np.asarray(image)
    except ImageError:
        raise
    except Exception as error:  # Pillow raises many kinds on a broken file; each means the same here
        text = " ".join(str(error).split())[:200]
        raise ImageError(path, "corrupt", f"cannot be decoded ({text or type(error).__name__})") from None
    return np.ascontiguousarray(found.astype(np.uint16))


def make_instances(
    ids: Ids, table: Mapping[str, Any], boxes: Iterable[Any] = (), *, where: str = "the table"
) -> Instances:
    """Bring mask, table `{"1": {"path", "class", …}}` and rows of boxes (for `hidden`) together.

    Boxes and areas are those of the pixels. DataError where the table is none, or has one path twice.
    """
    rows = [row for row in boxes if isinstance(row, Mapping) and isinstance(row.get("id"), int)]
    hidden = {row["id"]: row.get("hidden") for row in rows}
    seen = boxes_of(ids)
    by_path: dict[str, Instance] = {}
    for number, (box, area) in seen.items():
        entry = table.get(str(number))
        if entry is None:
            continue
        if not isinstance(entry, Mapping) or not isinstance(entry.get("path"), str) or not entry["path"]:
            raise DataError(f'{where}: expected "{number}": {{"path": …, "class": …}}, got {str(entry)[:80]}')
        inner = entry.get("labels")
        words: dict[str, Any] = {**entry, **(inner if isinstance(inner, Mapping) else {})}
        if entry["path"] in by_path:
            raise DataError(f"{where}: {entry['path'][:80]!r} has two numbers")
        share = hidden.get(number)
        by_path[entry["path"]] = Instance(
            number=number, path=entry["path"], box=box, area=area,
            labels={k: v for k, v in words.items() if isinstance(v, str) and k != "path"},
            hidden=float(share) if isinstance(share, (int, float)) and 0 <= share <= 1 else None,
        )  # fmt: skip
    return Instances(ids=ids, by_path=by_path, unknown=tuple(n for n in seen if str(n) not in table))


def boxes_of(ids: Ids) -> dict[int, tuple[Box, int]]:
    """Box and number of pixels of every number but 0, ascending. About 25 ms for 1920 x 1080, however many."""
    flat = np.flatnonzero(ids)
    if not len(flat):
        return {}
    width = ids.shape[1]
    numbers = ids.ravel()[flat]
    rows, columns = flat // width, flat % width
    count = int(numbers.max()) + 1
    ends = np.zeros((4, count), np.int64)
    # Of several values for one place the last one stays: rows ascend, so backwards it is the first row that stays.
    ends[0, numbers[::-1]], ends[1, numbers] = rows[::-1], rows
    order = np.argsort(columns, kind="stable")
    by_column, sorted_columns = numbers[order], columns[order]
    ends[2, by_column[::-1]], ends[3, by_column] = sorted_columns[::-1], sorted_columns
    areas = np.bincount(numbers, minlength=count)
    return {
        int(n): ((int(ends[2, n]), int(ends[0, n]), int(ends[3, n]) + 1, int(ends[1, n]) + 1), int(areas[n]))
        for n in np.flatnonzero(areas)
    }


def distinct_names(found: Iterable[Instance]) -> dict[str, str]:
    """A file name for each path; a second one of the same name gets a number."""
    taken: dict[str, int] = defaultdict(int)
    out = {}
    for one in sorted(found, key=lambda i: i.path):
        taken[one.name.casefold()] += 1
        number = taken[one.name.casefold()]
        out[one.path] = one.name if number == 1 else f"{one.name}-{number}"
    return out
