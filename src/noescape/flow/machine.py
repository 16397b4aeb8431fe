"""What this machine has for tasks: cores, memory, GPUs, /dev/shm and disk, as far as this process may use them.

A container or a batch system gives a process less than the machine holds. So cores are those of the affinity mask and
of the cgroup's quota, memory that of the cgroup, GPUs those that CUDA_VISIBLE_DEVICES leaves.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

GPU_TIMEOUT_S = 20.0
NO_LIMIT = 1 << 60  # cgroup v1 writes a huge number where there is no limit
_SMI_LINE = re.compile(r"\s*(?P<kind>GPU|MIG)\b.*\(UUID:\s*(?P<uuid>[^)\s]+)\)\s*")


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """Whole cores, bytes of memory, and GPUs by the name that CUDA_VISIBLE_DEVICES takes."""

    cpus: int
    memory: int
    gpus: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Space:
    """Bytes of a file system, all and those that are free for this user."""

    total: int
    free: int


def this_machine(environ: Mapping[str, str] | None = None, root: Path = Path("/")) -> Machine:
    """What tasks may use here. Below 0.1 s without an NVIDIA driver, about 1 s with one.

    `root` is where `proc`, `sys` and `dev` are looked for (another folder in tests).
    """
    return Machine(cpus=usable_cores(root), memory=total_memory(root), gpus=visible_gpus(environ, root))


def usable_cores(root: Path = Path("/")) -> int:
    """Cores of the affinity mask, at most the whole cores of the cgroup's quota; at least 1."""
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:  # pragma: no cover - systems without an affinity mask
        cores = os.cpu_count() or 1
    quotas = [int(quota) for quota in _cpu_quotas(root)]
    return max(1, min([cores, *quotas]))


def total_memory(root: Path = Path("/")) -> int:
    """Bytes that all processes of this cgroup may use together; the machine's own where there is no limit."""
    known = _meminfo(root).get("MemTotal")
    limits = [limit for limit, _ in _memory_limits(root)]
    return min([known, *limits] if known is not None else limits, default=_all_pages())


def free_memory(root: Path = Path("/")) -> int:
    """Bytes that can still be taken without swapping, on the machine and in the cgroup."""
    known = _meminfo(root).get("MemAvailable")
    left = [max(0, limit - used) for limit, used in _memory_limits(root)]
    return min([known, *left] if known is not None else left, default=_all_pages())


def shm_space(root: Path = Path("/")) -> Space | None:
    """Size of /dev/shm, which processes share arrays through; None where there is none."""
    folder = root / "dev" / "shm"
    return disk_space(folder) if folder.is_dir() else None


def disk_space(path: Path) -> Space:
    """Space where `path` lies or would be made. OSError when not even a folder above it can be asked."""
    path = path.absolute()
    place = next((p for p in (path, *path.parents) if p.exists()), path)
    usage = shutil.disk_usage(place)
    return Space(total=usage.total, free=usage.free)


def visible_gpus(environ: Mapping[str, str] | None = None, root: Path = Path("/")) -> tuple[str, ...]:
    """UUIDs of the NVIDIA GPUs (their MIG parts where they are cut) that this process may use, in order.

    Asks `nvidia-smi`; where that is not installed or does not answer, the driver's files under /proc. No driver: none.
    """
    environ = os.environ if environ is None else environ
    if not (root / "proc" / "driver" / "nvidia").is_dir() and not shutil.which("nvidia-smi", path=environ.get("PATH")):
        return ()
    found = _gpus_by_command(environ)
    if found is None:
        found = _gpus_by_files(root)
    return _chosen(found, environ.get("CUDA_VISIBLE_DEVICES"))


def _chosen(found: tuple[str, ...], wish: str | None) -> tuple[str, ...]:
    """As CUDA reads its variable: indices or beginnings of UUIDs; what comes behind the first wrong one is not seen."""
    if wish is None:
        return found
    out: list[str] = []
    for word in map(str.strip, wish.split(",")):
        if word.isdecimal():
            match = found[int(word)] if int(word) < len(found) else None
        else:
            named = [uuid for uuid in found if word and uuid.startswith(word)]
            match = named[0] if len(named) == 1 else None
        if match is None or match in out:
            break
        out.append(match)
    return tuple(out)


