"""Exit actions and tries: what an exit code means, and how often a task is tried again."""

from __future__ import annotations

from pathlib import Path

import pytest

from flow_maker import Bench, sh
from noescape.flow.engine.actions import action_for

# Fails with the n-th of its codes at the n-th try (the last one again and again).
COUNT = 'echo x >> {f}/{n}; set -- {codes}; i=$(wc -l < {f}/{n}); [ $i -gt $# ] && i=$#; eval "exit \\${{$i}}"'


def fails_with(folder: Path, name: str, *codes: int) -> str:
    return COUNT.format(f=folder, n=name, codes=" ".join(map(str, codes)))


@pytest.mark.parametrize(
    ("actions", "code", "action"),
    [
        ({}, 0, "COMPLETE"),
        ({}, 1, "FAIL"),
        ({}, None, "FAIL"),
        ({"COMPLETE": "3"}, 3, "COMPLETE"),
        ({"COMPLETE": "3"}, 33, "FAIL"),
        ({"RESCHEDULE": "137,200-210"}, 205, "RESCHEDULE"),
        ({"RESCHEDULE": "137,200-210"}, 211, "FAIL"),
        ({"FAIL": "1-10", "RESCHEDULE": "5"}, 5, "FAIL"),
        ({"RESCHEDULE": "5", "FAIL": "1-10"}, 5, "RESCHEDULE"),
        ({"FAIL": "0"}, 0, "FAIL"),
        ({"RESCHEDULE": "2010"}, 2010, "RESCHEDULE"),
        ({"COMPLETE": "2012"}, 2012, "FAIL"),
    ],
)
def test_the_first_action_that_fits_in_the_order_of_the_file(
    actions: dict[str, str], code: int | None, action: str
) -> None:
    """A code beyond the command's own can never complete: its inputs or outputs are not there."""
    assert action_for(actions, code) == action


def test_a_task_is_tried_again_in_a_folder_of_its_own(tmp_path: Path) -> None:
    """An empty one; of the earlier ones the logs stay."""
    bench = Bench(tmp_path)
    say = f"echo try $(cat {tmp_path}/n 2>/dev/null | wc -l); echo try > {{{{output}}}}/$(ls {{{{output}}}} | wc -l); "
    script = say + fails_with(tmp_path, "n", 9, 9, 0)
    outcome = bench.run(sh("a", script, exitActions={"reschedule": "9"}))
    tries = bench.state.tasks["a"].tries
    assert outcome.status == "COMPLETED" and [(t.retry, t.status, t.code) for t in tries] == [
        (0, "RESCHEDULED", 9),
        (1, "RESCHEDULED", 9),
        (2, "COMPLETED", 0),
    ]
    assert bench.made() == {"a/0": "try\n"}
    for retry in (0, 1):
        earlier = bench.place.task("a", retry)
        assert [p.name for p in earlier.path.iterdir()] == ["log.txt"] and earlier.log.read_text() == f"try {retry}\n"


def test_tries_are_limited(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.run(sh("a", fails_with(tmp_path, "n", 9), exitActions={"RESCHEDULE": "9"}), max_retries=2)
    assert [t.code for t in bench.state.tasks["a"].tries] == [9, 9, 9]
    assert bench.status("a") == "FAILED" and "retry limit 2" in bench.message("a")


def test_complete_keeps_the_code_and_the_outputs(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.run(
        sh("a", "echo 1 > {{output}}/x; exit 4", exitActions={"COMPLETE": "4"}, outputs=[{"url": "out"}]),
        sh("b", "cat {{input:0}}/x", needs=["a"]),
    )
    assert (bench.status("a"), bench.code("a"), bench.status("b")) == ("COMPLETED", 4, "COMPLETED")
    assert (tmp_path / "out" / "x").read_text() == "1\n"


def test_a_missing_input_can_be_waited_for_by_trying_again(tmp_path: Path) -> None:
    """The codes of inputs count too: here the input appears between two tries."""
    bench = Bench(tmp_path)
    late = f"sleep 0.3; mkdir {tmp_path}/part; echo 1 > {tmp_path}/part/x; mv {tmp_path}/part {tmp_path}/late"
    bench.run(
        sh("a", "cat {{input:0}}/x", inputs=[{"url": "late"}], exitActions={"RESCHEDULE": "2010"}),
        sh("b", late),
        max_retries=100000,
    )
    assert bench.status("a") == "COMPLETED" and bench.state.tasks["a"].tries[0].code == 2010


def test_a_leads_new_try_restarts_its_siblings(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    lead = sh("lead", fails_with(tmp_path, "n", 9, 0), lead=True, exitActions={"RESCHEDULE": "9"})
    outcome = bench.run(groups=[{"name": "g", "tasks": [lead, sh("x", "sleep 60"), sh("done", "true")]}])
    assert outcome.status == "COMPLETED"
    tries = {name: [(t.retry, t.status) for t in task.tries] for name, task in bench.state.tasks.items()}
    assert tries["lead"] == [(0, "RESCHEDULED"), (1, "COMPLETED")]
    assert tries["x"] == [(0, "RESCHEDULED"), (1, "COMPLETED")] and len(tries["done"]) == 2


@pytest.mark.parametrize("ignore", [True, False])
def test_a_non_leads_new_try_restarts_the_others_only_where_its_status_counts(tmp_path: Path, ignore: bool) -> None:
    bench = Bench(tmp_path)
    wait = f"while [ $(cat {tmp_path}/n | wc -l) -lt 2 ]; do sleep 0.02; done; sleep 0.2"
    other = sh("other", fails_with(tmp_path, "n", 9, 0), exitActions={"RESCHEDULE": "9"})
    tasks = [sh("lead", wait, lead=True), other]
    outcome = bench.run(groups=[{"name": "g", "tasks": tasks, "ignoreNonleadStatus": ignore}])
    assert outcome.status == "COMPLETED"
    assert len(bench.state.tasks["other"].tries) == 2
    assert len(bench.state.tasks["lead"].tries) == (1 if ignore else 2)


def test_what_was_restarted_because_of_others_uses_up_no_try(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    lead = sh("lead", fails_with(tmp_path, "n", 9, 9, 9, 0), lead=True, exitActions={"RESCHEDULE": "9"})
    other = sh("other", fails_with(tmp_path, "m", 8, 8, 8, 8, 0), exitActions={"RESCHEDULE": "8"})
    outcome = bench.run(groups=[{"name": "g", "tasks": [lead, other]}], max_retries=3)
    assert outcome.status == "COMPLETED"


def test_a_task_goes_on_from_its_own_checkpoint(tmp_path: Path) -> None:
    """The first time nothing is there yet; then each try begins with what the one before kept."""
    bench = Bench(tmp_path)
    script = """
        cat {{input:0}}/n > {{output}}/seen 2>/dev/null || true; n=$(cat {{input:0}}/n 2>/dev/null || echo 0)
        echo $((n + 1)) > /state/n; [ $n -ge 2 ]
    """
    task = sh("a", script, inputs=[{"url": "kept/state"}], exitActions={"RESCHEDULE": "1"},
              checkpoint=[{"path": "/state", "url": "kept", "frequency": "1h"}])  # fmt: skip
    assert bench.run(task, max_retries=3).status == "COMPLETED"
    assert bench.task("a").path.name == "2" and (bench.task("a").output / "seen").read_text() == "2\n"
    assert (tmp_path / "kept" / "state" / "n").read_text() == "3\n"
