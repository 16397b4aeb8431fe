"""When the machine itself fails: full disks, folders that cannot be written, endless logs, journals that break off."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import noescape.flow.engine.manifest as manifest
from flow_maker import Bench, leftovers, sh
from noescape.files import JsonlAppender, read_jsonl
from noescape.flow.engine.state import read_state
from noescape.records import WorkError


@contextmanager
def full_disk(monkeypatch: pytest.MonkeyPatch, after: int) -> Iterator[list[int]]:
    """From the `after`-th row on the journal's disk is full: half of each row can be written."""
    append, rows = JsonlAppender.append, [0]

    def failing(self: JsonlAppender, row: dict[str, object]) -> None:
        if self.path.name != "journal.jsonl":
            return append(self, row)
        rows[0] += 1
        if rows[0] < after:
            return append(self, row)
        self._f.write(b'{"event": "half of a r')
        self._cut_torn_tail()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))

    with monkeypatch.context() as patch:
        patch.setattr(JsonlAppender, "append", failing)
        yield rows


@pytest.mark.parametrize("after", [1, 2, 4, 6, 8, 11])
def test_a_full_disk_under_the_journal_ends_the_run_clearly_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    """Wherever it strikes: an error with path and reason, no process left, whole rows, and a resume that ends well."""
    bench = Bench(tmp_path)
    tasks = [
        sh("a", "echo 1 > {{output}}/x"),
        sh("b", "sleep 0.1; cat {{input:0}}/x > {{output}}/x", needs=["a"]),
        sh("c", "setsid sleep 60 & sleep 0.2"),
    ]
    with full_disk(monkeypatch, after), pytest.raises(WorkError, match=r"journal\.jsonl.*No space left.*resume demo-1"):
        bench.run(*tasks)
    assert leftovers(bench.place) == []
    assert len(list(read_jsonl(bench.place.journal))) == after - 1
    finished = [n for n, t in read_state(bench.place.journal).tasks.items() if t.last and t.last.status == "COMPLETED"]
    assert bench.resume().status == "COMPLETED" and not set(finished) & set(bench.ran())
    assert bench.made()["b/x"] == "1\n"


def test_a_full_disk_under_one_task_fails_that_task_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The manifest cannot be kept: 2012 with path and reason; others go on; a resume mends it."""
    write = manifest.write

    def failing(path: Path, made: list[manifest.Made]) -> None:
        if "/full/" in str(path):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        write(path, made)

    bench = Bench(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(manifest, "write", failing)
        bench.run(sh("full", "echo 1 > {{output}}/x"), sh("fine", "true"), sh("behind", "true", needs=["full"]))
    assert [bench.status(n) for n in ("full", "fine", "behind")] == ["FAILED", "COMPLETED", "FAILED_UPSTREAM"]
    assert bench.code("full") == 2012 and "No space left" in bench.message("full")
    assert bench.resume().status == "COMPLETED" and sorted(bench.ran()) == ["behind", "full"]


LIMITED = """
import resource, sys
from noescape.cli.main import main
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.parametrize("limit", [300, 2500, 6000])
def test_files_that_may_not_grow(tmp_path: Path, limit: int) -> None:
    """A limit on the size of files strikes run.json, the journal, status.json or a task: one clear error, and a
    resume without the limit ends well."""
    path = tmp_path / "demo.yaml"
    tasks = [f"  - {{name: t{i}, image: i, command: [sh, -c, 'echo {i} > {{{{output}}}}/x']}}" for i in range(5)]
    path.write_text("workflow:\n  name: demo\n  tasks:\n" + "\n".join(tasks) + "\n")
    words = ["flow", "run", "demo.yaml", "--runs-dir", "runs"]
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(limit), *words], cwd=tmp_path, capture_output=True, text=True
    )
    assert "File too large" in done.stderr and "Traceback" not in done.stderr
    assert done.returncode == (0 if limit == 6000 else 1), "at 6000 only status.json is too large, which is derived"
    journal = tmp_path / "runs" / "demo-1" / "journal.jsonl"
    if journal.exists():
        assert journal.read_bytes().endswith(b"\n") or not journal.stat().st_size
        again = [sys.executable, "-m", "noescape", "flow", "resume", "demo-1", "--runs-dir", "runs"]
        assert subprocess.run(again, cwd=tmp_path, capture_output=True).returncode == 0
        assert read_state(journal).status == "COMPLETED"
    else:
        assert not (tmp_path / "runs" / "demo-1").exists()


def test_a_folder_of_runs_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(WorkError, match=r"runs: a run cannot be kept here"):
        Bench(tmp_path).run(sh("a", "true"))


def mount(place: Path) -> bool:
    """A file system of 1 MB at `place`; False where this user may not mount."""
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    return subprocess.run(command, capture_output=True).returncode == 0


def may_mount() -> bool:
    with tempfile.TemporaryDirectory() as place:
        if os.getuid() or not shutil.which("mount") or not mount(Path(place) / "disk"):
            return False
        return subprocess.run(["umount", f"{place}/disk"]).returncode == 0


if may_mount():

    def test_a_small_disk(tmp_path: Path) -> None:
        """A real file system of 1 MB: the task that fills it fails with words, and once there is room a resume ends
        the run; while it is read-only, neither a resume nor a new run begins."""
        disk = tmp_path / "disk"
        assert mount(disk)
        try:
            bench = Bench(tmp_path)
            bench.runs = disk / "runs"
            bench.run(
                sh("first", "echo 1 > {{output}}/x"),
                sh(
                    "fills",
                    f"[ -e {tmp_path}/less ] || head -c 3000000 /dev/zero > {{{{output}}}}/x",
                    needs=["first"],
                ),
            )
            assert bench.status("first") == "COMPLETED" and bench.status("fills") == "FAILED"
            assert "No space left" in bench.message("fills")
            (bench.task("fills").output / "x").unlink()
            (tmp_path / "less").touch()
            assert bench.resume().status == "COMPLETED" and bench.ran() == ["fills"]
            subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
            with pytest.raises(WorkError, match=r"demo-1.*Read-only file system"):
                bench.resume()
            with pytest.raises(WorkError, match=r"a run cannot be kept here.*Read-only file system"):
                bench.run(sh("first", "true"), name="other")
            subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
            assert bench.resume().kept == 2
        finally:
            subprocess.run(["umount", str(disk)], check=True)


def test_a_log_of_200_mb_needs_no_memory(tmp_path: Path) -> None:
    """Straight and through the masker: the engine's peak grows by less than 40 MB."""
    program = """
import resource, sys
from pathlib import Path
from flow_maker import Bench, sh
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
bench = Bench(Path(sys.argv[1]), env={"TOKEN": "s3cret-value"})
bench.run(sh("warm", "echo $TOKEN", credentials={"hub": {"TOKEN": "token"}}))
before = peak()
noise = "yes 'many words of a program that says the same again and again' | head -c 200000000"
bench.run(sh("straight", noise), sh("masked", noise + "; echo $TOKEN", credentials={"hub": {"TOKEN": "token"}}))
assert bench.state.status == "COMPLETED", bench.message("masked")
assert bench.task("masked").log.stat().st_size == 200000004 and bench.task("straight").log.stat().st_size == 200000000
print(peak() - before)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parent)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 40
    for log in tmp_path.rglob("log.txt"):
        log.unlink()  # tests' folders are kept for a while


def test_the_engine_leaves_the_limits_of_others_alone() -> None:
    """What the tests above set was set in children only."""
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
