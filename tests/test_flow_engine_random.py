"""Random workflows against a model of thirty lines: statuses, codes and every byte of every output."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest

from flow_maker import Bench, leftovers, sh, write_flow
from noescape.flow.machine import Machine


@dataclass
class Planned:
    """One task of a plan: what it waits for, how its command ends, how long it takes, its request."""

    name: str
    needs: list[str]
    code: int
    pause: float
    cpu: int


def plan(rng: random.Random, count: int) -> list[Planned]:
    tasks: list[Planned] = []
    for index in range(count):
        needs = rng.sample([t.name for t in tasks], k=min(len(tasks), rng.choice([0, 1, 1, 2, 3])))
        code = rng.choice([0] * 8 + [1, 7])
        tasks.append(Planned(f"t{index}", needs, code, rng.choice([0, 0, 0.02, 0.05]), rng.choice([1, 1, 2, 9])))
    return tasks


def model(tasks: list[Planned]) -> tuple[dict[str, tuple[str, int]], dict[str, str]]:
    """Status and code of each task, and what the completed ones wrote."""
    ends: dict[str, tuple[str, int]] = {}
    texts: dict[str, str] = {}
    for task in tasks:
        if any(ends[other][0] != "COMPLETED" for other in task.needs):
            ends[task.name] = ("FAILED_UPSTREAM", 3000)
        elif task.code:
            ends[task.name] = ("FAILED", task.code)
        else:
            ends[task.name] = ("COMPLETED", 0)
            texts[task.name] = task.name + "\n" + "".join(texts[other] for other in task.needs)
    return ends, texts


def as_tasks(tasks: list[Planned]) -> list[dict[str, object]]:
    out = []
    for task in tasks:
        read = "".join(f"cat {{{{input:{other}}}}}/x >> {{{{output}}}}/x; " for other in task.needs)
        script = f"echo {task.name} > {{{{output}}}}/x; {read}sleep {task.pause}; exit {task.code}"
        out.append(sh(task.name, script, needs=task.needs, resource=f"c{task.cpu}"))
    return out


RESOURCES = {"default": {}} | {f"c{cpu}": {"cpu": cpu} for cpu in (1, 2, 9)}


@pytest.mark.parametrize("seed", range(12))
def test_random_workflows_end_as_the_model_says(tmp_path: Path, seed: int) -> None:
    """Then everything that failed is mended, and a resume makes what is missing, nothing else."""
    rng = random.Random(seed)
    tasks = plan(rng, rng.randint(1, 14))
    bench = Bench(tmp_path, machine=Machine(cpus=rng.choice([1, 2, 3, 8]), memory=1 << 30))
    bench.run(*as_tasks(tasks), resources=RESOURCES)
    ends, texts = model(tasks)
    assert {t.name: (bench.status(t.name), bench.code(t.name)) for t in tasks} == ends
    assert {k: v for k, v in bench.made().items() if k[:-2] in texts} == {f"{n}/x": text for n, text in texts.items()}
    assert leftovers(bench.place) == []
    for task in tasks:
        task.code = 0
    wrong = {name for name, (status, _) in ends.items() if status != "COMPLETED"}
    (tmp_path / "demo.yaml").unlink()
    write_flow(tmp_path, *as_tasks(tasks), resources=RESOURCES)
    outcome = bench.resume()
    assert outcome.status == "COMPLETED" and set(bench.ran()) == wrong
    assert bench.made() == {f"{n}/x": text for n, text in model(tasks)[1].items()}


@pytest.mark.parametrize("seed", range(3))
def test_cores_are_never_given_twice(tmp_path: Path, seed: int) -> None:
    """At no moment, by the journal, do running groups ask for more than there is."""
    rng = random.Random(seed)
    tasks = [Planned(f"t{i}", [], 0, 0.02, rng.choice([1, 2, 9])) for i in range(15)]
    bench = Bench(tmp_path, machine=Machine(cpus=3, memory=1 << 30))
    bench.run(*as_tasks(tasks), resources=RESOURCES)
    takes = {f"{t.name}-group": min(3, t.cpu) for t in tasks}
    used = most = 0
    for row in bench.events:
        if row["event"] == "group":
            used += takes[row["group"]] * {"INITIALIZING": 1, "COMPLETED": -1}.get(row["status"], 0)
            most = max(most, used)
    assert used == 0 and most == 3


def test_two_runs_of_one_output_folder_at_once_never_mix(tmp_path: Path) -> None:
    """Whoever comes second fails clearly, whichever moment it is; what lies there is whole and of one run."""

    bench = [Bench(tmp_path / name) for name in ("one", "two")]
    ends: list[str] = []

    def go(one: Bench, word: str) -> None:
        one.folder.mkdir()
        script = f"for i in 1 2 3 4 5; do echo {word} > {{{{output}}}}/$i; done; sleep 0.1"
        try:
            ends.append(one.run(sh("a", script, outputs=[{"url": str(tmp_path / "out")}])).status)
        except Exception as error:
            ends.append(type(error).__name__)

    threads = [threading.Thread(target=go, args=(one, one.folder.name)) for one in bench]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ends) in (["COMPLETED", "FAILED"], ["COMPLETED", "ClaimedError"]), ends
    assert len({p.read_text() for p in (tmp_path / "out").iterdir() if p.is_file()}) == 1
