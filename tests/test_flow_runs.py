"""`noescape flow run | resume | runs`: what they say, their exit codes, and keeping house."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flow_maker import sh, write_flow
from noescape.cli.main import main
from noescape.flow.engine.layout import RunFolder
from noescape.flow.engine.lock import EngineLock, engine_pid
from noescape.flow.engine.shelf import Kept, old_ones, remove, shelf


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NOESCAPE_CONFIG_DIR", str(tmp_path / "config"))
    return tmp_path


def test_a_run_tells_each_status_in_a_line_and_answers_0(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_flow(here, sh("a", "true"), sh("b", "true", needs=["a"]))
    assert main(["flow", "run", str(path)]) == 0
    out = capsys.readouterr().out
    lines = [line.split("s  ", 1)[1] for line in out.splitlines() if " s  " in line]
    assert [line.split("  after")[0] for line in lines] == ["a  RUNNING", "a  COMPLETED", "b  RUNNING", "b  COMPLETED"]
    assert "demo-1: COMPLETED" in out and str(here / "flow-runs" / "demo-1") in out


def test_a_failure_shows_its_code_the_end_of_its_log_and_how_to_go_on(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The last 20 lines, without control characters; exit code 1; the command that it names works."""
    noise = f"for i in $(seq 50); do echo line $i; done; printf '\\033[2Jmean\\n'; test -e {here}/ok"
    path = write_flow(here, sh("bad", noise), sh("behind", "true", needs=["bad"]))
    assert main(["flow", "run", str(path)]) == 1
    out = capsys.readouterr().out
    assert "task bad: FAILED, exit code 1" in out and "line 50" in out and "line 32\n" in out and "line 31\n" not in out
    assert "\x1b" not in out and "behind-group  FAILED_UPSTREAM" in out
    command = out.split("go on with it:")[1].split("\n")[0].split()
    assert command[:3] == ["noescape", "flow", "resume"] and "add --set KNOB=VALUE" in out
    (here / "ok").touch()
    assert main(command[1:]) == 0
    assert "demo-1: COMPLETED" in capsys.readouterr().out


