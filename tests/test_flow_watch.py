"""Watching a run: seldom while nothing changes, at once when something does, logs only with a reason, a helpful end."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster_maker import query_of
from noescape.flow.cluster.osmo_error import OsmoError
from noescape.flow.watching.snapshot import TaskState, read_query
from noescape.flow.watching.view import status_lines
from noescape.flow.watching.watch import CLUSTER, LOCAL, Watched, changes_between, watch

Query = dict[str, Any]


class Time:
    """A clock that moves only by sleeping; `at` lists when the source was asked."""

    def __init__(self, script: Callable[[float], Query]) -> None:
        self.now, self.at, self._script = 0.0, [0.0][:0], script

    def source(self) -> Query:
        self.at.append(self.now)
        return self._script(self.now)

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def watch(self, **more: Any) -> tuple[Watched, str]:
        out = io.StringIO()
        options = {"cadence": CLUSTER, "out": out, "now": lambda: self.now, "sleep": self.sleep}
        return watch(self.source, **(options | more)), out.getvalue()


def _until(end: float, last: Query, first: Query | None = None) -> Callable[[float], Query]:
    return lambda now: last if now >= end else (first or query_of("x-1", {"a": "RUNNING"}))


DONE = query_of("x-1", {"a": {"status": "COMPLETED", "exit_code": 0}}, status="COMPLETED")
BROKEN = query_of("x-1", {"a": {"status": "FAILED", "exit_code": 1}, "b": "FAILED_UPSTREAM"}, status="FAILED")


def test_the_cluster_is_asked_after_2_s_and_ever_less_up_to_every_60_s() -> None:
    clock = Time(_until(1000, DONE))
    clock.watch()
    gaps = [round(b - a, 6) for a, b in zip(clock.at, clock.at[1:], strict=False)]
    assert gaps[0] == 2.0 and max(gaps) == 60.0 and gaps == sorted(gaps)
    assert len(gaps) < 30


def test_a_change_brings_back_the_short_wait() -> None:
    other = query_of("x-1", {"a": "RUNNING", "b": "RUNNING"})
    clock = Time(lambda now: DONE if now > 700 else other if now > 500 else query_of("x-1", {"a": "RUNNING"}))
    clock.watch()
    after = [t for t in clock.at if t > 500]
    assert after[1] - after[0] == 2.0


def test_here_it_is_asked_at_least_twice_a_second() -> None:
    clock = Time(_until(10, DONE))
    clock.watch(cadence=LOCAL)
    assert max(b - a for a, b in zip(clock.at, clock.at[1:], strict=False)) <= 0.5


def test_one_line_per_change_and_none_without() -> None:
    steps = [query_of("x-1", {"a": status}) for status in ("WAITING", "WAITING", "RUNNING", "RUNNING")] + [DONE]
    clock = Time(lambda now: steps[min(int(now), 4)])
    ended, text = clock.watch(cadence=LOCAL)
    lines = [line[22:] for line in text.splitlines() if line[:2] == "20"]
    assert lines == ["workflow x-1  RUNNING", "a-group/a  WAITING", "a-group/a  RUNNING", "workflow x-1  COMPLETED",
                     "a-group/a  COMPLETED"]  # fmt: skip
    assert ended.exit_code == 0 and text.splitlines()[-1] == "x-1: COMPLETED"


def test_json_is_one_object_a_line_and_ends_with_the_result() -> None:
    _, text = Time(_until(10, BROKEN)).watch(as_json=True, tail=lambda task: ["KeyError"])
    rows = [json.loads(line) for line in text.splitlines()]
    assert [row["event"] for row in rows] == ["workflow", "task", "workflow", "task", "task", "log", "end"]
    assert rows[3] | {"at": ""} == {
        "at": "", "event": "task", "run": "x-1", "name": "a", "group": "a-group", "from": "RUNNING", "to": "FAILED",
        "retry_id": 0, "exit_code": 1,
    }  # fmt: skip
    assert rows[-1]["exit_code"] == 1 and [f["kind"] for f in rows[-1]["failures"]] == ["user code", "upstream"]


@pytest.mark.parametrize("status", ["COMPLETED", "FAILED", "FAILED_CANCELED", "FAILED_SUBMISSION", "FAILED_NEW_WORD"])
def test_the_exit_code_is_0_only_for_a_run_that_completed(status: str) -> None:
    ended, text = Time(_until(0, query_of("x-1", {}, status=status))).watch()
    assert ended.exit_code == (0 if status == "COMPLETED" else 1)
    assert ("mend: " in text) == (status != "COMPLETED")


def test_the_last_200_lines_come_once_and_only_when_a_task_fails() -> None:
    asked: list[str] = []

    def tail(task: TaskState) -> Sequence[str]:
        asked.append(task.name)
        return [f"line {i}" for i in range(1000)]

    broken = query_of("x-1", {"a": {"status": "FAILED", "exit_code": 1}, "b": "RUNNING"})
    clock = Time(lambda now: BROKEN if now > 60 else broken if now > 20 else query_of("x-1", {"a": "RUNNING"}))
    ended, text = clock.watch(tail=tail)
    assert asked == ["a"]
    shown = [line for line in text.splitlines() if line.startswith("    line")]
    assert len(shown) == 200 and shown[-1] == "    line 999"
    assert ended.failures[0].kind == "user code" and "a: user code" in text and "mend: read the end of its log" in text
    assert text.count("b: something that it needs failed") == 1


def test_a_run_that_goes_well_pulls_no_log() -> None:
    def tail(task: TaskState) -> Sequence[str]:
        raise AssertionError("pulled")

    assert Time(_until(500, DONE)).watch(tail=tail)[0].exit_code == 0


def test_a_log_that_cannot_be_had_is_a_remark() -> None:
    def tail(task: TaskState) -> Sequence[str]:
        raise OsmoError("refused", "no \x1b[2Jlog")

    ended, text = Time(_until(10, BROKEN)).watch(tail=tail)
    assert ended.exit_code == 1 and "the log of a cannot be had: no log" in text


def test_silence_within_the_window_is_normal_and_past_it_shows_the_log_once_per_doubling() -> None:
    """Here, where the time of the last word is known."""
    clock = Time(_until(1000, DONE))
    _, text = clock.watch(cadence=LOCAL, quiet={"a": 120}, life=lambda task: 5.0, tail=lambda task: ["loading"])
    told = [line for line in text.splitlines() if "has said nothing" in line]
    assert [line.split("for ")[1].split(" ")[0] for line in told] == ["2:00", "6:00", "14:00"]
    assert text.count("    loading") == 3 and "left alone" in told[0]
    _, text = Time(_until(1000, DONE)).watch(cadence=LOCAL, quiet={"a": 1200}, life=lambda task: 5.0)
    assert "has said nothing" not in text


def test_a_task_that_speaks_is_not_silent() -> None:
    clock = Time(_until(3000, DONE))
    assert "has said nothing" not in clock.watch(quiet={"a": 60}, life=lambda task: clock.now - 30)[1]


def test_on_the_cluster_only_the_same_last_words_twice_are_silence() -> None:
    """Its log alone can tell; it is pulled when the window is over, and compared a little later."""
    for speaks in (True, False):
        clock = Time(_until(4000, DONE))
        pulls: list[float] = []

        def tail(task: TaskState, clock: Time = clock, pulls: list[float] = pulls, speaks: bool = speaks) -> list[str]:
            pulls.append(clock.now)
            return [f"epoch {int(clock.now) if speaks else 0}"]

        _, text = clock.watch(quiet={"a": 600}, tail=tail)
        assert 600 <= pulls[0] <= 660 and len(pulls) < 35
        assert ("has said nothing" in text) == (not speaks)


def test_while_the_cluster_is_busy_or_away_it_is_left_alone_and_the_run_goes_on() -> None:
    def script(now: float) -> Query:
        if 10 < now < 600:
            raise OsmoError("busy", "429")
        return _until(900, DONE)(now)

    clock = Time(script)
    ended, text = clock.watch()
    assert ended.exit_code == 0
    assert text.count("no answer (busy)") == 1 and text.count("answers again") == 1
    assert len([t for t in clock.at if 10 < t < 600]) < 20


def test_patience_ends_and_other_errors_end_at_once() -> None:
    def away(now: float) -> Query:
        raise OsmoError("unreachable", "no network")

    clock = Time(away)
    with pytest.raises(OsmoError, match="no network"):
        clock.watch(patience_s=300)
    assert 300 < clock.now < 500

    def wrong(now: float) -> Query:
        raise OsmoError("failed", "not found", code=2)

    clock = Time(wrong)
    with pytest.raises(OsmoError, match="not found"):
        clock.watch()
    assert clock.now == 0


def test_a_run_that_nobody_works_on_ends_the_watching_with_a_mend() -> None:
    clock = Time(_until(1e9, DONE))
    ended, text = clock.watch(cadence=LOCAL, orphaned=lambda: "noescape flow resume x-1" if clock.now > 5 else None)
    assert ended.exit_code == 1 and 5 < clock.now < 10
    assert text.splitlines()[-1] == "mend: noescape flow resume x-1"


def test_a_new_try_is_told_and_unknown_statuses_are_alive() -> None:
    tries = [{"status": "RUNNING", "retry_id": 0}, {"status": "RUNNING", "retry_id": 1}, {"status": "NEW_WORD"}]
    clock = Time(lambda now: DONE if now > 3 else query_of("x-1", {"a": tries[int(now) % 3]}, status="ODD"))
    _, text = clock.watch(cadence=LOCAL)
    assert "a-group/a (try 2)  RUNNING" in text and "a-group/a  NEW_WORD" in text and "workflow x-1  ODD" in text


_WORDS = ["name", "status", "groups", "tasks", "retry_id", "exit_code", "start_time", "end_time", "RUNNING", "FAILED"]
_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=9) | st.sampled_from(_WORDS),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(_WORDS), inner, max_size=6),
    max_leaves=20,
)


@given(_JSON)
def test_any_json_is_read_and_shown(value: Any) -> None:
    snapshot = read_query(value)
    first = changes_between(None, snapshot)
    assert first[0].what == "workflow" and sum(change.what == "task" for change in first) == len(snapshot.tasks)
    assert changes_between(snapshot, snapshot) == [] or snapshot.groups
    assert status_lines(snapshot, verbose=True)


@pytest.mark.parametrize("answer", [{}, {"groups": None}, {"status": 5, "groups": [1, {"tasks": [None, {}]}]}, []])
def test_misshapen_answers_do_no_harm(answer: Any) -> None:
    clock = Time(lambda now: DONE if now > 5 else answer)
    assert clock.watch()[0].exit_code == 0


def test_an_interrupt_ends_the_watching_and_closes_the_view() -> None:
    def stop(seconds: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Time(_until(1e9, DONE)).watch(sleep=stop)


def test_tasks_that_failed_alike_are_told_together() -> None:
    canceled = query_of("x-1", dict.fromkeys("abc", "FAILED_CANCELED"), status="FAILED_CANCELED")
    _, text = Time(_until(0, canceled)).watch()
    assert "a, b, c: canceled (FAILED_CANCELED)" in text and text.count("mend: ") == 1
