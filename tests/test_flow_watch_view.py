"""What a watcher shows: a table on a terminal, lines in a pipe; nothing from outside reaches the terminal as orders."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster_maker import local_run, query_of, say_status
from noescape.flow.watching.foreign import MAX_SHOWN, discreet, harmless, harmless_lines, secrets_in
from noescape.flow.watching.snapshot import read_query
from noescape.flow.watching.tail import last_lines
from noescape.flow.watching.view import JsonLines, LiveTable, PlainLines, View, clock, status_lines

NASTY = "\x1b]0;owned\x07\x1b[2J\x1b[31m[bold]a[/bold]\r\nb\u202e"
RUN = {
    "a": {"status": "FAILED", "exit_code": 137, "start_time": "2026-01-01T00:00:00", "end_time": "2026-01-01T01:01:05Z"}
}


def _control(text: str) -> list[str]:
    return [c for c in text if (ord(c) < 32 and c not in "\t\n") or 127 <= ord(c) < 160 or c in "\u202e\u2066"]


@given(st.text(max_size=200))
def test_no_line_keeps_what_a_terminal_obeys(text: str) -> None:
    assert not _control(harmless(text)) and "\n" not in harmless(text)
    assert harmless(harmless(text)) == harmless(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ünïcode 漢字\ttab", "plain ünïcode 漢字\ttab"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]8;;http://x\x07link\x1b]8;;\x07", "link"),
        ("\x1bP1$tpayload\x1b\\after", "after"),
        ("good\rbad\n", "good\\x0dbad"),
        ("bell\x07 null\x00", "bell\\x07 null\\x00"),
        ("\x9b31mred", "red"),
        ("abc\u202etxt.exe", "abc\\u202etxt.exe"),
        ("\x1b[", ""),
        ("\udc80", "\\udc80"),
    ],
)
def test_what_becomes_of_a_line(text: str, shown: str) -> None:
    assert harmless(text) == shown


def test_endless_lines_are_cut_and_say_so() -> None:
    line = harmless("x" * 1_000_000)
    assert len(line) < MAX_SHOWN + 40 and line.endswith("(1000000 characters)")
    assert harmless_lines("10%\r50%\r100%\r\nb") == ["100%", "b"]
    assert harmless_lines("a\nb\nc\n", last=2) == ["b", "c"] and harmless_lines("a", last=0) == []


def test_secrets_are_values_of_variables_that_say_so() -> None:
    environ = {"HF_TOKEN": "hf_abcdefgh", "MY_PASSWORD": "pass word", "AWS_SECRET_ACCESS_KEY": "a" * 40,
               "X_TOKEN": "12", "TOKENIZERS_PARALLELISM": "anything", "MAX_TOKENS": "100000", "SECRET_FILE": "abcdefgh",
               "CREDENTIALS": str(Path(__file__)), "HOME": "/home/someone", "N_TOKEN": "1234567"}  # fmt: skip
    assert secrets_in(environ) == ("a" * 40, "hf_abcdefgh", "pass word")
    assert discreet("a hf_abcdefgh b", secrets_in(environ)) == "a *** b"
    assert (
        discreet("GET /x?X-Amz-Signature=0123456789 password=hunter22", ()) == "GET /x?X-Amz-Signature=*** password=***"
    )


def test_the_end_of_a_file_is_read_from_its_end(tmp_path: Path) -> None:
    """A hundred megabytes cost no more than the last lines do."""
    path = tmp_path / "log.txt"
    with path.open("wb") as f:
        f.truncate(100_000_000)
        f.seek(0, 2)
        f.write(b"\n" + b"".join(b"line %d\n" % i for i in range(1000)) + b"torn \xff")
    start = time.perf_counter()
    lines, more = last_lines(path, 3)
    assert (lines, more) == (["line 998", "line 999", "torn \ufffd"], True)
    assert time.perf_counter() - start < 2
    assert last_lines(tmp_path / "none", 5) == ([], False) and last_lines(path, 0) == ([], False)
    path.write_text("a\nb\n", "utf-8")
    assert last_lines(path, 2) == (["a", "b"], False) and last_lines(path, 1) == (["b"], True)
    path.write_text("".join(letter * 40_000 + "\n" for letter in "abcde"), "utf-8")  # lines across its own pieces
    assert last_lines(path, 2) == (["d" * 40_000, "e" * 40_000], True)
    path.write_bytes(b"y" * (1 << 20))
    assert len(last_lines(path, 3, limit=1000)[0][0]) == 1000


@given(st.lists(st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), max_size=30), max_size=20),
       st.integers(0, 25))  # fmt: skip
def test_the_tail_is_the_same_as_reading_all(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], n: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "tail.txt"
    path.write_bytes("".join(line + "\n" for line in lines).encode())
    assert last_lines(path, n) == (lines[-n:] if n else [], len(lines) > n if n else False)


def test_the_table_shows_groups_tasks_statuses_times_and_tries() -> None:
    out = io.StringIO()
    table = LiveTable(out, width=100)
    table.update(query_of("x-1", {**RUN, "b": {"status": "RUNNING", "retry_id": 2}}))
    table.close()
    text = out.getvalue()
    assert all(word in text for word in ("x-1", "a-group", "FAILED (137)", "1:01:05", "b-group", "RUNNING", "3"))
    assert clock(65) == "1:05"


def test_hostile_names_stay_text_in_table_and_lines() -> None:
    """Neither escape sequences nor the markup of the table's library work from within a name."""
    out = io.StringIO()
    table = LiveTable(out, width=200)
    query = query_of(NASTY, {NASTY: {"status": NASTY, "failure_message": NASTY}})
    table.update(query)
    table.lines(NASTY, [NASTY, NASTY])
    table.note(NASTY)
    table.end({}, [NASTY])
    for text in (out.getvalue(), "\n".join(status_lines(read_query(query)))):
        assert not _control(text) and "[bold]a[/bold]" in text and "owned" not in text


