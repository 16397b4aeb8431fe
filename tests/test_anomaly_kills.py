"""kill -9 at any moment of fit, inspect and evaluate; the same command again ends with the bytes of an undisturbed run.

Nothing of the killed attempts is left over, except in the log of events and the timing.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import killing
import room_maker
from dataset_maker import tree

KILLS = 12


@pytest.fixture(scope="module")
def server() -> Iterator[killing.Server]:
    with killing.Server() as one:
        yield one


def fit_command(work: Path, name: str) -> tuple[list[str], Path]:
    """The arguments of a small fit below `work`, and its run folder."""
    root = work / "part"
    if not root.is_dir():
        room_maker.parts(root, train=6, good=1, blot=1)
    config = work / "config.yaml"
    config.write_text(yaml.safe_dump(room_maker.values(root, work / "runs", name, layers=["blocks.0"])), "utf-8")
    return ["fit", "--config", str(config)], work / "runs" / name / "part" / "run"


def spread(count: int, kills: int, seed: int) -> list[int]:
    """`kills` different numbers of changes out of 1..count, evenly spread with a random offset each."""
    rng = random.Random(seed)
    step = count / kills
    return sorted({1 + min(count - 1, int((i + rng.random()) * step)) for i in range(kills)})


def check_kills(
    server: killing.Server, command: list[str], folder: Path, moments: list[dict[str, Any]], chain: bool = False
) -> int:
    """Kill `command` at each of `moments` and let it go on; the folder must end as it does without a kill.

    `chain` kills the resumed command at the next moment too, instead of starting afresh each time.
    """
    shutil.rmtree(folder, ignore_errors=True)
    first = server.run(command, watch=folder)
    assert first["code"] == 0, first["text"]
    want = room_maker.solid(tree(folder))
    shutil.rmtree(folder)
    killed = 0
    for moment in moments:
        if not chain:
            shutil.rmtree(folder, ignore_errors=True)
        killed += server.run(command, watch=folder, **moment)["killed"]
        if chain and moment is not moments[-1]:
            continue
        again = server.run(command, watch=folder)
        assert again["code"] == 0, (moment, again["text"])
        got = room_maker.solid(tree(folder))
        assert sorted(got) == sorted(want), moment
        assert [name for name in want if got[name] != want[name]] == [], moment
    return killed


def moments_of(server: killing.Server, command: list[str], folder: Path, kills: int, seed: int) -> list[dict[str, Any]]:
    """Moments to kill at: half of them before a change of a file, half at a random time."""
    shutil.rmtree(folder, ignore_errors=True)
    whole = server.run(command, watch=folder)
    assert whole["code"] == 0, whole["text"]
    rng = random.Random(seed)
    changes = [{"change": n} for n in spread(whole["changes"], kills - kills // 3, seed)]
    return changes + [{"seconds": rng.uniform(0.02, whole["seconds"] * 0.9)} for _ in range(kills // 3)]


@pytest.mark.parametrize("name", ["patchcore", "padim"])
def test_a_killed_fit_goes_on_and_ends_the_same(name: str, server: killing.Server, tmp_path: Path) -> None:
    command, run = fit_command(tmp_path, name)
    moments = moments_of(server, command, run, KILLS, seed=1)
    assert check_kills(server, command, run, moments) >= KILLS - 2


def test_a_fit_killed_again_and_again_ends_the_same(server: killing.Server, tmp_path: Path) -> None:
    """Each attempt is killed a little later than the one before."""
    command, run = fit_command(tmp_path, "patchcore")
    assert check_kills(server, command, run, [{"change": n} for n in (2, 5, 9, 14, 20, 27, 35, 44)], chain=True) >= 6


@pytest.fixture(scope="module")
def bundle(server: killing.Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, with its data beside it."""
    work = tmp_path_factory.mktemp("bundle")
    command, run = fit_command(work, "patchcore")
    assert server.run(command, watch=run)["code"] == 0
    return run


