"""The machine itself: Python, processor, memory, disk, and the folders that are written to without being named."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
from pathlib import Path

LEAST_MEMORY_GB = 1.5  # fitting stays under 1.2 GB
LEAST_DISK_GB = 1.0
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


def machine_checks() -> list[Row]:
    """Rows python, cpu, memory, disk (group machine), temp, config (group folders)."""
    return [_python(), _cpu(), _memory(), _disk(), _temp(), _config()]


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


def _memory() -> Row:
    values = {}
    for line in _read(Path("/proc/meminfo")).splitlines():
        key, _, value = line.partition(":")
        values[key] = int(value.split()[0]) / 2**20 if value.split() else 0.0
    total, free = values.get("MemTotal"), values.get("MemAvailable")
    limit = _read(Path("/sys/fs/cgroup/memory.max")).strip()
    if limit.isdigit() and total is not None and free is not None:
        total, free = min(total, int(limit) / 2**30), min(free, int(limit) / 2**30)
    if total is None or free is None:
        return _row("machine", "memory", "", "unknown on this system")
    return _row(
        "machine",
        "memory",
        "missing" if free < LEAST_MEMORY_GB else "",
        f"{free:.1f} of {total:.1f} GB free",
        f"fitting takes up to 1.2 GB: free {LEAST_MEMORY_GB} GB",
    )


def _disk() -> Row:
    try:
        free = shutil.disk_usage(Path.cwd()).free / 1e9
    except OSError as error:
        return _row("machine", "disk", "broken", f"the current folder cannot be measured ({error})", "change folder")
    return _row(
        "machine",
        "disk",
        "missing" if free < LEAST_DISK_GB else "",
        f"{free:.1f} GB free here",
        f"free {LEAST_DISK_GB} GB: features are kept on disk while fitting",
    )


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
