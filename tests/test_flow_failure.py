"""Why a task failed: one class each, from what the scheduler says, the task's last words, and its exit code."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noescape.flow.status import TaskStatus, WorkflowStatus
from noescape.flow.watching.failure import CODES, KINDS, STATUSES, classify, explain_all, needs_log, sentence
from noescape.flow.watching.snapshot import Snapshot, TaskState, read_query

CANARY = "s3cr3t-canary-0451"
WANTED = {
    "credentials", "artifact missing", "out of memory", "evicted", "image pull", "user code", "timeout", "upstream",
    "canceled", "start error", "server",
}  # fmt: skip

CASES = [
    # status, exit code, failure message, last words, class
    ("FAILED", 1, "", ["ValueError: bad"], "user code"),
    ("FAILED", 2, "", [], "user code"),
    ("FAILED", 137, "", ["epoch 3"], "out of memory or killed"),
    ("FAILED", 137, "Container was OOMKilled", [], "out of memory"),
    ("FAILED", 1, "", ["torch.OutOfMemoryError: CUDA out of memory.", "  at line 3"], "out of memory"),
    ("FAILED", 1, "", ["MemoryError"], "out of memory"),
    ("FAILED", 1, "", ["OSError: [Errno 28] No space left on device"], "disk full"),
    ("FAILED", 1, "", ["botocore: An error occurred (AccessDenied) when calling GetObject"], "credentials"),
    ("FAILED", 1, "", ["huggingface_hub: 401 Client Error: Unauthorized for url"], "credentials"),
    ("FAILED", 1, "", ["HTTP 403 Forbidden"], "credentials"),
    ("FAILED", 1, "", ["An error occurred (NoSuchKey) when calling GetObject"], "artifact missing"),
    ("FAILED", 1, "", ["FileNotFoundError: No such file or directory: '/data/input/0/a.csv'"], "artifact missing"),
    ("FAILED", 1, "", ["FileNotFoundError: No such file or directory: '/tmp/mine'"], "user code"),
    ("FAILED", 1, "", ["AccessDenied (retrying)", *["fine"] * 80, "ValueError"], "user code"),
    ("FAILED", 1, "", ["MemoryError in a trial", "NoSuchBucket"], "artifact missing"),
    ("FAILED", 1, "Lead task finished", [], "lead ended"),
    ("FAILED", 256, "", [], "start error"),
    ("FAILED", 301, "", [], "image pull"),
    ("FAILED", 305, "", [], "image pull"),
    ("FAILED", 1001, "nvoptix.bin is missing", [], "start error"),
    ("FAILED", 2010, "", ["403 Forbidden"], "credentials"),
    ("FAILED", 2010, "", ["NoSuchKey"], "artifact missing"),
    ("FAILED", 2010, "", ["reset by peer"], "transfer"),
    ("FAILED", 2012, "", ["MemoryError"], "transfer"),
    ("FAILED", 2013, "", [], "credentials"),
    ("FAILED", 2014, "", [], "credentials"),
    ("FAILED", 2024, "", [], "server"),
    ("FAILED", 3000, "", [], "upstream"),
    ("FAILED", 3001, "", [], "server"),
    ("FAILED", 3003, "", [], "start error"),
    ("FAILED", 3004, "", [], "evicted"),
    ("FAILED", 3005, "", [], "timeout"),
    ("FAILED", 3006, "", [], "evicted"),
    ("FAILED", 4000, "", [], "unknown"),
    ("FAILED", None, "", [], "unknown"),
    ("FAILED", 99999, "", [], "unknown"),
    ("FAILED_EVICTED", 137, "", ["CUDA out of memory"], "evicted"),
    ("FAILED_PREEMPTED", None, "", [], "evicted"),
    ("FAILED_IMAGE_PULL", 302, "unauthorized", [], "image pull"),
    ("FAILED_EXEC_TIMEOUT", 137, "", [], "timeout"),
    ("FAILED_QUEUE_TIMEOUT", None, "", [], "timeout"),
    ("FAILED_START_TIMEOUT", None, "", [], "timeout"),
    ("FAILED_START_ERROR", None, "", [], "start error"),
    ("FAILED_UPSTREAM", 3000, "", [], "upstream"),
    ("FAILED_CANCELED", 143, "", ["403 Forbidden"], "canceled"),
    ("FAILED_SERVER_ERROR", None, "", [], "server"),
    ("FAILED_BACKEND_ERROR", None, "", [], "server"),
    ("FAILED_BRAND_NEW", None, "", [], "unknown"),
]


@pytest.mark.parametrize(("status", "code", "message", "tail", "kind"), CASES)
def test_a_failure_has_its_class(status: str, code: int | None, message: str, tail: list[str], kind: str) -> None:
    assert classify(status, code, message, tail)[0].name == kind


def test_every_class_that_is_wanted_can_be_reached_and_has_a_mend() -> None:
    reached = {case[4] for case in CASES}
    assert WANTED <= reached == set(KINDS)
    assert all(kind.mend and kind.meaning for kind in KINDS.values())


def test_every_failed_status_there_is_is_in_the_table() -> None:
    """All but the plain FAILED, which says nothing by itself."""
    failed = {s.value for s in (*TaskStatus, *WorkflowStatus) if s.value.startswith("FAILED_")}
    assert failed == set(STATUSES) and {*STATUSES.values()} <= set(KINDS)
    assert all(name is None or name in KINDS for _, _, name in CODES)


def test_exit_code_137_says_both() -> None:
    kind, _ = classify("FAILED", 137)
    assert "memory" in kind.meaning and "killed" in kind.meaning and "evict" in kind.mend


@given(
    st.one_of(st.sampled_from([*STATUSES, "FAILED"]), st.text(max_size=20)),
    st.one_of(st.none(), st.integers()),
    st.text(max_size=80),
    st.lists(st.text(max_size=80), max_size=5),
)
def test_whatever_comes_gets_one_class_and_a_harmless_line(
    status: str, code: int | None, message: str, tail: list[str]
) -> None:
    kind, evidence = classify(status, code, message, tail)
    assert kind.name in KINDS and len(evidence) <= 300
    assert not [c for c in evidence if ord(c) < 32 and c != "\t"]


def test_evidence_has_no_secret_and_no_escape(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_TOKEN", CANARY)
    _, line = classify("FAILED", 1, "", [f"\x1b[31mAccess denied for {CANARY}\x1b[0m\x07"])
    assert line == "Access denied for ***\\x07"


def test_endless_lines_take_no_endless_time() -> None:
    kind, _ = classify(
        "FAILED", 1, "", ["403 " * 500_000, "FileNotFoundError" + " no such file or directory" * 100_000]
    )
    assert kind.name == "user code"


def _snapshot() -> Snapshot:
    states = [("c", "FAILED_UPSTREAM", 3000), ("b", "FAILED", 1), ("a", "COMPLETED", 0), ("d", "FAILED_CANCELED", None)]
    tasks = [{"name": n, "status": s, "exit_code": c} for n, s, c in states]
    return read_query({"groups": [{"name": f"{t['name']}-group", "tasks": [t]} for t in tasks]})


def test_causes_come_before_consequences_and_logs_are_read_only_where_they_can_tell() -> None:
    asked: list[str] = []

    def tail(task: TaskState) -> list[str]:
        asked.append(task.name)
        return ["KeyError: 'x'"]

    found = explain_all(_snapshot(), tail)
    assert [f.task for f in found] == ["b", "d", "c"] and asked == ["b"]
    assert sentence(found[0]).startswith("b: user code (FAILED, exit code 1): its own command failed [KeyError: 'x']\n")
    assert "mend: " in sentence(found[0])


def test_tasks_that_did_not_fail_need_no_log() -> None:
    assert not needs_log(TaskState(name="a", group="g", status="COMPLETED"))


def test_the_page_on_monitoring_names_every_class_and_every_code() -> None:
    text = (Path(__file__).resolve().parent.parent / "docs" / "monitoring.md").read_text("utf-8")
    rows = {line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| ")}
    assert set(KINDS) <= rows
    assert {row for row in rows if row in KINDS} == set(KINDS)
    assert [status for status in STATUSES if status not in text] == []
    for first, last, _ in CODES:
        assert str(first) in text and str(last) in text
