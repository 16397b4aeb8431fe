"""Whole files or none, stamps that can be stopped, digests that name a set."""

from __future__ import annotations

import json
import math
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noescape.files import (
    dump_json,
    remove_parts,
    sha256_file,
    sha256_named,
    utc_stamp,
    write_bytes,
    write_json,
    write_text,
    write_with,
)
from noescape.records import UsageError


def test_a_failing_writer_leaves_the_old_file_and_no_litter(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "a.txt"
    write_text(path, "old")

    def fail(part: Path) -> None:
        part.write_text("half", "utf-8")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_with(path, fail)
    assert path.read_text("utf-8") == "old" and [*path.parent.iterdir()] == [path]


def test_values_that_cannot_be_written_leave_the_old_file(tmp_path: Path) -> None:
    """NaN and infinity are refused before the file is touched."""
    path = tmp_path / "a.json"
    write_json(path, {"a": 1})
    for bad in (math.nan, math.inf, -math.inf):
        with pytest.raises(ValueError, match="JSON"):
            write_json(path, {"a": [bad]})
    assert path.read_text("utf-8") == '{\n  "a": 1\n}\n' and [*tmp_path.iterdir()] == [path]


def test_files_get_the_permissions_that_the_umask_leaves(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_bytes(tmp_path / "a", b"x")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


def test_writers_on_threads_do_not_mix(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    texts = [str(i) * 50000 for i in range(8)]
    threads = [threading.Thread(target=write_text, args=(path, text)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_text("utf-8") in texts and [*tmp_path.iterdir()] == [path]


def test_a_link_at_the_target_is_replaced_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("keep", "utf-8")
    (tmp_path / "out").symlink_to(tmp_path / "secret")
    write_text(tmp_path / "out", "new")
    assert (tmp_path / "secret").read_text("utf-8") == "keep" and not (tmp_path / "out").is_symlink()


def test_long_names_in_any_script_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("缺陷" * 40 + ".json")
    write_json(path, 1)
    assert path.read_text("utf-8") == "1\n"


def test_cleaning_up_removes_parts_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    kept = [tmp_path / "a.part", tmp_path / ".hidden", tmp_path / "sub" / "b.txt"]
    litter = [tmp_path / ".a.json.0011.part", tmp_path / "sub" / ".b.txt.ffee.part"]
    for path in kept + litter:
        path.write_text("x", "utf-8")
    (tmp_path / ".link.part").symlink_to(kept[0])
    assert remove_parts(tmp_path) == [".a.json.0011.part", "sub/.b.txt.ffee.part"]
    assert all(p.exists() for p in kept) and not any(p.exists() for p in litter)


def test_json_of_a_name_in_another_encoding_reads_back(tmp_path: Path) -> None:
    """A file name that is no UTF-8 (bytes on POSIX) does not stop a report, and survives the trip."""
    name = os.fsdecode(b"caf\xe9.png")
    write_json(tmp_path / "a.json", {"name": name})
    assert json.loads((tmp_path / "a.json").read_bytes().decode("utf-8")) == {"name": name}


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda v: st.lists(v) | st.dictionaries(st.text(), v)
    )
)
def test_json_is_valid_utf8_and_reads_back(value: object) -> None:
    assert json.loads(dump_json(value)) == value


def test_source_date_epoch_stops_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    assert utc_stamp() == "1970-01-01T00:00:00Z"
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1769698800")
    assert utc_stamp() == "2026-01-29T15:00:00Z"
    monkeypatch.delenv("SOURCE_DATE_EPOCH")
    assert utc_stamp() > "2024"


@pytest.mark.parametrize("bad", ["yesterday", "1.5", "9" * 30])
def test_a_broken_source_date_epoch_is_explained(bad: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", bad)
    with pytest.raises(UsageError, match="SOURCE_DATE_EPOCH"):
        utc_stamp()


def test_the_digest_of_a_file_is_that_of_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256_file(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_the_digest_of_a_set_knows_names_and_contents_but_no_order() -> None:
    one, two = "1" * 64, "2" * 64
    base = sha256_named([("a", one), ("b", two)])
    assert base == sha256_named([("b", two), ("a", one)])
    others = [
        [("a", two), ("b", one)],
        [("a", one)],
        [("a", one), ("c", two)],
        [(f"a\n{two}  b", one)],
        [("a\\n", one)],
    ]
    assert len({base, *map(sha256_named, others)}) == 6
    assert sha256_named([(os.fsdecode(b"\xff"), one)]) != sha256_named([("\\udcff", one)])
