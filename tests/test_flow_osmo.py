"""The cluster by way of its command: values out, clear errors, no hang, no flood, no secret."""

from __future__ import annotations

import json
import os
import time
import tracemalloc
from pathlib import Path

import pytest

from cluster_maker import FLOW, Cluster, cluster
from noescape.flow.cluster.capture import capture
from noescape.flow.cluster.osmo import VARIABLE, Osmo, find_osmo, has_osmo
from noescape.flow.cluster.osmo_error import OsmoError
from noescape.records import UsageError

__all__ = ["cluster"]
CANARY = "s3cr3t-canary-0451"


def _fault(cluster: Cluster, on: str, **fault: object) -> None:
    cluster.tell(faults=[{"on": on, **fault}])


def _script(folder: Path, text: str) -> Osmo:
    """A command of a few lines of shell."""
    path = folder / "command"
    path.write_text(f"#!/bin/sh\n{text}\n", "utf-8")
    path.chmod(0o755)
    return Osmo(command=str(path), timeout_s=0.5)


def test_it_is_found_by_variable_then_on_the_path(cluster: Cluster) -> None:
    here = str(cluster.program)
    assert find_osmo({VARIABLE: here, "PATH": ""}).command == here
    assert find_osmo({"PATH": str(cluster.program.parent)}).command == here
    assert not has_osmo({"PATH": ""})


@pytest.mark.parametrize("environ", [{"PATH": ""}, {"PATH": "", VARIABLE: "/no/such"}])
def test_without_it_the_error_says_what_else_works(environ: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="noescape flow run") as caught:
        find_osmo(environ)
    assert (VARIABLE + "=/no/such" in str(caught.value)) == (VARIABLE in environ)


def test_a_submission_is_one_call_with_the_flags_the_command_has(cluster: Cluster, tmp_path: Path) -> None:
    """The stand-in refuses any flag that the real one does not know, and records what it got."""
    cluster.tell(head=True, warnings=["careful"])
    file = tmp_path / "a flow.yaml"
    file.write_text(FLOW, "utf-8")
    answer = cluster.osmo.submit(
        file, pool="gpu", sets=["name=demo", "data=a b"], string_sets=["other=007"], priority="LOW"
    )
    assert answer.id == "demo-1" and answer.warnings == ("careful",) and "demo-1" in (answer.overview or "")
    (call,) = cluster.calls("workflow", "submit")
    assert call[2] == str(file) and call[3:5] == ["--pool", "gpu"]
    assert call[5:] == ["--set", "name=demo", "data=a b", "--set-string", "other=007", "--priority", "LOW",
                        "--format-type", "json"]  # fmt: skip


def test_a_dry_run_gives_the_rendered_file_and_submits_nothing(cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "f.yaml").write_text(FLOW, "utf-8")
    answer = cluster.osmo.submit(tmp_path / "f.yaml", pool="gpu", sets=["name=x", "data=DATA"], dry_run=True)
    assert answer.id is None and "echo DATA" in answer.text
    assert cluster.osmo.runs() == []


@pytest.mark.parametrize("head", [False, True])
def test_answers_keep_unknown_keys_and_do_not_miss_new_ones(head: bool, cluster: Cluster, tmp_path: Path) -> None:
    cluster.tell(head=head, extra={"brand_new": [1]})
    query = cluster.osmo.query(cluster.run(tmp_path))
    assert query["brand_new"] == [1] and ("labels" in query) == head and query["status"] == "RUNNING"


CODES = [
    (1, None, "refused", False, "refused: because of x"),
    (2, 404, "failed", False, "is the id or address right"),
    (2, 403, "failed", False, "right that you have not"),
    (2, 401, "failed", False, "osmo login URL"),
    (3, None, "stopped", False, "interrupted"),
    (10, 500, "unreachable", True, "Is the network up"),
    (75, 429, "busy", True, "wait, then try again"),
]


@pytest.mark.parametrize(("exit_code", "code", "reason", "again", "words"), CODES)
def test_every_exit_code_becomes_an_error_that_says_what_to_do(
    exit_code: int, code: int | None, reason: str, again: bool, words: str, cluster: Cluster
) -> None:
    """In JSON (query) and in text (logs) alike."""
    _fault(cluster, "workflow", exit=exit_code, code=code, message="because of x")
    for call in (cluster.osmo.query, lambda i: cluster.osmo.logs(i, task="t")):
        if call is not cluster.osmo.query and exit_code == 3:
            continue  # an interrupt is how a log that never ends is ended
        with pytest.raises(OsmoError, match=words) as caught:
            call("x-1")
        assert (caught.value.reason, caught.value.again, caught.value.exit_code) == (reason, again, 1)


