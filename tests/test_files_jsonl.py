"""Append-only rows: a row is there whole or not at all, whatever tore the last line."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from noescape.files import JsonlAppender, dump_row, read_jsonl, write_jsonl
from noescape.records import DataError

ROWS = [{"n": 1, "name": "a b"}, {"n": 2, "name": "名前\n\"'"}, {"n": 3, "list": [1, None, True, 0.5]}]


def test_a_line_torn_at_any_byte_is_left_out_and_repaired(tmp_path: Path) -> None:
    """For every length of the last line: readers skip the torn row, the next appender cuts it off and says so."""
    path = tmp_path / "log.jsonl"
    write_jsonl(path, ROWS)
    whole = path.read_bytes()
    start = whole[:-1].rindex(b"\n") + 1
    for end in range(start, len(whole)):
        path.write_bytes(whole[:end])
        assert [*read_jsonl(path)] == ROWS[:2]
        with JsonlAppender(path) as log:
            assert log.repaired_bytes == end - start
            log.append(ROWS[2])
        assert path.read_bytes() == whole


def test_a_torn_first_line_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"n": 1' + b" " * 200_000)  # longer than one look back
    assert [*read_jsonl(path)] == []
    with JsonlAppender(path) as log:
        assert log.repaired_bytes == 200_007
    assert path.read_bytes() == b""


def test_a_torn_line_longer_than_one_look_back_spares_the_rows_before(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    write_jsonl(path, ROWS)
    whole = path.read_bytes()
    path.write_bytes(whole + b"x" * 150_000)
    with JsonlAppender(path) as log:
        assert log.repaired_bytes == 150_000
    assert path.read_bytes() == whole


@pytest.mark.parametrize("line", [b"{broken", b"[1]", b"7", b"", b"\xff\xfe", b'{"a": NaN}', b"[" * 100_000])
def test_a_broken_line_in_the_middle_is_an_error_with_its_place(line: bytes, tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"n": 1}\n' + line + b'\n{"n": 3}\n')
    with pytest.raises(DataError, match=r"log\.jsonl, line 2"):
        [*read_jsonl(path)]


def test_two_appenders_lose_and_mix_nothing(tmp_path: Path) -> None:
    """Two processes that append to one log at the same time: every row of both is there, whole and in order."""
    path = tmp_path / "log.jsonl"
    program = (
        "import sys\nfrom pathlib import Path\nfrom noescape.files import JsonlAppender\n"
        "with JsonlAppender(Path(sys.argv[1])) as log:\n"
        "    for i in range(500): log.append({'who': sys.argv[2], 'i': i, 'body': sys.argv[2] * (i * 37 % 20000)})\n"
    )
    children = [subprocess.Popen([sys.executable, "-c", program, str(path), who]) for who in "ab"]
    assert [child.wait(timeout=60) for child in children] == [0, 0]
    rows = [*read_jsonl(path)]
    for who in "ab":
        assert [row["i"] for row in rows if row["who"] == who] == [*range(500)]
    assert all(row["body"] == row["who"] * (row["i"] * 37 % 20000) for row in rows)


def test_nan_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    with JsonlAppender(path) as log:
        log.append({"a": 1})
        for bad in (math.nan, math.inf):
            with pytest.raises(ValueError, match="JSON"):
                log.append({"a": bad})
        log.append({"a": 2})
    assert [*read_jsonl(path)] == [{"a": 1}, {"a": 2}]


def test_a_full_disk_leaves_whole_rows(tmp_path: Path) -> None:
    """When a row does not fit, the error comes up at once and the log ends with the last whole row."""
    path = tmp_path / "log.jsonl"
    program = (
        "import resource, sys\nfrom pathlib import Path\nfrom noescape.files import JsonlAppender\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "with JsonlAppender(Path(sys.argv[1])) as log:\n"
        "    log.append({'a': 'x' * 600})\n"
        "    try: log.append({'a': 'y' * 600})\n"
        "    except OSError: log.append({'a': 'z'}); print('told')\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout == "told\n"
    assert [row["a"][0] for row in read_jsonl(path)] == ["x", "z"]


def test_rows_are_one_line_and_names_in_other_encodings_survive(tmp_path: Path) -> None:
    assert "\n" not in dump_row(ROWS[1]) and json.loads(dump_row(ROWS[1])) == ROWS[1]
    path = tmp_path / "log.jsonl"
    with JsonlAppender(path) as log:
        log.append({"name": "\udcff"})
    assert [*read_jsonl(path)] == [{"name": "\udcff"}]


def test_closing_twice_is_harmless(tmp_path: Path) -> None:
    log = JsonlAppender(tmp_path / "new" / "log.jsonl")
    log.close()
    log.close()
