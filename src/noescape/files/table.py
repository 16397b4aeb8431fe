"""CSV tables whose cells a spreadsheet cannot run, and which read back exactly."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from noescape.files.atomic import write_text
from noescape.records import DataError

_BLANKS = ("\t", "\r", "\n", "\0", "\ufeff")
_FORMULA_SIGNS = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
_NUMBERS = re.compile(r"-?[0-9]+(\.[0-9]+)?(, ?-?[0-9]+(\.[0-9]+)?)+")


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a CSV, atomically, whose cells a spreadsheet cannot run as formulas (see `safe_cell`)."""
    out = io.StringIO()
    plain = csv.writer(out, lineterminator="\n")
    quoted = csv.writer(out, lineterminator="\n", quoting=csv.QUOTE_ALL)
    for row in (header, *rows):
        cells = [safe_cell(cell) for cell in row]
        # A bare carriage return would end the row, and what follows it could be a formula.
        (quoted if any("\r" in str(cell) for cell in cells) else plain).writerow(cells)
    write_text(path, out.getvalue())


def read_csv(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV by the names in its first line, as `write_csv` was given them; a cell that is not there is "".

    DataError where it is no table of UTF-8 text.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as f:
            rows = list(csv.DictReader(f))
    except (OSError, UnicodeError, csv.Error) as error:
        raise DataError(f"{path}: expected a table (CSV), which cannot be read ({error})") from None
    return [{plain_text(k): plain_text(v or "") for k, v in row.items() if k} for row in rows]


def safe_cell(value: object) -> object:
    """Text that a spreadsheet would read as a formula gets a leading apostrophe; numbers, and lists of them, stay.

    Full-width signs count too (East Asian spreadsheets run them), also behind blanks, and so does text that starts like
    a cell so marked: then every cell reads back (see `plain_text`). None becomes an empty cell.
    """
    if value is None or isinstance(value, (bool, int, float)):
        return value
    text = str(value)
    return "'" + text if _is_formula(text.lstrip("'")) else text


def plain_text(cell: str) -> str:
    """The text that `safe_cell` made the cell of."""
    return cell[1:] if cell[:1] == "'" and _is_formula(cell.lstrip("'")) else cell


def _is_formula(text: str) -> bool:
    risky = text[:1] in _BLANKS or text.lstrip("".join(_BLANKS) + " ")[:1] in _FORMULA_SIGNS
    return risky and not _NUMBERS.fullmatch(text)