@pytest.mark.parametrize("garbage", ["", "{", "[]", "null", "<html>busy</html>", '{"a": ' * 5000])
def test_broken_json_is_an_error_and_short(garbage: str, cluster: Cluster) -> None:
    _fault(cluster, "workflow query", garbage=garbage)
    with pytest.raises(OsmoError, match="expected a JSON object") as caught:
        cluster.osmo.query("x-1")
    assert caught.value.reason == "garbled" and len(str(caught.value)) < 600


def test_a_notice_before_the_json_does_no_harm(cluster: Cluster) -> None:
    _fault(cluster, "profile list", garbage='A new version is there.\n{"pools": ["a"], "odd": 1}')
    assert cluster.osmo.profile() == {"profile": {}, "roles": [], "pools": ["a"], "odd": 1}


def test_a_command_that_hangs_is_ended_with_its_children(tmp_path: Path) -> None:
    """Also one that does not listen to an interrupt; nothing of it is left."""
    osmo = _script(tmp_path, f"trap '' INT TERM; sleep 977 & echo $! > {tmp_path}/child; wait; sleep 977")
    start = time.monotonic()
    with pytest.raises(OsmoError, match="did not answer within") as caught:
        osmo.query("x-1")
    assert time.monotonic() - start < 200 and caught.value.again
    child = int((tmp_path / "child").read_text())
    for _ in range(100):
        if not _alive(child):
            return
        time.sleep(0.05)
    raise AssertionError("a child lives on")


def _alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text("utf-8")
    except OSError:
        return False


def test_a_child_that_keeps_the_pipe_open_keeps_nobody_waiting(tmp_path: Path) -> None:
    osmo = _script(tmp_path, 'echo \'{"status": "RUNNING"}\'; sleep 60 & exit 0')
    start = time.monotonic()
    assert osmo.query("x-1") == {"status": "RUNNING"}
    assert time.monotonic() - start < 20


def test_what_was_said_before_the_time_was_up_is_kept(tmp_path: Path) -> None:
    done = capture(["sh", "-c", "echo early; sleep 977"], timeout_s=0.3)
    assert (done.code, done.out) == (None, b"early\n")


def test_logs_come_without_banner_and_only_the_last(cluster: Cluster, tmp_path: Path) -> None:
    run = cluster.run(tmp_path)
    cluster.tell(logs={"prep": "\n".join(f"line {i}" for i in range(1000)), "prep/1": "second try"})
    logs = cluster.osmo.logs(run, task="prep", lines=3)
    assert logs.lines == ("line 997", "line 998", "line 999") and not logs.cut
    assert cluster.osmo.logs(run, task="prep", retry_id=1).lines == ("second try",)
    assert cluster.calls("workflow", "logs")[0] == ["workflow", "logs", run, "--task", "prep", "-n", "3"]
    with pytest.raises(UsageError, match="name the task"):
        cluster.osmo.logs(run, retry_id=1)


def test_the_log_of_a_running_task_ends_with_what_came(tmp_path: Path) -> None:
    """It never ends by itself and keeps lines back; an interrupt makes it hand over what it has."""
    lines = "echo 'Workflow x-1 has logs:'; echo still"
    osmo = _script(tmp_path, f"trap 'echo at work; exit 3' INT; {lines}; sleep 977 & wait")
    logs = osmo.logs("x-1", task="a", timeout_s=1.0)
    assert logs.lines == ("still", "at work") and logs.cut


def test_what_is_kept_of_a_flood_is_bounded() -> None:
    tracemalloc.start()
    try:
        done = capture(["sh", "-c", "yes | head -c 200000000; echo end"], timeout_s=100, limit=1 << 20, keep_end=True)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert done.out.endswith(b"y\nend\n") and len(done.out) == 1 << 20 and done.out_cut
    assert peak < 10 << 20
    first = capture(["sh", "-c", "yes | head -c 2000000"], timeout_s=100, limit=1000)
    assert first.out == b"y\n" * 500 and first.out_cut