def test_wrong_use_is_2_and_starts_nothing(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_flow(here, sh("a", "true", needs=["nobody"]))
    for words in (["flow", "run", str(path)], ["flow", "resume", "demo-1"], ["flow", "runs", "show", "../x-1"]):
        assert main(words) == 2
    assert main(["flow", "run", str(write_flow(here, sh("a", "true"))), "--max-retries", "-1"]) == 2
    assert not (here / "flow-runs").exists()
    assert "nobody" in capsys.readouterr().err


def test_json_is_one_object_a_line(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["flow", "run", str(write_flow(here, sh("a", "echo hi; exit 3"))), "--json"]) == 1
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert rows[0]["event"] == "engine" and rows[-1]["event"] == "outcome"
    assert rows[-1]["status"] == "FAILED" and rows[-1]["failures"][0]["exit_code"] == 3


def test_a_workflow_that_uses_name_gets_a_fresh_one(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`<stem>-<8 hex>`, unless one is given; a resume keeps it."""
    path = here / "flow.yaml"
    path.write_text("workflow:\n  name: {{ name }}\n  tasks: [{name: a, image: i, command: ['true']}]\n")
    assert main(["flow", "run", str(path)]) == main(["flow", "run", str(path), "--name", "mine"]) == 0
    names = sorted(run.run.id for run in shelf(here / "flow-runs"))
    assert len(names) == 2 and names[1] == "mine-1"
    stem, stamp, number = names[0].rsplit("-", 2)
    assert (stem, number) == ("flow", "1") and len(stamp) == 8 and int(stamp, 16) >= 0
    assert main(["flow", "resume", names[0]]) == 0 and "1 kept" in capsys.readouterr().out


def test_secrets_come_from_the_env_file(here: Path) -> None:
    (here / ".env").write_text("TOKEN=s3cret-value\n")
    (here / ".env").chmod(0o600)
    path = write_flow(here, sh("a", 'test "$TOKEN" = s3cret-value; echo $TOKEN', credentials={"hub": {"TOKEN": "t"}}))
    assert main(["flow", "run", str(path)]) == 0
    assert (here / "flow-runs/demo-1/tasks/a/0/log.txt").read_text() == "***\n"


def test_detached_the_engine_goes_on_alone(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_flow(here, sh("a", "sleep 0.2; echo 1 > {{output}}/x"))
    assert main(["flow", "run", str(path), "--detach"]) == 0
    assert capsys.readouterr().out == "demo-1\n"
    status = here / "flow-runs" / "demo-1" / "status.json"
    until = time.monotonic() + 30
    while time.monotonic() < until:
        if status.exists() and json.loads(status.read_text())["status"] == "COMPLETED":
            break
        time.sleep(0.05)
    assert (here / "flow-runs/demo-1/tasks/a/0/output/x").exists()
    while engine_pid(RunFolder(here / "flow-runs" / "demo-1")) is not None:
        time.sleep(0.02)


@pytest.mark.parametrize("name", ["INT", "TERM", "HUP"])
def test_a_signal_ends_the_run_in_order(here: Path, name: str) -> None:
    """Tasks are stopped, the state says so, exit code 1, nothing is left; `resume` goes on."""
    path = write_flow(here, sh("a", f"touch {here}/up; [ -e {here}/ok ] || sleep 60"))
    heard = signal.Signals[f"SIG{name}"]
    words = [sys.executable, "-m", "noescape", "flow", "run", str(path)]
    # The tests themselves may run under nohup, which the engine respects.
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, text=True, cwd=here, preexec_fn=lambda: signal.signal(heard, signal.SIG_DFL)
    ) as engine:
        while not (here / "up").exists():
            time.sleep(0.01)
        engine.send_signal(heard)
        out, _ = engine.communicate(timeout=30)
    assert engine.returncode == 1 and f"SIG{name}" in out and "demo-1: FAILED_CANCELED" in out
    (here / "ok").touch()
    assert main(["flow", "resume", "demo-1"]) == 0


def test_descriptors_of_the_caller_reach_no_task(here: Path) -> None:
    """A secret that lies open in descriptor 7 stays with the engine."""
    (here / "secret").write_text("s3cret")
    path = write_flow(here, sh("a", "ls -l /proc/self/fd > {{output}}/fd; ls /proc/self/fd | wc -l > {{output}}/n"))
    fd = os.open(here / "secret", os.O_RDONLY)
    try:
        os.set_inheritable(fd, True)
        words = [sys.executable, "-m", "noescape", "flow", "run", str(path)]
        assert subprocess.run(words, cwd=here, pass_fds=(fd,), stdout=subprocess.DEVNULL).returncode == 0
    finally:
        os.close(fd)
    listed = (here / "flow-runs/demo-1/tasks/a/0/output/fd").read_text()
    assert "secret" not in listed and "engine.lock" not in listed and "journal" not in listed


def test_runs_are_listed_shown_and_removed(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_flow(here, sh("a", "head -c 100000 /dev/zero > {{output}}/x"))
    for _ in range(3):
        assert main(["flow", "run", str(path)]) == 0
    capsys.readouterr()
    assert main(["flow", "runs", "list", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["runs"]
    assert [row["id"] for row in rows] == ["demo-1", "demo-2", "demo-3"]
    assert all(row["status"] == "COMPLETED" and 100000 < row["bytes"] < 300000 for row in rows)
    assert main(["flow", "runs", "show", "demo-2"]) == 0 and "demo.yaml" in capsys.readouterr().out
    assert main(["flow", "runs", "rm", "demo-2"]) == 2, "without a terminal nobody can be asked"
    assert main(["flow", "runs", "rm", "demo-2", "--yes"]) == 0
    assert main(["flow", "runs", "prune", "--keep", "1", "--yes"]) == 0
    assert [one.run.id for one in shelf(here / "flow-runs")] == ["demo-3"]
    assert [p.name for p in (here / "flow-runs").iterdir()] == ["demo-3"]


def test_a_run_with_a_living_engine_is_never_removed(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["flow", "run", str(write_flow(here, sh("a", "true")))])
    run = RunFolder(here / "flow-runs" / "demo-1")
    with EngineLock(run):
        assert main(["flow", "runs", "rm", "demo-1", "--yes"]) == 1
        assert main(["flow", "runs", "prune", "--keep", "0", "--yes"]) == 0
    assert run.facts.exists() and "working on it" in capsys.readouterr().err
    (run.path.parent / ".removed-demo-9-abcd" / "x").mkdir(parents=True)
    remove(run)
    assert not list(run.path.parent.iterdir())


def test_prune_takes_the_old_and_ended_ones_alone(tmp_path: Path) -> None:
    def one(name: str, age_s: float | None, *, live: bool = False) -> Kept:
        ended = None if age_s is None else time.time() - age_s
        return Kept(run=RunFolder(tmp_path / name), status="", created="", size=0, live=live, ended=ended)

    found = [
        one("a-1", 900),
        one("a-2", 500),
        one("a-10", 10),
        one("b-1", 900),
        one("c-1", None),
        one("d-1", 900, live=True),
    ]

    def names(keep: int | None, older: float | None) -> list[str]:
        return [each.run.id for each in old_ones(found, keep=keep, older_than_s=older)]

    assert names(1, None) == ["a-1", "a-2"] and names(None, 600) == ["a-1", "b-1"]
    assert names(2, 600) == ["a-1"] and names(0, None) == ["a-1", "a-2", "a-10", "b-1"]


def test_a_damaged_run_is_listed_with_its_damage(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["flow", "run", str(write_flow(here, sh("a", "true")))])
    journal = here / "flow-runs" / "demo-1" / "journal.jsonl"
    journal.write_bytes(b"not json\n" + journal.read_bytes())
    capsys.readouterr()
    assert main(["flow", "runs", "list"]) == 0
    assert "DAMAGED" in capsys.readouterr().out
    assert main(["flow", "resume", "demo-1"]) == 1 and "line 1" in capsys.readouterr().err
