"""loop_log.jsonl: numbers from disk, lines that are never changed, a torn tail mended, anything else refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from noescape.deft.log import append, read_log, repair, tail
from noescape.records import DataError

KEYS = ["seq", "ts", "iter", "stage", "status", "summary", "duration_sec", "context_tokens", "tokens"]


def filled(path: Path, count: int = 7) -> Path:
    for n in range(count):
        append(path, f"iter{n // 6 + 1}", ("routing", "train")[n % 2], "ok", f"number {n}", n + 0.4)
    return path


def test_a_line_has_the_documented_keys(tmp_path: Path) -> None:
    log = filled(tmp_path / "log.jsonl", 2)
    rows = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    assert [list(row) for row in rows] == [KEYS, KEYS]
    assert [row["seq"] for row in rows] == [1, 2] and rows[1]["duration_sec"] == 1
    assert list(rows[0]["tokens"]) == ["input", "output", "cache_read", "cache_create", "n_messages", "models"]


def test_what_is_there_is_never_changed(tmp_path: Path) -> None:
    """Bytes only grow; seq comes from disk, whoever wrote the line before."""
    log = filled(tmp_path / "log.jsonl")
    before = log.read_bytes()
    line, cut = append(log, "iter2", "rca", "error", "two\nlines  of text", 3)
    assert log.read_bytes().startswith(before) and (line.seq, cut) == (8, 0)
    assert read_log(log)[-1].summary == "two lines of text"
    assert [one.seq for one in tail(log)] == [4, 5, 6, 7, 8]


@pytest.mark.parametrize("kept", [1, 20, 80])
def test_a_torn_tail_is_cut_off_and_reported(kept: int, tmp_path: Path) -> None:
    """Half a line does not count; the next one takes its number."""
    log = filled(tmp_path / "log.jsonl", 3)
    whole = log.read_bytes()
    lines = whole.splitlines(keepends=True)
    log.write_bytes(b"".join(lines[:2]) + lines[2][:kept])
    assert len(read_log(log)) == 2
    line, cut = append(log, "iter1", "routing", "ok", "number 2", 2.4)
    assert (line.seq, cut) == (3, kept) and len(read_log(log)) == 3
    log.write_bytes(whole + b'{"seq"')
    assert repair(log) == 6 and log.read_bytes() == whole and repair(log) == 0


@pytest.mark.parametrize(
    "change",
    [
        {"seq": 9}, {"seq": True}, {"seq": "2"}, {"stage": "mining"}, {"status": "done"}, {"iter": "second"},
        {"iter": None}, {"duration_sec": -1}, {"duration_sec": 1.5}, {"summary": 3},
    ],
)  # fmt: skip
def test_a_line_that_is_wrong_is_refused_and_nothing_is_appended(change: dict[str, object], tmp_path: Path) -> None:
    """With file and line in the message; also when it is the last one."""
    log = filled(tmp_path / "log.jsonl", 2)
    rows = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    rows[1] |= change
    log.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    before = log.read_bytes()
    with pytest.raises(DataError, match="line 2"):
        append(log, "iter1", "rca", "ok", "", 0)
    assert log.read_bytes() == before


def test_garbage_in_the_middle_is_refused(tmp_path: Path) -> None:
    log = filled(tmp_path / "log.jsonl", 3)
    lines = log.read_bytes().splitlines(keepends=True)
    for bad in (b"nonsense\n", b"[1]\n", b'{"seq": NaN}\n', b"\xff\xfe\n", b"\n"):
        log.write_bytes(lines[0] + bad + lines[2])
        with pytest.raises(DataError):
            read_log(log)


def test_without_a_file_there_is_no_line(tmp_path: Path) -> None:
    assert read_log(tmp_path / "none") == () and repair(tmp_path / "none") == 0
    assert not (tmp_path / "none").exists()
