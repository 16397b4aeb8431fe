"""Run a command and learn what it cost: CPU seconds, wall seconds, peak memory.

Linux starts a child's peak at the size that its parent had, so a child of a large benchmark would report the
benchmark's memory. Therefore commands are started from this file as a tiny program of its own, which loads nothing:
``python -I -S measured_process.py USAGE.json COMMAND …``.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def run_measured(command: Sequence[str], *, one_thread: bool = True) -> dict[str, float]:
    """Run `command` to its end; returns cpu_s (its children included), wall_s, peak_mb (MiB, the largest process).

    RuntimeError with the end of its output if it fails. `one_thread` tells numeric libraries to use one thread.
    """
    with tempfile.TemporaryDirectory(prefix="measured-") as scratch:
        usage, log = Path(scratch) / "usage.json", Path(scratch) / "log"
        environment = os.environ | {"TQDM_DISABLE": "1"} | (ONE_THREAD if one_thread else {})
        with log.open("wb") as sink:
            launcher = [sys.executable, "-I", "-S", __file__, str(usage), *command]
            subprocess.run(launcher, env=environment, stdout=sink, stderr=subprocess.STDOUT, check=True)
        found: dict[str, float] = json.loads(usage.read_text(encoding="utf-8"))
        if found.pop("status"):
            tail = log.read_text(encoding="utf-8", errors="replace")[-2000:]
            raise RuntimeError(f"failed: {' '.join(command)}\n{tail}")
    return found


def _main(usage: str, command: Sequence[str]) -> None:
    start = time.perf_counter()
    process = subprocess.Popen(command)
    _, status, spent = os.wait4(process.pid, 0)
    found = {
        "status": status,
        "cpu_s": spent.ru_utime + spent.ru_stime,
        "wall_s": time.perf_counter() - start,
        "peak_mb": spent.ru_maxrss / 1024,  # Linux counts in KiB
    }
    Path(usage).write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    _main(sys.argv[1], sys.argv[2:])
