"""What starts when: upstream first, the rest side by side, never more than the machine holds."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from flow_maker import Bench, leftovers, sh
from noescape.flow.machine import Machine
from noescape.records import UsageError

# Says how many like it run at this moment, and the most it saw.
CROWD = """
touch "{d}/$$"; most=0
for i in 1 2 3 4 5 6; do n=$(ls "{d}" | wc -l); [ $n -gt $most ] && most=$n; sleep 0.04; done
rm "{d}/$$"; echo $most > {{{{output}}}}/most
"""


def crowd(folder: Path) -> str:
    place = folder / "crowd"
    place.mkdir(exist_ok=True)
    return CROWD.format(d=place)


def test_a_group_starts_when_all_its_upstream_groups_have_completed(tmp_path: Path) -> None:
    """A diamond: what the two middle tasks wrote is there, whole, when the last one starts."""
    bench = Bench(tmp_path)
    outcome = bench.run(
        sh("a", "echo a > {{output}}/x"),
        sh("b", "sleep 0.2; cat {{input:0}}/x > {{output}}/x; echo b >> {{output}}/x", needs=["a"]),
        sh("c", "cat {{input:a}}/x > {{output}}/x; echo c >> {{output}}/x", needs=["a"]),
        sh("d", "cat {{input:b}}/x {{input:c}}/x > {{output}}/x", needs=["b", "c"]),
    )
    assert outcome.status == "COMPLETED" and outcome.ran == 4 and not outcome.failures
    assert bench.made()["d/x"] == "a\nb\na\nc\n"
    ends = {e["task"]: i for i, e in enumerate(bench.events) if e.get("task") and e["status"] == "COMPLETED"}
    starts = {e["task"]: i for i, e in enumerate(bench.events) if e.get("task") and e["status"] == "RUNNING"}
    assert starts["d"] > max(ends["b"], ends["c"]) and min(starts["b"], starts["c"]) > ends["a"]


def test_independent_groups_run_side_by_side_within_the_cores(tmp_path: Path) -> None:
    """Six tasks of one core each on three cores: three at a time, no more, no fewer."""
    bench = Bench(tmp_path, machine=Machine(cpus=3, memory=1 << 30))
    bench.run(*[sh(f"t{i}", crowd(tmp_path)) for i in range(6)])
    most = [int(text) for text in bench.made().values()]
    assert len(most) == 6 and max(most) == 3


def test_memory_bounds_what_runs_side_by_side(tmp_path: Path) -> None:
    """Two of 600Mi do not fit into 1Gi together, though there are cores enough."""
    bench = Bench(tmp_path, machine=Machine(cpus=8, memory=1 << 30))
    bench.run(*[sh(f"t{i}", crowd(tmp_path)) for i in range(3)], resources={"default": {"cpu": 1, "memory": "600Mi"}})
    assert [int(text) for text in bench.made().values()] == [1, 1, 1]


def test_requests_beyond_the_machine_are_capped_with_one_line(tmp_path: Path) -> None:
    bench = Bench(tmp_path, machine=Machine(cpus=2, memory=1 << 30))
    big = {"default": {"cpu": 64, "memory": "384Gi"}}
    assert bench.run(sh("a", "true"), sh("b", "true"), resources=big).status == "COMPLETED"
    notices = [e["message"] for e in bench.events if e["event"] == "notice"]
    assert len(notices) == 1 and "64 cores (here: 2)" in notices[0] and "384Gi" in notices[0]


def test_gpus_that_are_not_there_are_an_error_before_anything_starts(tmp_path: Path) -> None:
    bench = Bench(tmp_path, machine=Machine(cpus=2, memory=1 << 30, gpus=("g0",)))
    with pytest.raises(UsageError, match=r"group b-group asks for 2 GPU.*this machine has 1"):
        bench.run(
            sh("a", f"touch {tmp_path}/started"), sh("b", "true", resource="two"),
            resources={"default": {}, "two": {"gpu": 2}},
        )  # fmt: skip
    assert not (tmp_path / "started").exists() and not bench.runs.exists()


def test_gpus_are_handed_out_and_never_shared(tmp_path: Path) -> None:
    """Four tasks of one GPU on two: each sees exactly one, no two at the same time the same; a fifth sees none."""
    bench = Bench(tmp_path, machine=Machine(cpus=8, memory=1 << 30, gpus=("g0", "g1")))
    hold = f"d={tmp_path}/$CUDA_VISIBLE_DEVICES; mkdir $d; sleep 0.15; rmdir $d; basename $d > {{{{output}}}}/g"
    bench.run(
        *[sh(f"t{i}", hold, resource="one") for i in range(4)],
        sh("none", 'echo "[$CUDA_VISIBLE_DEVICES]" > {{output}}/g'),
        resources={"default": {}, "one": {"gpu": 1}},
        environ={"PATH": "/usr/bin:/bin", "CUDA_VISIBLE_DEVICES": "g0,g1"},
    )
    made = bench.made()
    assert made.pop("none/g") == "[]\n"
    assert sorted(made.values()) == ["g0\n", "g0\n", "g1\n", "g1\n"]


def test_a_failure_takes_down_what_is_behind_it_and_nothing_else(tmp_path: Path) -> None:
    """Transitively FAILED_UPSTREAM with 3000; an independent chain goes on to its end."""
    bench = Bench(tmp_path)
    outcome = bench.run(
        sh("bad", "echo oh no; exit 7"),
        sh("after", "true", needs=["bad"]),
        sh("afterafter", "true", needs=["after"]),
        sh("other", "sleep 0.2; echo 1 > {{output}}/x"),
        sh("afterother", "cat {{input:0}}/x", needs=["other"]),
    )
    assert outcome.status == "FAILED"
    assert [(f.task, f.status, f.code) for f in outcome.failures] == [("bad", "FAILED", 7)]
    assert {n: bench.status(n) for n in ("after", "afterafter")} == dict.fromkeys(
        ("after", "afterafter"), "FAILED_UPSTREAM"
    )
    assert bench.code("after") == bench.code("afterafter") == 3000
    assert bench.status("afterother") == "COMPLETED"


def test_waiting_too_long_for_room_fails_the_group(tmp_path: Path) -> None:
    """queue_timeout counts while only room is missing, not while upstream groups work."""
    bench = Bench(tmp_path, machine=Machine(cpus=1, memory=1 << 30))
    outcome = bench.run(
        sh("long", "sleep 0.8; echo 1 > {{output}}/x"),
        sh("waits", "true"),
        sh("behind", "cat {{input:0}}/x", needs=["long"]),
        timeout={"queue_timeout": "300ms"},
    )
    assert bench.status("waits") == "FAILED_QUEUE_TIMEOUT" and bench.status("behind") == "COMPLETED"
    assert outcome.status == "FAILED_QUEUE_TIMEOUT"


def test_a_group_that_runs_too_long_is_ended_with_all_its_processes(tmp_path: Path) -> None:
    """exec_timeout is per group: a chain of two, each within it, is longer than it and completes."""
    bench = Bench(tmp_path)
    start = time.monotonic()
    outcome = bench.run(
        sh("slow", "sleep 60 & sleep 60"),
        sh("one", "sleep 0.4"),
        sh("two", "sleep 0.4", needs=["one"]),
        sh("behind", "true", needs=["slow"]),
        timeout={"exec_timeout": "600ms"},
    )
    assert time.monotonic() - start < 10
    assert outcome.status == "FAILED_EXEC_TIMEOUT" and bench.status("slow") == "FAILED_EXEC_TIMEOUT"
    assert bench.status("two") == "COMPLETED" and bench.status("behind") == "FAILED_UPSTREAM"
    assert leftovers(bench.place) == []


def test_many_groups_at_once_all_come_through(tmp_path: Path) -> None:
    """Eighty tasks in ten chains on sixteen cores; every one sees its upstream's bytes."""
    bench = Bench(tmp_path, machine=Machine(cpus=16, memory=1 << 30))
    tasks = []
    for chain in range(10):
        for link in range(8):
            script = f"echo {chain}-{link} > {{{{output}}}}/x" + ("; cat {{input:0}}/x >> {{output}}/x" if link else "")
            tasks.append(sh(f"c{chain}-{link}", script, needs=[f"c{chain}-{link - 1}"] if link else None))
    outcome = bench.run(*tasks)
    assert outcome.status == "COMPLETED"
    made = bench.made()
    for chain in range(10):
        assert made[f"c{chain}-7/x"] == "".join(f"{chain}-{link}\n" for link in range(7, -1, -1))


def test_a_long_chain_behind_a_failure_fails_to_its_end(tmp_path: Path) -> None:
    """Six hundred links: no limit of recursion is met."""
    bench = Bench(tmp_path)
    bench.run(sh("t0", "exit 1"), *[sh(f"t{i}", "true", needs=[f"t{i - 1}"]) for i in range(1, 600)])
    assert bench.status("t599") == "FAILED_UPSTREAM" and bench.state.status == "FAILED"
