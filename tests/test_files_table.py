"""Tables: cells that no spreadsheet runs, and that read back exactly."""

from __future__ import annotations

import csv
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noescape.files import plain_text, read_csv, safe_cell, write_csv
from noescape.records import DataError

FORMULAS = [
    "=1+1",
    "+1",
    "-1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    " =1",
    "＝1",
    "\ufeff=1",
    "\0=1",
    "=cmd|' /C calc'!A0",
]


@pytest.mark.parametrize("text", FORMULAS)
def test_no_cell_starts_a_formula(text: str, tmp_path: Path) -> None:
    """What a spreadsheet would run is turned into text, in headers, cells and paths."""
    path = tmp_path / "a.csv"
    write_csv(path, [text, "b"], [[text, 1]])
    with path.open(encoding="utf-8", newline="") as f:
        rows = [*csv.reader(f)]
    assert rows == [["'" + text, "b"], ["'" + text, "1"]]
    assert str(safe_cell(Path(text.replace("\0", "")))).startswith("'")


def test_numbers_and_plain_text_stay_as_they_are() -> None:
    values = [-1, -0.5, None, True, "a", "", "1-2", "a=b", "名前", "'quoted"]
    assert [safe_cell(v) for v in values] == values


@given(st.lists(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=2, max_size=2)))
def test_csv_cells_read_back(rows: list[list[str]]) -> None:
    """Quotes, commas, newlines: every cell comes back, up to the apostrophe that disarms."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.csv"
        write_csv(path, ["x", "y"], rows)
        with path.open(encoding="utf-8", newline="") as f:
            back = [*csv.reader(f)][1:]
    assert back == [[str(safe_cell(c)) for c in row] for row in rows]


@pytest.mark.parametrize("text", ["-5,3", "12,-7", "-0.5, 2", "1,2,3"])
def test_a_list_of_numbers_is_no_formula(text: str, tmp_path: Path) -> None:
    """`shift_values` is such a list: whoever reads the table with another program gets it as it was."""
    assert safe_cell(text) == text
    write_csv(tmp_path / "a.csv", ["shift_values"], [[text]])
    assert read_csv(tmp_path / "a.csv") == [{"shift_values": text}]


@pytest.mark.parametrize("text", ["-5,3+1", "-5,A1", "-1", "=-5,3", "-5,3\n=1", "-5,", "-5,3,=1", "+5,3", "-５,3"])
def test_what_only_begins_like_a_list_of_numbers_is_guarded(text: str) -> None:
    assert safe_cell(text) == "'" + text


@given(st.text(st.characters(exclude_categories=["Cs"])) | st.text("'=-+@ \t1,", max_size=6))
def test_every_cell_reads_back_exactly(text: str) -> None:
    """Also one that looks as if it had been guarded before."""
    assert plain_text(str(safe_cell(text))) == text
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.csv"
        write_csv(path, ["x", "y"], [[text, "end"]])
        assert read_csv(path) == [{"x": text, "y": "end"}]


def test_a_table_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"\xff\xfe\x00bad")
    for name in ("a.csv", "nowhere.csv"):
        with pytest.raises(DataError, match="expected a table"):
            read_csv(tmp_path / name)
