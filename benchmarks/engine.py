"""How much the local engine costs beside the bare commands, and whether its memory stays flat.

    python benchmarks/engine.py [--repeat 5] [--json FILE] [--skip-memory]

Runs 20 and 200 tasks that do nothing, independent and as a chain, once by `noescape flow run` and once by `make -j2`
with the very same commands, alternating, and compares the medians; target: at most 1.5 times make plus one second.
Then one task that writes 1 GB to its log, with and without a secret to mask, and one that writes 1 GB of outputs.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ALLOWED_RATIO, ALLOWED_S = 1.5, 1.0
MOST_MEMORY_MB = 160.0
COMMAND = "exit 0"


def write_workflow(folder: Path, count: int, *, chain: bool) -> None:
    """`count` tasks of one core each; as a chain each waits for the one before."""
    lines = ["workflow:", "  name: noop", "  resources: {default: {cpu: 1}}", "  tasks:"]
    for index in range(count):
        needs = f", inputs: [{{task: t{index - 1}}}]" if chain and index else ""
        lines.append(f"  - {{name: t{index}, image: none, command: [sh, -c, {COMMAND}]{needs}}}")
    (folder / "noop.yaml").write_text("\n".join(lines) + "\n")


def write_makefile(folder: Path, count: int, *, chain: bool) -> None:
    """The same commands, targets that make no file."""
    names = [f"t{index}" for index in range(count)]
    lines = [f".PHONY: all {' '.join(names)}", f"all: {' '.join(names)}"]
    for index, name in enumerate(names):
        needs = f" t{index - 1}" if chain and index else ""
        lines += [f"{name}:{needs}", f"\t@sh -c '{COMMAND}'"]
    (folder / "Makefile").write_text("\n".join(lines) + "\n")


def timed(command: list[str], folder: Path) -> tuple[float, float]:
    """Seconds, and seconds of processor time with that of all its children."""
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.perf_counter() - start, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def compare(count: int, *, chain: bool, repeat: int) -> dict[str, Any]:
    """Medians of both, alternating so that a busy moment hits both."""
    ours, makes = [], []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        write_workflow(folder, count, chain=chain)
        write_makefile(folder, count, chain=chain)
        for _ in range(repeat):
            makes.append(timed(["make", "-s", "-j2", "all"], folder))
            ours.append(timed([sys.executable, "-m", "noescape", "flow", "run", "noop.yaml"], folder))
            shutil.rmtree(folder / "flow-runs")
    ours_s, make_s = (statistics.median(wall for wall, _ in each) for each in (ours, makes))
    ours_cpu_s, make_cpu_s = (statistics.median(cpu for _, cpu in each) for each in (ours, makes))
    return {
        "tasks": count, "shape": "chain" if chain else "independent", "noescape_s": round(ours_s, 3),
        "make_s": round(make_s, 3), "ratio": round(ours_s / make_s, 2),
        "noescape_cpu_s": round(ours_cpu_s, 3), "make_cpu_s": round(make_cpu_s, 3),
        "ratio_beyond_1s": round(max(0.0, ours_s - ALLOWED_S) / make_s, 2),
        "within": ours_s <= ALLOWED_RATIO * make_s + ALLOWED_S,
    }  # fmt: skip


MEMORY_TASKS = {
    "1 GB of log": (
        "yes 'a line of some eighty characters, as programs write them, many many times' | head -c 1000000000",
        "",
    ),
    "1 GB of log, masked": (
        "(yes 'some words as programs write them, many many times' | head -c 1000000000; echo $TOKEN)",
        "credentials: {hub: {TOKEN: token}}",
    ),
    "1 GB of outputs": ("head -c 1000000000 /dev/zero > {{output}}/x", "outputs: [{url: out}]"),
}


def memory_of(name: str) -> dict[str, Any]:
    """Peak memory of the engine's own process while one task makes 1 GB."""
    script, more = MEMORY_TASKS[name]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        task = f'  - {{name: big, image: none, command: [sh, -c], args: ["{script}"], {more}}}'
        (folder / "big.yaml").write_text(f"workflow:\n  name: big\n  tasks:\n{task.replace(', }', '}')}\n")
        probe = (
            "import resource, sys; from noescape.cli.main import main; code = main(sys.argv[1:]); "
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, file=sys.stderr); sys.exit(code)"
        )
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", probe, "flow", "run", "big.yaml"],
            cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            env=os.environ | {"TOKEN": "s3cret-t0ken-value"},
        )  # fmt: skip
        seconds = time.perf_counter() - start
    peak = float(done.stderr.split()[-1])
    return {"what": name, "peak_mb": round(peak, 1), "seconds": round(seconds, 2), "within": peak <= MOST_MEMORY_MB}


def main() -> int:
    """Measure, print, and answer 1 when a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    parser.add_argument("--skip-memory", action="store_true", help="only the times")
    args = parser.parse_args()
    speed = []
    for count in (20, 200):
        for chain in (False, True):
            speed.append(row := compare(count, chain=chain, repeat=args.repeat))
            print(
                f"{row['tasks']:4d} {row['shape']:12s} noescape {row['noescape_s']:6.2f} s   "
                f"make -j2 {row['make_s']:6.2f} s   CPU {row['noescape_cpu_s']:5.2f} and {row['make_cpu_s']:5.2f} s   "
                f"ratio {row['ratio']:5.2f}   beyond 1 s: {row['ratio_beyond_1s']:5.2f}   "
                f"{'within' if row['within'] else 'MISSED'}",
                flush=True,
            )
    memory = []
    for name in () if args.skip_memory else MEMORY_TASKS:
        memory.append(one := memory_of(name))
        print(
            f"{name:22s} peak {one['peak_mb']:7.1f} MB in {one['seconds']:.1f} s   "
            f"{'within' if one['within'] else 'MISSED'}"
        )
    machine = {"cpus": os.cpu_count(), "system": platform.platform(), "python": platform.python_version()}
    if args.json:
        args.json.write_text(json.dumps({"machine": machine, "speed": speed, "memory": memory}, indent=2) + "\n")
    return 0 if all(row["within"] for row in [*speed, *memory]) else 1


if __name__ == "__main__":
    sys.exit(main())
