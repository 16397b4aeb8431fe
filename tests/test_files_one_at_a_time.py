"""One process at a time in a folder: the other is told who is there; a killed one holds nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from noescape.files import check_folder, one_at_a_time
from noescape.files.one_at_a_time import LOCK
from noescape.records import DataError, UsageError, WorkError

HOLD = """
import sys, time
from pathlib import Path
from noescape.files import one_at_a_time
with one_at_a_time(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_another_process_is_refused_by_the_name_of_the_first_and_let_in_after_its_kill(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path / "out")], stdout=subprocess.PIPE)
    try:
        assert child.stdout is not None and child.stdout.readline() == b"held\n"
        with pytest.raises(WorkError, match=f"process {child.pid} works in this folder already"), \
             one_at_a_time(tmp_path / "out"):  # fmt: skip
            pass
        assert (tmp_path / "out" / LOCK).is_file()
    finally:
        child.kill()
        child.wait()
        assert child.stdout is not None
        child.stdout.close()
    with one_at_a_time(tmp_path / "out"):
        assert (tmp_path / "out" / LOCK).read_text() == f"{os.getpid()}\n"
    assert list((tmp_path / "out").iterdir()) == []


def test_nothing_is_left_of_it(tmp_path: Path) -> None:
    """A folder made for it alone goes away again; one that was there, or that holds results, stays."""
    with pytest.raises(RuntimeError), one_at_a_time(tmp_path / "new"):
        raise RuntimeError
    assert not (tmp_path / "new").exists()
    with one_at_a_time(tmp_path / "full"):
        (tmp_path / "full" / "result").touch()
    (tmp_path / "empty").mkdir()
    with one_at_a_time(tmp_path / "empty"):
        pass
    assert [p.name for p in (tmp_path / "full").iterdir()] == ["result"] and (tmp_path / "empty").is_dir()


def test_never_two_at_once(tmp_path: Path) -> None:
    """Many try again and again while others leave; the lock file that goes away with each lets no second one in."""
    inside, worst, entered = 0, 0, 0
    guard = threading.Lock()

    def work() -> None:
        nonlocal inside, worst, entered
        for _ in range(200):
            try:
                with one_at_a_time(tmp_path):
                    with guard:
                        inside, entered = inside + 1, entered + 1
                        worst = max(worst, inside)
                    with guard:
                        inside -= 1
            except WorkError:
                continue

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert worst == 1 and entered > 10 and list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_is_told_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    for bad in (tmp_path / "file", tmp_path / "file" / "deep" / "er", tmp_path / "nowhere"):
        with pytest.raises(UsageError, match="is no folder"):
            check_folder(bad)
        with pytest.raises(UsageError, match="is no folder"), one_at_a_time(bad):
            pass
    check_folder(tmp_path / "new" / "er")
    assert not (tmp_path / "new").exists()
    (tmp_path / "in the way" / LOCK).mkdir(parents=True)
    with pytest.raises(DataError, match="cannot be written"), one_at_a_time(tmp_path / "in the way"):
        pass
