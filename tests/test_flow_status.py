"""The statuses are the format's, and many become one by its order."""

from __future__ import annotations

import itertools

import pytest

from noescape.flow.status import TaskStatus, WorkflowStatus, of_group, of_workflow

T = TaskStatus
FAILURES = (
    "CANCELED", "SERVER_ERROR", "BACKEND_ERROR", "EXEC_TIMEOUT", "QUEUE_TIMEOUT", "IMAGE_PULL", "EVICTED",
    "START_ERROR", "START_TIMEOUT", "PREEMPTED",
)  # fmt: skip
# Highest first: what decides for a workflow when all its groups have ended.
DECIDES = [T.FAILED_CANCELED, T.FAILED_SERVER_ERROR, T.FAILED_EXEC_TIMEOUT, T.FAILED_QUEUE_TIMEOUT]


def test_the_words_are_those_of_the_format_and_no_others() -> None:
    """Neither CANCELED nor SUCCEEDED nor SKIPPED exists there."""
    failed = {"FAILED", *(f"FAILED_{name}" for name in FAILURES)}
    alive = {"SUBMITTING", "WAITING", "PROCESSING", "SCHEDULING", "INITIALIZING", "RUNNING"}
    assert {s.value for s in TaskStatus} == alive | failed | {"FAILED_UPSTREAM", "COMPLETED", "RESCHEDULED"}
    assert {s.value for s in WorkflowStatus} == failed | {
        "PENDING", "RUNNING", "WAITING", "COMPLETED", "FAILED_SUBMISSION",
    }  # fmt: skip
    assert {s for s in WorkflowStatus if s.alive} == {"PENDING", "RUNNING", "WAITING"}


@pytest.mark.parametrize("rest", [[], [T.COMPLETED], [T.FAILED], [T.FAILED_UPSTREAM, T.FAILED_EVICTED]])
@pytest.mark.parametrize("at", range(len(DECIDES)))
def test_of_ended_groups_the_first_in_the_order_decides_for_the_workflow(at: int, rest: list[TaskStatus]) -> None:
    for order in itertools.permutations([*DECIDES[at:][:2], *rest]):
        assert of_workflow(order) == DECIDES[at].value


def test_otherwise_a_shared_failure_is_the_workflows_and_mixed_ones_are_plain_failure() -> None:
    """Groups that failed only because of an upstream group do not count."""
    assert of_workflow([T.COMPLETED, T.COMPLETED]) == "COMPLETED"
    assert of_workflow([T.FAILED_IMAGE_PULL, T.FAILED_UPSTREAM, T.COMPLETED]) == "FAILED_IMAGE_PULL"
    assert of_workflow([T.FAILED_IMAGE_PULL, T.FAILED_EVICTED]) == "FAILED"


@pytest.mark.parametrize("alive", [s for s in TaskStatus if not s.ended])
def test_nothing_decides_while_a_group_is_alive(alive: TaskStatus) -> None:
    assert of_workflow([T.FAILED_CANCELED, alive, T.FAILED]) == "RUNNING"
    waits = alive in (T.SUBMITTING, T.WAITING, T.PROCESSING, T.SCHEDULING)
    assert of_workflow([alive]) == ("PENDING" if waits else "RUNNING")


def test_a_groups_status_follows_the_order_of_the_format() -> None:
    order = [T.FAILED_UPSTREAM, T.FAILED_SERVER_ERROR, T.FAILED_PREEMPTED, T.FAILED_EVICTED, T.FAILED, T.COMPLETED]
    for first, second in itertools.combinations(order, 2):
        assert of_group([second, first]) == first == of_group([first, second, second])