def test_of_a_hundred_megabytes_only_the_tail_is_kept(cluster: Cluster, tmp_path: Path) -> None:
    run = cluster.run(tmp_path)
    cluster.tell(logs={"prep": {"bytes": 100_000_000}})
    logs = cluster.osmo.logs(run, task="prep", lines=200, timeout_s=60)
    assert len(logs.lines) == 200 and logs.cut and all(line == "x" * 99 for line in logs.lines)


def test_a_no_to_a_cancel_is_an_error_although_the_command_says_0(cluster: Cluster, tmp_path: Path) -> None:
    run = cluster.run(tmp_path)
    assert cluster.osmo.cancel(run, message="enough") == run
    with pytest.raises(OsmoError, match=r"not canceled.*already finished"):
        cluster.osmo.cancel(run)


def test_data_credentials_pools_and_configuration(cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "up").mkdir()
    (tmp_path / "up" / "a b.txt").write_text("A", "utf-8")
    osmo = cluster.osmo
    osmo.data_upload("s3://bucket/x", [tmp_path / "up" / "a b.txt"])
    assert osmo.data_list("s3://bucket/x") == ["a b.txt"]
    osmo.data_download("s3://bucket/x", tmp_path / "down", regex="a")
    assert (tmp_path / "down" / "a b.txt").read_text("utf-8") == "A"
    cluster.tell(default_pool="gpu", credentials=[{"cred_name": "hf-token"}], admin=True, config={"POOL": {"a": 1}})
    assert osmo.credentials() == [{"cred_name": "hf-token"}]
    assert osmo.profile()["profile"]["pool"] == "gpu" and osmo.profile()["pools"] == ["gpu", "cpu"]
    assert osmo.pools("gpu")["resource_sum"]["total_capacity"] == 8
    assert osmo.config("POOL") == {"a": 1}


@pytest.mark.parametrize("word", ["-x", "--force", "", "a\0b"])
def test_no_value_becomes_a_flag(word: str, cluster: Cluster) -> None:
    with pytest.raises(UsageError):
        cluster.osmo.query(word)
    assert cluster.calls() == []


def test_no_secret_of_the_environment_goes_into_an_argument(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", CANARY)
    (tmp_path / "f.yaml").write_text(FLOW, "utf-8")
    with pytest.raises(UsageError, match="credentials") as caught:
        cluster.osmo.submit(tmp_path / "f.yaml", pool="gpu", sets=["name=x", f"data=x{CANARY}"])
    assert CANARY not in str(caught.value) and cluster.calls() == []
    monkeypatch.setenv("WEAK_PASSWORD", "bucket")  # a word that stands in many addresses
    cluster.osmo.data_list("s3://bucket/x")
    with pytest.raises(UsageError, match="'data'"):
        cluster.osmo.submit(tmp_path / "f.yaml", pool="gpu", sets=["data=bucket"])


def test_errors_are_shown_without_secrets_and_control_characters(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Known secrets, and what has the shape of one."""
    monkeypatch.setenv("MY_ACCESS_KEY", CANARY)
    message = f"\x1b]0;title\x07denied for {CANARY}, Bearer abcdefgh12345678, https://u:pa55word@h/x?sig=abcdef\x1b[2J"
    _fault(cluster, "workflow query", exit=2, code=500, message=message)
    with pytest.raises(OsmoError) as caught:
        cluster.osmo.query("x-1")
    text = str(caught.value)
    assert "denied for ***" in text and text.isprintable()
    assert not [word for word in (CANARY, "abcdefgh12345678", "pa55word", "sig=abcdef") if word in text]


def test_an_error_needs_no_json(tmp_path: Path) -> None:
    with pytest.raises(OsmoError, match="usage: osmo"):
        _script(tmp_path, "echo 'usage: osmo' >&2; exit 2").query("x-1")
    with pytest.raises(UsageError, match="cannot be run"):
        Osmo(command=str(tmp_path)).query("x-1")


def test_the_record_of_calls_is_what_was_called(cluster: Cluster) -> None:
    """The tests above can fail: the stand-in writes every call down before anything else."""
    cluster.osmo.profile()
    rows = (cluster.home / "calls.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(row) for row in rows] == [["profile", "list", "-t", "json"]]
    assert os.access(cluster.program, os.X_OK)
