"""Credentials reach the task that asked for them, and no log, state, command line or other task."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from flow_killing import Server
from flow_maker import Bench, leftovers, sh, write_flow
from noescape.flow.engine.layout import RunFolder
from noescape.records import UsageError

CANARY = "c4n4ry-" + "Zq9" * 20 + "/+=end"
LINES = "-----BEGIN KEY-----\nc4n4ryAAAAAAAAAAAA\nc4n4ryBBBBBBBBBBBB\n-----END KEY-----\n"


def test_a_canary_shows_up_nowhere(tmp_path: Path) -> None:
    """Printed whole, in pieces, in a loop, to both streams, by a failing task; looked for in every file and in `ps`."""
    bench = Bench(tmp_path, env={"TOKEN": CANARY, "STORE__KEY": LINES})
    script = """
        echo "$TOKEN"; echo "$TOKEN" >&2; printf '%s' "$TOKEN" | cut -c1-20 | tr -d '\\n'
        printf '%s\\n' "$(printf '%s' "$TOKEN" | cut -c21-)"; cat /creds/KEY; env
        for i in 1 2 3 4 5 6 7 8 9; do printf '%s%s' "$i" "$TOKEN"; done
        sleep 0.3; exit 3
    """
    seen: list[bytes] = []
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            for place in Path("/proc").glob("[1-9]*"):
                try:
                    seen.append((place / "cmdline").read_bytes())
                except OSError:
                    continue
            time.sleep(0.02)

    watcher = threading.Thread(target=look)
    watcher.start()
    outcome = bench.run(
        sh("a", script, credentials={"hub": {"TOKEN": "token"}, "store": "/creds"}),
        sh("other", 'test -z "$TOKEN"; ! test -e /creds; env'),
    )
    over.set()
    watcher.join()
    assert outcome.status == "FAILED" and bench.code("a") == 3 and bench.status("other") == "COMPLETED"
    assert any(b"sleep 0.3" in line for line in seen) and not any(b"c4n4ry" in line for line in seen)
    assert "***" in bench.log("a") and "BEGIN KEY" not in bench.log("a")
    for path in bench.folder.rglob("*"):
        if path.is_file():
            assert b"c4n4ry" not in path.read_bytes(), path
    assert "c4n4ry" not in repr(bench.events) + repr(outcome)


def test_the_task_itself_gets_the_true_values(tmp_path: Path) -> None:
    """As a variable, and as a file that is gone when the task has ended."""
    bench = Bench(tmp_path, env={"TOKEN": "s3cret-value", "STORE__KEY": "k3y-value"})
    bench.run(
        sh(
            "a",
            'test "$TOKEN" = s3cret-value; test "$(cat /creds/KEY)" = k3y-value; stat -c %a /creds/KEY > {{output}}/m',
            credentials={"hub": {"TOKEN": "token"}, "store": "/creds"},
        )
    )  # fmt: skip
    assert bench.status("a") == "COMPLETED" and bench.made()["a/m"] == "600\n"
    assert not any(p.name == "KEY" for p in bench.place.path.rglob("*"))


def test_a_missing_credential_is_an_error_before_anything_starts(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    with pytest.raises(UsageError, match="TOKEN") as caught:
        bench.run(
            sh("a", f"touch {tmp_path}/ran", credentials={"hub": {"TOKEN": "token"}}),
            sh("b", "true", credentials={"store": "/creds"}),
        )
    assert "STORE__" in str(caught.value) and not (tmp_path / "ran").exists() and not bench.runs.exists()


def test_a_masked_log_of_a_process_that_stays_ends_all_the_same(tmp_path: Path) -> None:
    """A process in another session that holds the log's pipe open does not keep the task from ending."""
    bench = Bench(tmp_path, env={"TOKEN": "s3cret-value"})
    start = time.monotonic()
    bench.run(sh("a", "setsid sleep 60 & echo said", credentials={"hub": {"TOKEN": "token"}}))
    assert bench.status("a") == "COMPLETED" and time.monotonic() - start < 5 and bench.log("a") == "said\n"


def test_a_killed_engine_leaves_a_credential_file_only_until_the_resume(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("STORE__KEY=s3cret-value\n")
    (tmp_path / ".env").chmod(0o600)
    write_flow(tmp_path, sh("a", f"test -e {tmp_path}/go || sleep 60", credentials={"store": "/creds"}))
    with Server() as server:
        assert server.run(["flow", "run", "demo.yaml", "--runs-dir", "runs"], cwd=tmp_path, start=1)["killed"]
        assert [p.read_text() for p in (tmp_path / "runs").rglob("KEY")] == ["s3cret-value"]
        (tmp_path / "go").touch()
        assert server.run(["flow", "resume", "demo-1", "--runs-dir", "runs"], cwd=tmp_path)["code"] == 0
    assert not list((tmp_path / "runs").rglob("KEY")) and leftovers(RunFolder(tmp_path / "runs" / "demo-1")) == []
