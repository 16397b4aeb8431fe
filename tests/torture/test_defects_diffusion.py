"""The diffusion tier with a tiny model of random weights, on the CPU: it learns, it survives, it shares out its work.

Needs the extra `diffusion`; a few minutes on two cores.
"""

from __future__ import annotations

import csv
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from diffusion_maker import cases, recipe, spotted_set, tiny_model

pytestmark = pytest.mark.torture

ENVIRONMENT = {"SOURCE_DATE_EPOCH": "1750000000", "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "error"}
NOESCAPE = [sys.executable, "-m", "noescape"]


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, and data sets of one and of two types."""
    folder = tmp_path_factory.mktemp("room")
    tiny_model(folder / "model")
    spotted_set(folder / "one")
    spotted_set(folder / "two", kinds=("spot", "dot"), examples=5)
    return folder


@pytest.fixture(scope="module")
def learnt(room: Path) -> Path:
    """A checkpoint trained by torchrun's two processes."""
    config = recipe(
        room / "learn.yaml", room / "model", max_iter=80, save_iter=40, validation_iter=40, batch_size=3,
        cycle_lengths=80, diffusion={"lr": 8e-3},
    )  # fmt: skip
    command = ["defects", "finetune", "--generator", "diffusion", "--config", str(config)]
    done = _torchrun([*command, "--dataset-dir", str(room / "one"), "--output-dir", str(room / "learnt")])
    assert done.returncode == 0, done.stderr
    return room / "learnt"


def test_an_adapter_halves_the_masked_loss_of_its_type(learnt: Path) -> None:
    """The frozen model has random weights: all that it knows of the type is in adapter and tokens."""
    start, middle, end = (_loss(learnt, step) for step in (0, 40, 80))
    assert end <= 0.5 * start, f"{start} -> {middle} -> {end}"
    assert (learnt / "checkpoints" / "latest_checkpoint.txt").read_text() == "iter_000000080\n"
    assert (learnt / "checkpoints" / "best_checkpoint.txt").read_text() in ("iter_000000040\n", "iter_000000080\n")


def test_the_work_of_two_is_that_of_one_to_the_byte(learnt: Path, tmp_path: Path) -> None:
    """Table, provenance and pictures; also when both were killed half-way."""
    rows = cases(tmp_path / "cases" / "testcase.jsonl", learnt.parent / "one", count=6)
    command = ["defects", "generate", "--checkpoint-dir", str(learnt), "--input-jsonl", str(rows), "--seed", "3"]
    alone = subprocess.run([*NOESCAPE, *command, "--output-dir", str(tmp_path / "one")], env=os.environ | ENVIRONMENT)
    assert alone.returncode == 0
    whole = _tree(tmp_path / "one")
    assert {"SDG_result.csv", "provenance.jsonl", "summary.json"} <= set(whole)
    done = _torchrun([*command, "--output-dir", str(tmp_path / "two")])
    assert done.returncode == 0 and _tree(tmp_path / "two") == whole, done.stderr
    out = tmp_path / "killed"
    for count in (1, 4):
        _start_and_kill([*command, "--output-dir", str(out)], lambda n=count: _pictures(out) >= n)
    _run_pair([*command, "--output-dir", str(out)])
    assert _tree(out) == whole


@pytest.mark.parametrize("kinds", ["one", "two"])
def test_killed_and_started_again_a_training_ends_with_the_same_bytes(kinds: str, room: Path, tmp_path: Path) -> None:
    """Killed at once, after the first saved step, and while a later one is written; nothing else stays behind."""
    extra = {"condition_dropout": 0.3}
    config = recipe(tmp_path / "r.yaml", room / "model", max_iter=8, save_iter=3, validation_iter=2, diffusion=extra)
    command = ["defects", "finetune", "--generator", "diffusion", "--config", str(config)]
    command += ["--dataset-dir", str(room / kinds)]
    _run_pair([*command, "--output-dir", str(tmp_path / "whole")])
    whole = _tree(tmp_path / "whole")
    assert sum(name.endswith("optimizer.safetensors") for name in whole) == 3
    out = tmp_path / "killed"
    saved = out / "checkpoints" / "model"
    _start_and_kill([*command, "--output-dir", str(out)], lambda: (out / "valid" / "0").exists())
    _start_and_kill([*command, "--output-dir", str(out)], lambda: (saved / "iter_000000003").exists())
    _start_and_kill([*command, "--output-dir", str(out)], lambda: (saved / ".iter_000000006.part").exists())
    _run_pair([*command, "--output-dir", str(out)])
    assert _tree(out) == whole


def test_another_training_is_not_continued(room: Path, tmp_path: Path) -> None:
    """Another number of processes, other data or another recipe: refused, by name; nothing is touched."""
    config = recipe(tmp_path / "r.yaml", room / "model", max_iter=1, save_iter=1, diffusion={"validation_images": 0})
    out = tmp_path / "out"

    def finetune(config: Path, data: str) -> subprocess.CompletedProcess[str]:
        command = ["defects", "finetune", "--generator", "diffusion", "--config", str(config), "--dataset-dir"]
        return subprocess.run(
            [*NOESCAPE, *command, str(room / data), "--output-dir", str(out)], env=os.environ | ENVIRONMENT,
            capture_output=True, text=True,
        )  # fmt: skip

    assert finetune(config, "one").returncode == 0
    before = _tree(out)
    other = recipe(tmp_path / "o.yaml", room / "model", max_iter=1, save_iter=1, batch_size=5)
    for result, word in ((finetune(config, "two"), "examples_sha256"), (finetune(other, "one"), "batch_size")):
        assert result.returncode == 2 and "another training" in result.stderr and word in result.stderr
    assert _tree(out) == before
    longer = recipe(tmp_path / "l.yaml", room / "model", max_iter=2, save_iter=1, diffusion={"validation_images": 0})
    assert finetune(longer, "one").returncode == 0
    kept = {name: data for name, data in before.items() if not name.endswith("_checkpoint.txt")}
    assert kept.items() <= _tree(out).items() and (out / "checkpoints" / "model" / "iter_000000002").is_dir()


def _loss(output: Path, step: int) -> float:
    with (output / "valid" / str(step) / "valid_kpi.csv").open(newline="") as f:
        return next(float(row[-1]) for row in csv.reader(f) if row[0] == "masked_loss")


def _tree(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def _pictures(out: Path) -> int:
    return len(list(out.rglob("reconstructed_image/*.png")))


def _torchrun(command: list[str]) -> subprocess.CompletedProcess[str]:
    """Two processes by torchrun itself. Its own remarks are none of our warnings."""
    starter = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", f"--master_port={_free_port()}"]
    environment = os.environ | ENVIRONMENT | {"PYTHONWARNINGS": "default"}
    return subprocess.run([*starter, "-m", "noescape", *command], env=environment, capture_output=True, text=True)


def _pair(command: list[str]) -> list[subprocess.Popen[bytes]]:
    """Two processes as torchrun would start them, so that each can be killed by its number."""
    meet = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port()), "WORLD_SIZE": "2"}
    everyone = [os.environ | ENVIRONMENT | meet | {"RANK": str(rank)} for rank in range(2)]
    return [subprocess.Popen([*NOESCAPE, *command], env=one) for one in everyone]


def _run_pair(command: list[str]) -> None:
    assert [process.wait(600) for process in _pair(command)] == [0, 0]


def _start_and_kill(command: list[str], when: Any) -> None:
    """Start both, kill -9 both as soon as `when()`."""
    processes = _pair(command)
    try:
        while not when():
            assert all(p.poll() is None for p in processes), "ended before it could be killed"
            time.sleep(0.002)
    finally:
        for process in processes:
            process.kill()
            process.wait()


def _free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])
