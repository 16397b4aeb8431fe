"""What a task demands of its machine: judged in seconds, against amounts, with what to do."""

from __future__ import annotations

import ctypes
import json
import shutil
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest

from noescape.cli.main import main
from noescape.features import doctor, machine, probes
from noescape.features.demands import parse_demands, show_bytes
from noescape.features.doctor import QUICK, Check, check_names, examine, required
from noescape.records import UsageError

GIB = 1 << 30
Usage = namedtuple("Usage", "total used free")


def found(*words: str) -> dict[str, Check]:
    return {check.name: check for check in examine(demands=required(words))}


def spaces(monkeypatch: pytest.MonkeyPatch, shm: int | None, disk: int) -> None:
    """A shared-memory folder of this size (None: there is none), and this much free in every other place."""

    def usage(path: Path) -> Usage:
        if path == machine.SHM:
            if shm is None:
                raise FileNotFoundError(2, "no such folder")
            return Usage(shm, shm, 0)
        return Usage(disk * 2, disk, disk)

    monkeypatch.setattr(shutil, "disk_usage", usage)


def test_amounts_are_exact() -> None:
    demands = parse_demands(["shm=16Gi", "gpu=8", "disk=1Ti", "nvoptix"], check_names())
    assert [(d.name, d.least) for d in demands] == [("shm", 16 * GIB), ("gpu", 8), ("disk", 1 << 40), ("nvoptix", None)]
    assert [show_bytes(n) for n in (16 * GIB, 3 << 29, 1, 0)] == ["16Gi", "1.5Gi", "1 bytes", "0 bytes"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("shm=", "such as shm=16Gi"),
        ("shm=16", "such as shm=16Gi"),
        ("shm=16GB", "such as shm=16Gi"),
        ("shm=0Gi", "such as shm=16Gi"),
        ("memory=٣Gi", "such as memory=16Gi"),
        ("gpu=0", "such as gpu=1"),
        ("gpu=1Gi", "such as gpu=1"),
        ("nvoptix=1", "takes no amount"),
        ("torch=2.13", "takes no amount"),
        ("shmm=16Gi", "did you mean shm?"),
        ("=16Gi", "there is no such check"),
    ],
)
def test_an_amount_that_is_not_one_is_wrong_use(text: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match="--require") as caught:
        required([text])
    assert said in str(caught.value)
    assert main(["doctor", "--require", text]) == 2 and said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("shm", "word", "status"),
    [
        (16 * GIB, "shm", "ok"),
        (16 * GIB, "shm=16Gi", "ok"),
        (16 * GIB - 1, "shm=16Gi", "missing"),
        (64 << 20, "shm", "optional"),
        (64 << 20, "shm=64Mi", "ok"),
        (None, "shm", "optional"),
        (None, "shm=1Mi", "missing"),
    ],
)
def test_shm_must_have_the_size(shm: int | None, word: str, status: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bare, 16Gi are meant."""
    spaces(monkeypatch, shm, 99 * GIB)
    row = found(word)["shm"]
    assert row.status == status and bool(row.fix) is (status != "ok")
    assert status == "ok" or "--shm-size=" in row.fix
    assert main(["doctor", "--require", word]) == (0 if status == "ok" else 1)


def test_disk_and_memory_are_held_against_what_is_demanded(monkeypatch: pytest.MonkeyPatch) -> None:
    spaces(monkeypatch, None, 5 * GIB)
    assert found("disk")["disk"].status == "ok" == found("disk=5Gi", "memory=1Mi")["disk"].status
    rows = found("disk=6Gi", "disk=5Gi", "memory=900Ti")
    assert (rows["disk"].status, rows["memory"].status) == ("missing", "missing"), "the larger of two demands counts"
    assert "6Gi are required" in rows["disk"].fix and "900Ti are required" in rows["memory"].fix


def test_the_limit_of_a_container_is_its_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = machine._read
    limits = {"/sys/fs/cgroup/memory/memory.limit_in_bytes": str(3 * GIB)}
    monkeypatch.setattr(machine, "_read", lambda path: limits.get(str(path)) or real(path))
    assert found("memory=3Gi")["memory"].status == "ok" and found("memory=4Gi")["memory"].status == "missing"


def test_the_denoisers_file_must_be_there_and_hold_something(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "nvoptix.bin"
    monkeypatch.setattr(machine, "NVOPTIX", file)
    assert found("nvoptix")["nvoptix"].status == "optional" and str(file) in found("nvoptix")["nvoptix"].detail
    file.write_bytes(b"")
    assert found("nvoptix")["nvoptix"].status == "broken"
    file.write_bytes(b"weights")
    assert found("nvoptix")["nvoptix"].status == "ok" and main(["doctor", "--require", "nvoptix"]) == 0


class FakeDriver:
    """libcuda as far as the probe asks it."""

    def __init__(self, names: list[str], code: int = 0) -> None:
        self.names, self.code = names, code

    def cuInit(self, flags: int) -> int:
        return self.code

    def cuDeviceGetCount(self, count: Any) -> int:
        count._obj.value = len(self.names)
        return 0

    def cuDeviceGet(self, device: Any, at: int) -> int:
        device._obj.value = at
        return 0

    def cuDeviceGetName(self, text: Any, size: int, device: Any) -> int:
        text.value = self.names[device.value].encode()
        return 0

    def cuDeviceTotalMem_v2(self, size: Any, device: Any) -> int:
        size._obj.value = 140 * GIB
        return 0


@pytest.mark.parametrize(
    ("driver", "least", "status", "said"),
    [
        (FakeDriver(["A", "A", "B"]), None, "ok", "2 x A (140 GB), 1 x B (140 GB)"),
        (FakeDriver(["A", "A"]), 2, "ok", "2 x A"),
        (FakeDriver(["A"]), 2, "missing", "at least 2 required; 1 x A"),
        (FakeDriver([], 100), None, "optional", "gives this process none"),
        (FakeDriver([]), 1, "missing", "gives this process none"),
        (FakeDriver([], 803), 1, "broken", "error 803"),
        (None, None, "optional", "no NVIDIA driver"),
        (None, 1, "missing", "no NVIDIA driver"),
    ],
)
def test_gpus_are_counted_by_the_driver_itself(
    driver: FakeDriver | None, least: int | None, status: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(name: str) -> FakeDriver:
        if driver is None:
            raise OSError(f"{name}: cannot open shared object file")
        return driver

    monkeypatch.setattr(ctypes, "CDLL", load)
    (row,) = probes.probe_gpu(least)
    assert row["status"] == status and said in row["detail"] and bool(row["fix"]) is (status != "ok")


def test_the_amount_reaches_the_process_that_asks_the_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert found("gpu=3")["gpu"].detail.startswith("at least 3 required; ")


def test_quick_demands_try_no_library(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """What a task begins with takes no seconds; one demand of another kind brings the whole table."""
    tried: list[str] = []
    monkeypatch.setattr(
        doctor, "try_probe", lambda probe, *a: (tried.append(probe.name), doctor._all(probe, "ok", "fine"))[1]
    )
    monkeypatch.setattr(doctor, "weight_checks", lambda: pytest.fail("weights were read"))
    main(["doctor", "--json", "--require", "gpu", "--require", "shm", "--require", "disk=1Ki"])
    result = json.loads(capsys.readouterr().out)
    assert tried == ["gpu"] and [check["name"] for check in result["checks"]] == list(QUICK)
    assert result["required"] == ["gpu", "shm", "disk=1Ki"]
    monkeypatch.setattr(doctor, "weight_checks", list)
    examine(demands=required(["gpu", "openvino"]))
    assert tried[1:] == [probe.name for probe in doctor.probes()]
