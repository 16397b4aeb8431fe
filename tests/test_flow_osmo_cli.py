"""submit, status, logs, cancel, fetch, watch: alike for a run folder of this machine and a run of the cluster."""

from __future__ import annotations

import fcntl
import io
import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cluster_maker import FLOW, Cluster, local_run
from noescape.cli.main import main

CANARY = "s3cr3t-canary-0451"
SPEC = """\
workflow:
  name: x
  tasks:
  - name: a
    outputs:
    - url: OUT/{{workflow_id}}
  - name: b
    inputs:
    - task: a
  - name: c
"""


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """One that is found, from a folder of one's own, with nothing remembered."""
    made = Cluster(tmp_path, default_pool="gpu")
    monkeypatch.setenv("NOESCAPE_OSMO", str(made.program))
    monkeypatch.setenv("NOESCAPE_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", io.StringIO())
    (tmp_path / "own.yaml").write_text(FLOW, "utf-8")
    return made


@contextmanager
def _engine(folder: Path) -> Iterator[None]:
    """As if an engine worked on the run."""
    with (folder / "engine.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _json(capsys: pytest.CaptureFixture[str], *argv: str) -> dict[str, object]:
    assert main(["flow", *argv]) == 0
    value = json.loads(capsys.readouterr().out)
    assert isinstance(value, dict)
    return value


def test_submit_checks_submits_and_says_how_to_go_on(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["flow", "submit", "own.yaml", "--pool", "cpu", "--set", "data=a b"]) == 0
    out = capsys.readouterr().out
    (call,) = cluster.calls("workflow", "submit")
    assert "--pool cpu" in " ".join(call) and "data=a b" in call
    assert any(word.startswith("name=own-") for word in call)
    assert "noescape flow watch own-" in out
    answer = _json(capsys, "submit", "own.yaml", "--set", "name=fixed", "--json")
    assert answer["name"] == "fixed-1"


def test_a_wrong_submission_never_reaches_the_cluster(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    Path("bad.yaml").write_text(FLOW.replace("command: [sh, -c]", "command: sh"), "utf-8")
    for argv in (["bad.yaml"], ["nosuch"], ["inspect_folder"], ["inspect_folder", "--set", "dig_url_root=w", "data=x"]):
        assert main(["flow", "submit", *argv]) == 2
    assert cluster.calls() == []
    err = capsys.readouterr().err
    assert "bad.yaml:" in err and "inspect_folder" in err and "folder of this machine" in err


def test_without_the_command_submit_says_what_works(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NOESCAPE_OSMO", "/no/such/osmo")
    assert main(["flow", "submit", "own.yaml"]) == 2
    assert "noescape flow run" in capsys.readouterr().err
    assert main(["flow", "status", "x-1"]) == 2
    assert "`osmo` is not installed" in capsys.readouterr().err


def test_status_is_the_query_json_here_and_there(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    cluster.tell(extra={"brand_new": 1}, default_pool="gpu")
    run = cluster.run(Path.cwd())
    there = _json(capsys, "status", run, "--json")
    local_run(Path("flow-runs"), "x-1", {"a": "RUNNING"})
    here = _json(capsys, "status", "x-1", "--json")
    assert there["brand_new"] == 1 and there["status"] == here["status"] == "RUNNING"
    assert main(["flow", "status", "x-1"]) == 0
    shown = capsys.readouterr()
    assert "a-group" in shown.out and "noescape flow resume x-1" in shown.err  # no engine works on it
    assert main(["flow", "status", "flow-runs/x-1"]) == 0


def test_a_run_here_goes_before_one_of_the_cluster(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    run = cluster.run(Path.cwd())
    local_run(Path("flow-runs"), run, {"only-here": "RUNNING"})
    assert "only-here" in json.dumps(_json(capsys, "status", run, "--json"))
    assert "only-here" not in json.dumps(_json(capsys, "status", run, "--json", "--cluster"))


@pytest.mark.parametrize("name", ["", ".", "..", "../x-1", "x\0y-1", "nosuch"])
def test_what_is_no_run_is_refused_with_those_there_are(name: str, cluster: Cluster) -> None:
    local_run(Path("flow-runs"), "there-1", {})
    assert main(["flow", "status", name]) == 2


def test_logs_of_a_try_here(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    folder = local_run(Path("flow-runs"), "x-1", {"a": "RUNNING"})
    for retry, text in enumerate(["first\n", "".join(f"line {i}\n" for i in range(500)) + "\x1b[31mred\n"]):
        (folder / "tasks" / "a" / str(retry)).mkdir(parents=True)
        (folder / "tasks" / "a" / str(retry) / "log.txt").write_text(text, "utf-8")
    assert main(["flow", "logs", "x-1", "-t", "a", "-n", "2"]) == 0
    assert capsys.readouterr().out == "line 499\n\x1b[31mred\n"  # in a pipe as it was written
    assert main(["flow", "logs", "x-1", "-t", "a"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 200
    assert main(["flow", "logs", "x-1", "-t", "a", "-r", "0"]) == 0
    assert capsys.readouterr().out == "first\n"
    for wrong in (["-t", "nosuch"], ["-t", ".."], ["-t", "a", "-r", "7"], ["-t", "a", "-n", "0"]):
        assert main(["flow", "logs", "x-1", *wrong]) == 2


def test_logs_of_the_cluster(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    run = cluster.run(Path.cwd())
    assert main(["flow", "logs", run, "-t", "prep", "-n", "5"]) == 0
    assert capsys.readouterr().out == "hello from prep\n"
    assert _json(capsys, "logs", run, "-t", "prep", "--json")["lines"] == ["hello from prep"]


def test_cancel_needs_yes_without_a_terminal_and_touches_nothing_else(
    cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.tell(default_pool="gpu", steps=[{"*": "RUNNING"}])
    run = cluster.run(Path.cwd())
    folder = local_run(Path("flow-runs"), "x-1", {"a": "RUNNING"})
    with _engine(folder):
        for name in (run, "x-1"):
            assert main(["flow", "cancel", name]) == 2
            assert "running now: " in (err := capsys.readouterr().err) and "--yes" in err
        assert cluster.calls("workflow", "cancel") == [] and not (folder / "cancel").exists()
        assert main(["flow", "cancel", "x-1", "--yes", "-m", "enough"]) == 0
        assert (folder / "cancel").read_text("utf-8").endswith(": enough")
    assert main(["flow", "cancel", run, "--yes", "-m", "enough"]) == 0
    (call,) = cluster.calls("workflow", "cancel")
    assert call == ["workflow", "cancel", run, "--message", "enough", "-t", "json"]
    capsys.readouterr()
    assert _json(capsys, "cancel", run, "--json") | {"message": ""} == {"run": run, "canceled": False, "message": ""}


def test_a_run_that_no_engine_works_on_cannot_be_canceled(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    folder = local_run(Path("flow-runs"), "x-1", {"a": "RUNNING"})
    assert main(["flow", "cancel", "x-1", "--yes"]) == 1
    assert "noescape flow resume x-1" in capsys.readouterr().err and not (folder / "cancel").exists()


@pytest.mark.parametrize(("answer", "canceled"), [("y\n", True), ("yes\n", True), ("n\n", False), ("\n", False)])
def test_on_a_terminal_cancel_asks(answer: str, canceled: bool, cluster: Cluster) -> None:
    folder = local_run(Path("flow-runs"), "x-1", {"a": "RUNNING"})
    main_end, side = pty.openpty()
    command = [sys.executable, "-m", "noescape", "flow", "cancel", "x-1"]
    with _engine(folder), subprocess.Popen(command, stdin=side, stdout=side, stderr=side) as process:
        os.write(main_end, answer.encode())
        assert process.wait(30) == (0 if canceled else 1)
    os.close(side)
    os.close(main_end)
    assert (folder / "cancel").exists() == canceled


def test_fetch_brings_results_here_and_there(
    cluster: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Url outputs of every task, and the output of a task that nobody else reads; each in a folder of its own."""
    run = cluster.run(Path.cwd())
    cluster.put(f"s3://bucket/runs/{run}/b.txt", "B")
    assert main(["flow", "fetch", run, "got"]) == 0
    assert Path("got/train/b.txt").read_text("utf-8") == "B" and not Path("got/prep").exists()
    folder = local_run(
        Path("flow-runs"), "x-1", {"a": "COMPLETED", "b": "COMPLETED", "c": "COMPLETED"}, status="COMPLETED"
    )
    (folder / "workflow.yaml").write_text(SPEC.replace("OUT", str(tmp_path / "out")), "utf-8")
    (tmp_path / "out" / "x-1").mkdir(parents=True)
    (tmp_path / "out" / "x-1" / "a.txt").write_text("A", "utf-8")
    for task in "ac":
        (folder / "tasks" / task / "0" / "output").mkdir(parents=True)
        (folder / "tasks" / task / "0" / "output" / f"{task}.out").write_text(task, "utf-8")
    capsys.readouterr()
    assert main(["flow", "fetch", "x-1", "mine", "--json"]) == 1
    rows = {row["task"]: row["problem"] for row in json.loads(capsys.readouterr().out)["results"]}
    assert rows["a"] is None and rows["c"] is None and "no output" in rows["b"]
    assert Path("mine/a/a.txt").read_text("utf-8") == "A" and Path("mine/c/c.out").read_text("utf-8") == "c"
    assert main(["flow", "fetch", "x-1", "mine", "-t", "a", "c"]) == 0  # again: it goes on where it was
    assert main(["flow", "fetch", "x-1", "mine", "-t", "nosuch"]) == 2


def test_fetch_never_leaves_its_folder(cluster: Cluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A hostile name of a task costs its row, not the others."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.txt").write_text("A", "utf-8")
    folder = local_run(Path("flow-runs"), "x-1", {}, status="COMPLETED", base=str(tmp_path))
    tasks = "".join(f"  - name: {name}\n    outputs:\n    - url: data\n" for name in ("../up", "fine"))
    (folder / "workflow.yaml").write_text(f"workflow:\n  tasks:\n{tasks}", "utf-8")
    assert main(["flow", "fetch", "x-1", "deep/got"]) == 1
    assert "../up: not fetched" in capsys.readouterr().err
    assert Path("deep/got/fine/a.txt").exists() and not Path("deep/up").exists()


def test_watch_ends_with_the_class_and_the_mend(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    """Seconds of polling are real here: two looks at the cluster."""
    steps = [{"*": "RUNNING"}, {"prep": ["FAILED", 137, None], "train": "FAILED_UPSTREAM"}]
    cluster.tell(default_pool="gpu", steps=steps, logs={"prep": "epoch 1\nKilled"})
    run = cluster.run(Path.cwd())
    assert main(["flow", "watch", run]) == 1
    out = capsys.readouterr().out
    assert "prep: out of memory or killed (FAILED, exit code 137)" in out and "    Killed" in out
    assert cluster.calls("workflow", "logs") == [["workflow", "logs", run, "--task", "prep", "-n", "200"]]


def test_watch_reads_quiet_windows_of_the_card(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the flow in run.json here, by the stamped id there; no card, no windows."""
    from noescape.cli.flow.cluster import _quiet
    from noescape.flow.cards.catalog import find
    from noescape.flow.watching.anywhere import ClusterRun, find_anywhere

    card = find("inspect_folder").card
    windows = {name: float(seconds) for name, seconds in (card.quiet if card else {}).items()}
    local_run(Path("flow-runs"), "any-1", {}, flow="inspect_folder")
    assert _quiet(find_anywhere("any-1", Path("flow-runs"))) == windows
    assert _quiet(ClusterRun("inspect_folder-1a2b3c4d-3", cluster.osmo)) == windows
    assert _quiet(ClusterRun("somebody-elses-3", cluster.osmo)) == {}


def test_no_secret_is_in_any_argument_or_output(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HF_TOKEN", CANARY)
    assert main(["flow", "submit", "own.yaml", "--set", f"data={CANARY}"]) == 2
    cluster.tell(default_pool="gpu", faults=[{"on": "workflow query", "exit": 2, "message": f"no {CANARY}"}])
    assert main(["flow", "status", "x-1"]) == 1
    local_run(
        Path("flow-runs"), "x-2", {"a": {"status": "FAILED", "failure_message": f"told {CANARY}"}}, status="FAILED"
    )
    assert main(["flow", "status", "x-2"]) == 0
    shown = capsys.readouterr()
    assert "told ***" in shown.out
    assert CANARY not in shown.out + shown.err + json.dumps(cluster.calls())
