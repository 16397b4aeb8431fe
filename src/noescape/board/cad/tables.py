"""Tables that tools write for people: encoding by their bytes, separator by their lines, columns by the header."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from noescape.records import DataError

MAX_BYTES = 32 * 2**20
MOST_PREAMBLE = 60  # lines before the header
_BOMS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


def read_text(path: Path) -> tuple[str, str]:
    """Text and encoding: by its mark, else UTF-8, else UTF-16 (every second byte 0), else Windows' cp1252."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise DataError(f"{path}: larger than {MAX_BYTES // 2**20} MB; is this a placement table?")
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from None
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return _decoded(data, encoding, path), encoding
    if data[1:200:2].count(0) > 40:
        return _decoded(data, "utf-16-le", path), "utf-16-le"
    if data[0:200:2].count(0) > 40:
        return _decoded(data, "utf-16-be", path), "utf-16-be"
    try:
        return data.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace"), "cp1252"


def _decoded(data: bytes, encoding: str, path: Path) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not whole {encoding} text (byte {error.start}); is the file cut off?") from None


def plain(word: str) -> str:
    """A column's name without case, signs and unit: `Center-X(mil)` becomes `centerx`."""
    return re.sub(r"[^a-z0-9]", "", re.sub(r"\(.*?\)", "", word.lower()))


def rows(
    text: str, columns: Mapping[str, Sequence[str]], needed: Sequence[str], source: str
) -> tuple[list[str], list[dict[str, str]], list[str]]:
    """Preamble, rows by field, and the header's own words in the order of `columns`.

    `columns`: for each field the plain names that its column may have. DataError when no line has all `needed`.
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for number, line in enumerate(lines[:MOST_PREAMBLE]):
        cells = _header_cells(line)
        names = [plain(cell) for cell in cells]
        found = {
            field: next((names.index(name) for name in known if name in names), -1) for field, known in columns.items()
        }
        if all(found[field] >= 0 for field in needed):
            marks = ("#", "---", "===")
            body = [row for row in lines[number + 1 :] if row.strip() and not row.lstrip().startswith(marks)]
            split = _splitter(line, cells)
            header = [cells[i] if i >= 0 else "" for i in found.values()]
            return lines[:number], [_row(split(row), found) for row in body], header
    wanted = "; ".join(f"{field}: {' or '.join(columns[field][:3])}" for field in needed)
    raise DataError(f"{source}: no line of its first {MOST_PREAMBLE} names the columns that are needed ({wanted})")


def _row(cells: Sequence[str], found: Mapping[str, int]) -> dict[str, str]:
    return {field: cells[i].strip() if 0 <= i < len(cells) else "" for field, i in found.items()}


def _header_cells(line: str) -> list[str]:
    line = line.lstrip("# \t")
    mark = _separator(line)
    if mark:
        return [cell.strip() for cell in next(csv.reader([line], delimiter=mark, skipinitialspace=True), [])]
    return re.findall(r"\S+", line)


def _separator(line: str) -> str:
    counts = {mark: line.count(mark) for mark in (";", "\t", ",")}
    best = max(counts, key=lambda mark: counts[mark])
    return best if counts[best] >= 2 else ""


def _splitter(header: str, cells: Sequence[str]) -> Callable[[str], list[str]]:
    mark = _separator(header.lstrip("# \t"))
    if mark:
        return lambda row: next(csv.reader([row], delimiter=mark, skipinitialspace=True), [])
    starts, at = [], 0
    for cell in cells:
        at = header.index(cell, at)
        starts.append(at)
        at += len(cell)
    starts[0] = 0  # KiCad's header begins with a sign of its own
    numbers_last = header.lstrip().startswith("#")
    return lambda row: _cells(row, starts, numbers_last=numbers_last)


def _cells(row: str, starts: Sequence[int], *, numbers_last: bool) -> list[str]:
    """By spaces where that gives the right number of cells. Else by the header's places; where the numbers are set to
    the right (`numbers_last`) the columns from the third on are counted from the end of the row."""
    words = row.split()
    count = len(starts)
    if len(words) == count:
        return words
    if not numbers_last:
        ends = [*starts[1:], max(len(row), starts[-1])]
        return [row[a:b].strip().strip('"') for a, b in zip(starts, ends, strict=True)]
    if len(words) < count:
        return [*words[:1], *[""] * (count - len(words)), *words[1:]]
    tail = count - 2
    return [words[0], " ".join(words[1:-tail]), *words[-tail:]]
