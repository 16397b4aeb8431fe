"""The machine itself: Python, processor, memory, disk, and the folders that are written to without being named.

Also what tasks on a GPU find missing only when it is late: room in /dev/shm, and the ray tracing part of the driver.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from noescape.features.demands import show_bytes

LEAST_MEMORY_GB = 1.5  # fitting stays under 1.2 GB
LEAST_DISK_GB = 1.0
LEAST_SHM = 16 << 30  # what renderers and trainers on GPUs share between processes; containers start with 64Mi
SHM = Path("/dev/shm")  # noqa: S108 - measured, not written to
NVOPTIX = Path("/usr/share/nvidia/nvoptix.bin")  # weights of the driver's denoiser; ray tracing hangs without it
# As /proc/cpuinfo spells them, with the names that OpenVINO's users know.
CPU_FLAGS = {
    "avx2": "AVX2",
    "avx512f": "AVX512",
    "avx512_vnni": "VNNI",
    "avx512_bf16": "AVX512-BF16",
    "amx_bf16": "AMX-BF16",
    "asimd": "NEON",
}
Row = dict[str, str]


def machine_checks(least: Mapping[str, int] | None = None) -> list[Row]:
    """Rows python, cpu, memory, disk, shm, nvoptix (group machine), temp, config (group folders).

    `least` in bytes: memory that must be usable, disk that must be free here, size that /dev/shm must have.
    """
    want = least or {}
    memory, disk, shm = _memory(want.get("memory")), _disk(want.get("disk")), _shm(want.get("shm"))
    return [_python(), _cpu(), memory, disk, shm, _nvoptix(), _temp(), _config()]


def cpu_flags(cpuinfo: str) -> list[str]:
    """Names of the vector extensions that the text of /proc/cpuinfo lists for the first processor."""
    for line in cpuinfo.splitlines():
        key, _, value = line.partition(":")
        if key.strip().lower() in ("flags", "features"):
            have = set(value.split())
            return [name for flag, name in CPU_FLAGS.items() if flag in have]
    return []


def config_folder() -> Path:
    """Where preferences of the user go."""
    base = os.environ.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path.home() / ".config") / "noescape"


def _row(group: str, name: str, fault: str, detail: str, fix: str = "") -> Row:
    return {"group": group, "name": name, "status": fault or "ok", "detail": detail, "fix": fix if fault else ""}


def _python() -> Row:
    fine = sys.version_info >= (3, 11)
    return _row(
        "machine",
        "python",
        "" if fine else "broken",
        f"{platform.python_version()} ({platform.machine()}, {platform.system()})",
        "use Python 3.11 or newer",
    )


def _cpu() -> Row:
    text = _read(Path("/proc/cpuinfo"))
    names = [line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name")]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    flags = cpu_flags(text)
    slow = bool(text) and platform.machine() in ("x86_64", "AMD64") and "AVX2" not in flags
    known = ", ".join(flags) if flags else "extensions unknown"
    model = (names or [platform.processor() or platform.machine()])[0]
    return _row(
        "machine",
        "cpu",
        "missing" if slow else "",
        f"{cores} {'core' if cores == 1 else 'cores'}, {known} ({model})",
        "it runs, but slowly: inspect on a CPU with AVX2",
    )


def _memory(least: int | None) -> Row:
    values = {}
    for line in _read(Path("/proc/meminfo")).splitlines():
        key, _, value = line.partition(":")
        values[key] = int(value.split()[0]) / 2**20 if value.split() else 0.0
    total, free = values.get("MemTotal"), values.get("MemAvailable")
    for name in ("memory.max", "memory/memory.limit_in_bytes"):  # of the container: cgroup v2, v1
        limit = _read(Path("/sys/fs/cgroup") / name).strip()
        if limit.isdigit() and total is not None and free is not None:
            total, free = min(total, int(limit) / 2**30), min(free, int(limit) / 2**30)
    if total is None or free is None:
        return _row("machine", "memory", "missing" if least else "", "unknown on this system", "use Linux")
    fix = f"fitting takes up to 1.2 GB: free {LEAST_MEMORY_GB} GB"
    short = free < LEAST_MEMORY_GB
    if least is not None and total < least / 2**30:
        short, fix = True, f"{show_bytes(least)} are required: a larger machine, or more memory for this container"
    return _row("machine", "memory", "missing" if short else "", f"{free:.1f} of {total:.1f} GB free", fix)


def _disk(least: int | None) -> Row:
    try:
        free = shutil.disk_usage(Path.cwd()).free
    except OSError as error:
        return _row("machine", "disk", "broken", f"the current folder cannot be measured ({error})", "change folder")
    fix = f"free {LEAST_DISK_GB} GB: features are kept on disk while fitting"
    short = free < LEAST_DISK_GB * 1e9
    if least is not None and free < least:
        short, fix = True, f"{show_bytes(least)} are required: free more, or start in a folder on a larger disk"
    return _row("machine", "disk", "missing" if short else "", f"{free / 1e9:.1f} GB free here", fix)


def _shm(least: int | None) -> Row:
    """Its size counts: what is taken now, other tasks give back."""
    wanted = show_bytes(least or LEAST_SHM)
    fix = f"docker run --shm-size={wanted.lower().rstrip('i')}; on a cluster an emptyDir in memory over it, {wanted}"
    fault = "missing" if least is not None else "optional"
    try:
        found = shutil.disk_usage(SHM)
    except OSError:
        return _row("machine", "shm", fault, f"for tasks on GPUs ({wanted}); there is no {SHM}", fix)
    said = f"{SHM} has {show_bytes(found.total)}, {show_bytes(found.free)} free"
    if found.total >= (least or LEAST_SHM):
        return _row("machine", "shm", "", said)
    return _row("machine", "shm", fault, f"for tasks on GPUs ({wanted}); {said}", fix)


def _nvoptix() -> Row:
    fix = "mount it from the host, or install the whole driver there (on a cluster: the pod template does it)"
    try:
        size = NVOPTIX.stat().st_size if NVOPTIX.is_file() else None
    except OSError:
        size = None
    if size is None:
        return _row("machine", "nvoptix", "optional", f"for ray tracing on GPUs; {NVOPTIX} is not here", fix)
    return _row("machine", "nvoptix", "" if size else "broken", f"{NVOPTIX}, {show_bytes(size)}", fix)


def _temp() -> Row:
    try:
        folder = tempfile.gettempdir()
        with tempfile.NamedTemporaryFile(dir=folder) as file:
            file.write(b"x")
    except OSError as error:
        return _row("folders", "temp", "broken", f"nothing can be written ({error})", "set TMPDIR to a folder of yours")
    return _row("folders", "temp", "", f"{folder} can be written")


def _config() -> Row:
    """Nothing is made: the nearest folder that exists must take it."""
    folder = config_folder()
    home = next((p for p in (folder, *folder.parents) if p.exists()), folder)
    fine = home.is_dir() and os.access(home, os.W_OK | os.X_OK)
    return _row(
        "folders",
        "config",
        "" if fine else "broken",
        f"{folder} can be written" if fine else f"{folder}: {home} is no folder that can be written",
        "set XDG_CONFIG_HOME to a folder of yours",
    )


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""
