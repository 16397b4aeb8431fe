"""Damaged and lying image files cost one row each: no other exception, no crash, no hang, bounded memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import hostile
import liars
import mutants
from noescape.imaging import read_picture
from noescape.records import ImageError

PER_FORM = 200
SECONDS_PER_FILE = 10


def read_in_worker(form: str, seed: int, count: int, folder: Path) -> tuple[dict[str, Any], str]:
    """Run tests/mutants.py on one batch; its result and what native code printed to stderr."""
    command = [sys.executable, mutants.__file__, form, str(seed), str(count), str(folder)]
    env = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=60 + count)
    except subprocess.TimeoutExpired as late:
        raise AssertionError(f"hangs on {str(late.stdout)[-40:]}") from None
    lines = done.stdout.splitlines()
    assert done.returncode == 0, f"died ({done.returncode}) on {lines[-1:]}: {done.stderr[-2000:]}"
    return json.loads(lines[-1]), done.stderr


def check_mutants(form: str, seed: int, count: int, folder: Path) -> None:
    """The promise for one batch."""
    result, noise = read_in_worker(form, seed, count, folder)
    assert result["broken"] == []
    assert sum(result["outcomes"].values()) == count
    assert "memory" not in result["outcomes"], "ran into the memory cap"
    assert len(result["outcomes"]) >= 3, f"the mutants are too tame: {result['outcomes']}"
    assert result["slowest"][0] < SECONDS_PER_FILE, result["slowest"]
    assert result["grown_bytes"] < mutants.RESIDENT
    assert noise == ""


@pytest.mark.parametrize("form", mutants.FORMS)
def test_mutants_cost_one_row_each(form: str, tmp_path: Path) -> None:
    """200 seeded mutants of each format: a picture or an ImageError, quickly, in bounded memory, in silence."""
    check_mutants(form, 1, PER_FORM, tmp_path)


def test_bombs_and_hollow_files_take_no_memory(tmp_path: Path) -> None:
    """Files that announce 256 million pixels and more in a few kB are refused before memory is taken for them."""
    cases = [*liars.bombs(), *liars.hollow()]
    result, noise = read_in_worker("bombs", 1, len(cases), tmp_path)
    assert result["broken"] == [] and noise == ""
    assert set(result["outcomes"]) <= {code for case in cases for code in case.codes}
    assert result["grown_bytes"] < 48 << 20
    assert result["slowest"][0] < 2


@pytest.mark.parametrize("case", [*liars.bombs(), *liars.hollow()], ids=lambda c: c.name)
def test_bombs_say_what_is_wrong(case: hostile.Refused, tmp_path: Path) -> None:
    path = tmp_path / case.name
    path.write_bytes(case.data)
    with pytest.raises(ImageError) as caught:
        read_picture(path)
    assert caught.value.code in case.codes


def test_mutants_are_the_same_every_time() -> None:
    assert [*mutants.mutants("png", 1, 5)] == [*mutants.mutants("png", 1, 5)]
    assert len({*mutants.mutants("png", 1, 50)}) > 45