def test_a_killed_inspection_goes_on_and_ends_the_same(server: killing.Server, bundle: Path, tmp_path: Path) -> None:
    """Rows, masks, overlays, report.json and report.html."""
    images = room_maker.parts(tmp_path / "part", train=0, good=4, blot=4) / "test"
    (images / "good" / "torn.png").write_bytes((images / "good" / "000.png").read_bytes()[:300])
    out = tmp_path / "out"
    command = ["inspect", "--input-dir", str(images), "--model-dir", str(bundle), "--output-dir", str(out)]
    moments = moments_of(server, command, out, KILLS, seed=2)
    assert check_kills(server, command, out, moments) >= KILLS - 2
    assert check_kills(server, command, out, [{"change": n} for n in (1, 2, 12, 25, 30)], chain=True) >= 4
    assert {"preds.jsonl", "report.json", "report.html", "ng.csv"} <= {p.name for p in out.iterdir()}
    assert len(list((out / "masks").iterdir())) == len(list((out / "overlays").iterdir())) == 8


@pytest.mark.parametrize("options", [[], ["--compute-thresholds", "--threshold-source", "train"]])
def test_a_killed_evaluation_goes_on_and_ends_the_same(
    options: list[str], server: killing.Server, bundle: Path, tmp_path: Path
) -> None:
    """Also while it replaces the thresholds: every attempt finds a bundle that is whole."""
    start, run = tmp_path / "start", tmp_path / "run"
    shutil.copytree(bundle, start)
    command = ["evaluate", "--run-dir", str(run), *options]

    def fresh() -> None:
        shutil.rmtree(run, ignore_errors=True)
        shutil.copytree(start, run)

    fresh()
    whole = server.run(command, watch=run)
    assert whole["code"] == 0, whole["text"]
    want = room_maker.solid(tree(run))
    for number in spread(whole["changes"], 10, seed=3):
        fresh()
        assert server.run(command, watch=run, change=number)["killed"]
        again = server.run(command, watch=run)
        assert again["code"] == 0, (number, again["text"])
        got = room_maker.solid(tree(run))
        assert {k: v for k, v in got.items() if not k.endswith(".part")} == want, number


def test_the_command_itself_is_killed(bundle: Path, tmp_path: Path) -> None:
    """`python -m noescape`, as a person starts it, with a kill in the middle of the rows."""
    images = room_maker.parts(tmp_path / "part", train=0, good=6, blot=6) / "test"
    out = tmp_path / "out"
    command = [sys.executable, "-m", "noescape", "inspect", "--input-dir", str(images), "--model-dir", str(bundle),
               "--output-dir", str(out), "--num-workers", "1"]  # fmt: skip
    quiet: dict[str, Any] = {"env": os.environ | killing.HARMLESS, "stdout": subprocess.DEVNULL,
                             "stderr": subprocess.DEVNULL}  # fmt: skip
    with subprocess.Popen(command, **quiet) as child:
        for _ in range(3000):
            begun = (out / "preds.jsonl").is_file() and (out / "preds.jsonl").stat().st_size
            if begun or child.poll() is not None:
                break
            time.sleep(0.01)
        child.send_signal(signal.SIGKILL)
    subprocess.run(command, check=True, **quiet)
    got = room_maker.solid(tree(out))
    subprocess.run([*command[:-3], str(tmp_path / "other"), *command[-2:]], check=True, **quiet)
    assert got == room_maker.solid(tree(tmp_path / "other"))


def test_another_configuration_takes_the_place_of_a_killed_one(server: killing.Server, tmp_path: Path) -> None:
    """What a killed fit left (its graph of the backbone, its features) must not serve another configuration."""
    command, run = fit_command(tmp_path, "patchcore")
    whole = server.run(command, watch=run)
    want = room_maker.solid(tree(run))
    other = [*command, "--image-size", "96"]
    for number in spread(whole["changes"], 6, seed=4):
        shutil.rmtree(run)
        if not server.run(other, watch=run, change=number)["killed"] or (run / "manifest.json").is_file():
            continue
        again = server.run(command, watch=run)
        assert again["code"] == 0, (number, again["text"])
        assert room_maker.solid(tree(run)) == want, number
