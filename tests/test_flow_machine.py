"""What this process may use of the machine: limits of containers and batch systems count, not what is built in."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from noescape.flow import machine
from noescape.flow.machine import (
    disk_space,
    free_memory,
    shm_space,
    this_machine,
    total_memory,
    usable_cores,
    visible_gpus,
)

GIB = 1 << 30
MEMINFO = "MemTotal:       16777216 kB\nMemFree:  1 kB\nMemAvailable:    8388608 kB\nHugePages_Total:       0\n"


def system(root: Path, files: dict[str, str]) -> Path:
    """A root folder with these files of the kernel."""
    for name, text in {"proc/meminfo": MEMINFO, **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_this_machine_is_plausible() -> None:
    found = this_machine()
    assert 1 <= found.cpus <= (os.cpu_count() or 1)
    assert found.memory >= free_memory() > 0
    assert found.memory > 1 << 28


def test_cores_are_those_of_the_affinity_mask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3, 5, 7}, raising=False)
    assert usable_cores(tmp_path) == 3


@pytest.mark.parametrize(
    ("quota", "cores"),
    [("400000 100000", 4), ("150000 100000", 1), ("5000 100000", 1), ("max 100000", 16), ("rubbish", 16), ("", 16)],
)
def test_a_quota_of_cgroup_v2_caps_the_cores(
    quota: str, cores: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(16)), raising=False)
    root = system(tmp_path, {"proc/self/cgroup": "0::/a/b\n", "sys/fs/cgroup/a/cpu.max": quota})
    (root / "sys/fs/cgroup/a/b").mkdir()
    assert usable_cores(root) == cores


@pytest.mark.parametrize("folder", ["cpu,cpuacct/docker/x", "cpu/docker/x", "cpu,cpuacct"])
def test_a_quota_of_cgroup_v1_caps_the_cores(folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever the controller is mounted, and also where only its top folder is seen from inside."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(16)), raising=False)
    files = {
        f"sys/fs/cgroup/{folder}/cpu.cfs_{part}_us": text for part, text in (("quota", "200000"), ("period", "1e5"))
    }
    root = system(tmp_path, {"proc/self/cgroup": "4:cpu,cpuacct:/docker/x\n1:name=systemd:/\n", **files})
    assert usable_cores(root) == 16, "a period that is no number is left alone"
    (root / f"sys/fs/cgroup/{folder}/cpu.cfs_period_us").write_text("100000\n")
    assert usable_cores(root) == 2
    (root / f"sys/fs/cgroup/{folder}/cpu.cfs_quota_us").write_text("-1\n")
    assert usable_cores(root) == 16


def test_memory_is_the_least_limit_above_this_process(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "0::/a/b\n",
        "sys/fs/cgroup/a/memory.max": str(4 * GIB),
        "sys/fs/cgroup/a/memory.current": str(3 * GIB),
        "sys/fs/cgroup/a/memory.stat": f"anon 5\ninactive_file {GIB}\n",
        "sys/fs/cgroup/a/b/memory.max": "max\n",
    }
    root = system(tmp_path, files)
    assert total_memory(root) == 4 * GIB
    assert free_memory(root) == 2 * GIB, "what is only cache can be taken"
    (root / "sys/fs/cgroup/a/memory.max").unlink()
    assert (total_memory(root), free_memory(root)) == (16 * GIB, 8 * GIB)


def test_memory_of_cgroup_v1_without_a_limit_is_the_machines(tmp_path: Path) -> None:
    name = "sys/fs/cgroup/memory/memory.limit_in_bytes"
    root = system(tmp_path, {"proc/self/cgroup": "6:memory:/host/only\n", name: "9223372036854771712\n"})
    assert total_memory(root) == 16 * GIB
    (root / name).write_text(str(2 * GIB))
    assert total_memory(root) == 2 * GIB and free_memory(root) == 2 * GIB


def test_a_name_that_leads_out_is_not_followed(tmp_path: Path) -> None:
    root = system(tmp_path / "r", {"proc/self/cgroup": "0::/../../../x\n", "sys/fs/cgroup/a": ""})
    (tmp_path / "x").mkdir()
    (tmp_path / "x/memory.max").write_text("1")
    assert total_memory(root) == 16 * GIB


def test_space_is_that_of_the_nearest_folder_that_exists(tmp_path: Path) -> None:
    assert disk_space(tmp_path / "not/yet/there").total == disk_space(tmp_path).total > 0
    assert shm_space(tmp_path) is None
    (tmp_path / "dev/shm").mkdir(parents=True)
    space = shm_space(tmp_path)
    assert space is not None and 0 < space.free <= space.total


LISTED = """\
GPU 0: NVIDIA H200 (UUID: GPU-aaaa1111)
GPU 1: NVIDIA H200 (UUID: GPU-bbbb2222)
  MIG 3g.71gb     Device  0: (UUID: MIG-cccc3333)
  MIG 3g.71gb     Device  1: (UUID: MIG-dddd4444)
GPU 2: NVIDIA (odd) name (UUID: GPU-eeee5555)
"""
ALL = ("GPU-aaaa1111", "MIG-cccc3333", "MIG-dddd4444", "GPU-eeee5555")


def smi(folder: Path, body: str) -> dict[str, str]:
    """An environment whose `nvidia-smi` is this shell script."""
    program = folder / "bin/nvidia-smi"
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)
    return {"PATH": str(program.parent)}


def test_gpus_are_named_as_cuda_takes_them(tmp_path: Path) -> None:
    (tmp_path / "listed").write_text(LISTED)
    environ = smi(tmp_path, f'while read -r line; do echo "$line"; done < {tmp_path}/listed')
    assert visible_gpus(environ, tmp_path) == ALL


@pytest.mark.parametrize(
    ("wish", "seen"),
    [
        ("", ()),
        ("-1", ()),
        ("1,0", (ALL[1], ALL[0])),
        ("GPU-eeee, 0", (ALL[3], ALL[0])),
        ("0,9,1", (ALL[0],)),
        ("0,0", (ALL[0],)),
        ("MIG-", ()),
    ],
)
def test_a_choice_of_gpus_counts(wish: str, seen: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "listed").write_text(LISTED)
    environ = smi(tmp_path, f'while read -r line; do echo "$line"; done < {tmp_path}/listed')
    assert visible_gpus({**environ, "CUDA_VISIBLE_DEVICES": wish}, tmp_path) == seen


@pytest.mark.parametrize("body", ["exit 9", "exec sleep 30"])
def test_without_an_answer_the_drivers_files_tell(body: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They list the GPUs of the whole host: those without a device file here are not ours."""
    monkeypatch.setattr(machine, "GPU_TIMEOUT_S", 0.3)
    folder = "proc/driver/nvidia/gpus/0000:{}:00.0/information"
    files = {folder.format(n): f"Model: \t X\nGPU UUID: \t GPU-{n}\nDevice Minor: \t {n}\n" for n in (1, 2)}
    root = system(tmp_path, {**files, "dev/nvidia2": ""})
    environ = {**smi(tmp_path, body), "PATH": f"{tmp_path}/bin:{os.environ['PATH']}"}
    start = time.monotonic()
    assert visible_gpus(environ, root) == ("GPU-2",)
    assert visible_gpus({"PATH": ""}, root) == ("GPU-2",)
    assert time.monotonic() - start < 10


def test_without_a_driver_there_is_no_gpu(tmp_path: Path) -> None:
    assert visible_gpus({"PATH": str(tmp_path)}, tmp_path) == ()