@pytest.mark.parametrize("kind", [PlainLines, JsonLines, LiveTable])
def test_no_view_shows_a_secret_of_a_log(kind: type[View], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_TOKEN", "s3cr3t-canary-0451")
    out = io.StringIO()
    view = kind(out)  # type: ignore[call-arg]
    view.lines("a", ["with s3cr3t-canary-0451 in it"])
    view.close()
    assert "with *** in it" in out.getvalue() and "canary" not in out.getvalue()


def test_status_lines_are_plain_and_aligned() -> None:
    lines = status_lines(read_query(query_of("x-1", RUN, status="FAILED")))
    assert lines[0] == "x-1  FAILED" and lines[2].split() == ["a-group", "a", "1", "1:01:05", "FAILED", "(137)"]


@contextmanager
def _watching(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], Callable[[str], str]]]:
    """`flow watch` in a terminal, its engine played by this test (it holds the lock).

    `until(word)` reads until the terminal has shown the word, or was closed; it gives all that was shown.
    """
    main, side = pty.openpty()
    env = {**os.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "40"}
    args = [sys.executable, "-m", "noescape", "flow", "watch", str(folder)]
    with (folder / "engine.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = subprocess.Popen(args, stdin=side, stdout=side, stderr=side, env=env)
        os.close(side)
        shown = b""

        def until(word: str) -> str:
            nonlocal shown
            end = time.monotonic() + 60
            while word.encode() not in shown and time.monotonic() < end:
                try:
                    piece = os.read(main, 65536)
                except OSError:  # the other side is closed
                    break
                shown += piece
            return shown.decode("utf-8", "replace")

        try:
            yield process, until
        finally:
            process.kill()
            process.wait()
            os.close(main)


def test_in_a_terminal_a_live_table_follows_the_run(tmp_path: Path) -> None:
    """It reacts at once (how soon is held by a test with a clock of its own; here the machine may be busy)."""
    folder = local_run(tmp_path / "flow-runs", "x-1", {"a": "RUNNING"})
    with _watching(folder) as (process, until):
        assert "a-group" in until("RUNNING")
        start = time.monotonic()
        say_status(folder, {"a": {"status": "COMPLETED", "exit_code": 0}}, status="COMPLETED")
        until("x-1: COMPLETED")
        assert time.monotonic() - start < 10
        text = until("\0never")
        assert process.wait(60) == 0
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    assert plain.rstrip().endswith("x-1: COMPLETED")
    assert text.rfind("\x1b[?25h") > text.rfind("\x1b[?25l")  # the cursor is given back


def test_an_interrupt_gives_the_terminal_back_and_leaves_the_run(tmp_path: Path) -> None:
    folder = local_run(tmp_path / "flow-runs", "x-1", {"a": "RUNNING"})
    before = (folder / "status.json").read_bytes()
    with _watching(folder) as (process, until):
        until("RUNNING")
        process.send_signal(signal.SIGINT)
        text = until("\0never")
        assert process.wait(60) == 130
    assert text.rfind("\x1b[?25h") > text.rfind("\x1b[?25l")
    assert (folder / "status.json").read_bytes() == before and not (folder / "cancel").exists()