def _gpus_by_command(environ: Mapping[str, str]) -> tuple[str, ...] | None:
    program = shutil.which("nvidia-smi", path=environ.get("PATH"))
    if program is None:
        return None
    try:
        done = subprocess.run(
            [program, "-L"], stdin=subprocess.DEVNULL, capture_output=True, timeout=GPU_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode != 0:
        return None
    out: list[str] = []
    whole: str | None = None  # the last GPU named; it stands for itself unless parts of it follow
    for match in map(_SMI_LINE.fullmatch, done.stdout.decode("utf-8", "replace").splitlines()):
        if match and match["kind"] == "GPU":
            whole = match["uuid"]
            out.append(whole)
        elif match:
            if out and out[-1] == whole:
                out.pop()
            out.append(match["uuid"])
    return tuple(out)


def _gpus_by_files(root: Path) -> tuple[str, ...]:
    """From /proc/driver/nvidia/gpus, which lists the whole host: only those whose device file is here count."""
    out = []
    for folder in sorted((root / "proc/driver/nvidia/gpus").glob("*")):
        facts = dict(_fields(_read(folder / "information")))
        minor = facts.get("Device Minor", "")
        if facts.get("GPU UUID") and (not minor.isdecimal() or (root / f"dev/nvidia{minor}").exists()):
            out.append(facts["GPU UUID"])
    return tuple(out)


def _cpu_quotas(root: Path) -> Iterator[float]:
    """Cores of every quota above this process, cgroup v2 and v1."""
    for folder in _cgroup_folders(root, "cpu"):
        words = _read(folder / "cpu.max").split()
        if not words:
            words = [_read(folder / f"cpu.cfs_{part}_us").strip() for part in ("quota", "period")]
        if len(words) == 2 and all(word.isdecimal() for word in words) and int(words[1]):
            yield int(words[0]) / int(words[1])


def _memory_limits(root: Path) -> Iterator[tuple[int, int]]:
    """Limit and use in bytes of every memory limit above this process; use without what is only cache."""
    for folder in _cgroup_folders(root, "memory"):
        for limit_name, use_name in (
            ("memory.max", "memory.current"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes"),
        ):
            limit, used = _read(folder / limit_name).strip(), _read(folder / use_name).strip()
            if limit.isdecimal() and int(limit) < NO_LIMIT:
                stat = dict(line.split(" ", 1) for line in _read(folder / "memory.stat").splitlines() if " " in line)
                cache = stat.get("total_inactive_file") or stat.get("inactive_file") or "0"
                yield int(limit), max(0, int(used or 0) - int(cache))


def _cgroup_folders(root: Path, controller: str) -> Iterator[Path]:
    """This process's cgroup and all above it, for a v1 controller and for the unified hierarchy.

    Inside a container the names of /proc/self/cgroup may be those of the host: then only the top folder is there.
    """
    mount = root / "sys/fs/cgroup"
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, names, path = [*line.split(":", 2), "", ""][:3]
        if names and controller not in names.split(","):
            continue
        tops = [mount / names, mount / controller] if names else [mount, mount / "unified"]
        for top in dict.fromkeys(tops):
            inner = Path(path.lstrip("/"))
            if ".." not in inner.parts:
                yield from (top / part for part in (inner, *inner.parents) if (top / part).is_dir())


def _meminfo(root: Path) -> dict[str, int]:
    rows = ((key, value.split()) for key, value in _fields(_read(root / "proc/meminfo")))
    return {key: int(words[0]) * 1024 for key, words in rows if words and words[0].isdecimal()}


def _all_pages() -> int:
    """Physical memory as the C library tells it, for systems without /proc."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return 0


def _fields(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        key, colon, value = line.partition(":")
        if colon:
            yield key.strip(), value.strip()


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""
