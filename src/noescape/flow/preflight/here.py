"""What a run on this machine needs of it: GPUs, memory, /dev/shm, disk, and the programs that its tasks call."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from noescape.flow.engine.environment import from_caller
from noescape.flow.engine.needs import cap_notices, gpu_problems
from noescape.flow.format.units import parse_size, show_size
from noescape.flow.machine import disk_space, shm_space
from noescape.flow.preflight.artifacts import ROOT
from noescape.flow.preflight.cluster import profile_of
from noescape.flow.preflight.finding import Finding, Situation
from noescape.flow.preflight.pod_template import NVOPTIX, SHM
from noescape.flow.storage import absolute, is_remote, url_problem

CHECK, TOOLS = "machine", "tools"
LEAST_DISK = 1 << 30
OWN = "noescape"


def check(s: Situation) -> Iterator[Finding]:
    """Everything about the machine."""
    yield from _sizes(s)
    yield from _disk(s)
    yield from _gpu_surroundings(s)
    yield from _tools(s)


def _sizes(s: Situation) -> Iterator[Finding]:
    m = s.machine
    has = f"{m.cpus} core(s), {show_size(m.memory)} memory, {len(m.gpus)} GPU(s)"
    problems = gpu_problems(s.workflow, m) if s.workflow else []
    for problem in problems:
        detail, _, mend = problem.partition(": ")
        yield Finding(check=CHECK, name="GPUs", status="missing", detail=detail, mend=mend)
    notices = cap_notices(s.workflow, m) if s.workflow else []
    for notice in notices:
        yield Finding(check=CHECK, name="cores and memory", status="warning", detail=notice)
    if not problems and not notices:
        yield s.ok(CHECK, "cores, memory, GPUs", has)


def _disk(s: Situation) -> Iterator[Finding]:
    """Where runs lie, and where `dig_url_root` lies if that is a folder; each disk once."""
    size = profile_of(s)
    need = parse_size(size.disk) if size and size.disk else LEAST_DISK
    root = s.values.get(ROOT, "")
    places = [s.runs]
    if root and not url_problem(root, "local") and not is_remote(absolute(root, s.base)):
        places.insert(0, Path(absolute(root, s.base)))
    seen: set[int] = set()
    for place in places:
        try:
            device = next(p for p in (place, *place.parents) if p.exists()).stat().st_dev
            free = disk_space(place).free
        except (OSError, StopIteration) as error:
            yield Finding(check=CHECK, name="disk", status="missing", detail=f"{place} cannot be measured ({error})",
                          mend="choose another folder")  # fmt: skip
            continue
        if device in seen:
            continue
        seen.add(device)
        detail = f"{show_size(free)} free at {place}, {show_size(need)} needed"
        if free >= need:
            yield s.ok(CHECK, "disk", detail)
        else:
            mend = "free more, or take a folder on a larger disk"
            yield Finding(check=CHECK, name="disk", status="missing", detail=detail, mend=mend)


def _gpu_surroundings(s: Situation) -> Iterator[Finding]:
    size = profile_of(s)
    if size and size.shm:
        space, need = shm_space(), parse_size(size.shm)
        if space and space.total >= need:
            yield s.ok(CHECK, SHM, show_size(space.total))
        else:
            detail = f"{show_size(space.total) if space else 'not there'}, {size.shm} needed"
            mend = f"mount -o remount,size={size.shm.rstrip('i')} {SHM} as root; in a container --shm-size"
            yield Finding(check=CHECK, name=SHM, status="missing", detail=detail, mend=mend)
    if size and size.nvoptix:
        if Path(NVOPTIX).is_file():
            yield s.ok(CHECK, "nvoptix", NVOPTIX)
        else:
            mend = "install the whole NVIDIA driver, or mount the file from the host"
            yield Finding(check=CHECK, name="nvoptix", status="missing", detail=f"{NVOPTIX} is not here", mend=mend)


def _tools(s: Situation) -> Iterator[Finding]:
    """Programs that tasks start, looked up on the PATH that they will have; of scripts only what is our own."""
    users: dict[str, list[str]] = {}
    for task in s.workflow.tasks if s.workflow else ():
        own_files = {file.path for file in task.files}
        scripted = any(re.search(rf"(?<![\w./-]){OWN}(?![\w./-])", text) for text in (*task.command[1:], *task.args))
        for program in dict.fromkeys([task.command[0], *([OWN] if scripted else [])]):
            if program not in own_files and "{{" not in program:
                users.setdefault(program, []).append(task.name)
    path = from_caller(s.environ)["PATH"]
    for program, tasks in users.items():
        found = shutil.which(program, path=path)
        if found:
            yield s.ok(TOOLS, program, f"{found}, for {', '.join(tasks)}")
        else:
            detail = f"is not on PATH; needed by {', '.join(tasks)}"
            mend = f"install {program}, or submit to a cluster, where the image has it"
            yield Finding(check=TOOLS, name=program, status="missing", detail=detail, mend=mend)
