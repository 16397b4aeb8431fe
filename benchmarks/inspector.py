"""Measure noescape's inspector: accuracy, speed, memory, coreset; with ``--peer``, side by side with anomalib.

    python benchmarks/inspector.py --data TILES [TILES_2 …] [--peer PYTHON] [--parts accuracy,norm,speed,memory,coreset]

Every data folder is one split in the MVTec AD layout (`noescape data import` makes them). Speed, memory and coreset
use the first. Everything runs on one thread unless the table says otherwise. Markdown goes to stdout, the numbers
behind it as JSON to ``--out``, progress to stderr. How anomalib's environment is made: benchmarks/peer_anomalib.py.
"""

import argparse
import datetime
import os
import platform
import shlex
import sys
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

from jobs import PEER, Runner, Split, read_split
from noescape.files import write_json
from noescape.records import NoescapeError

PARTS = {
    "accuracy": ("accuracy_part", "Accuracy"),
    "norm": ("accuracy_part", "Feature norm: root against none"),
    "speed": ("speed_part", "Speed"),
    "memory": ("memory_part", "Memory and throughput of the command line"),
    "coreset": ("coreset_part", "Coreset"),
}
PACKAGES = ("noescape", "torch", "openvino", "numpy", "opencv-python-headless")


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    info = Path("/proc/cpuinfo")
    fields = dict(
        (part.strip() for part in line.split(":", 1))
        for line in (info.read_text(encoding="utf-8").splitlines() if info.is_file() else [])
        if ":" in line
    )
    wanted = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8")
    flags = fields.get("flags", "").split()
    return {
        "cpu": f"{fields.get('model name', platform.processor())} (family {fields.get('cpu family', '?')}, "
        f"model {fields.get('model', '?')})",
        "flags": [flag for flag in wanted if flag in flags],
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "load_average": [round(v, 2) for v in os.getloadavg()],
        "python": platform.python_version(),
        "versions": {name: version(name) for name in PACKAGES},
    }


def arguments() -> argparse.Namespace:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--data", type=Path, nargs="+", required=True, help="category folders, one a split")
    p.add_argument("--peer", type=Path, help="interpreter of an environment with anomalib")
    p.add_argument("--peer-models", default="patchcore,padim", help="anomalib's models to run (default: %(default)s)")
    p.add_argument("--parts", default=",".join(PARTS), help="which parts, comma-separated (default: %(default)s)")
    p.add_argument("--repeats", type=int, default=5, help="alternating runs of what is timed (default: 5)")
    p.add_argument("--train-limit", type=int, default=200, help="training images of a split, at most (default: 200)")
    p.add_argument("--images", type=int, default=500, help="images of the memory part (default: 500)")
    p.add_argument("--cache-dir", type=Path, default=Path("build/benchmarks"), help="keeps accuracy results")
    p.add_argument("--out", type=Path, help="write the numbers as JSON")
    args = p.parse_args()
    args.parts = args.parts.split(",")
    if unknown := [part for part in args.parts if part not in PARTS]:
        p.error(f"--parts: unknown {', '.join(unknown)}; known: {', '.join(PARTS)}")
    if args.peer and not args.peer.is_file():
        p.error(f"--peer {args.peer}: no such interpreter")
    if args.repeats < 1 or args.train_limit < 2:
        p.error("--repeats must be at least 1, --train-limit at least 2")
    return args


def measure(part: str, args: argparse.Namespace, runner: Runner, splits: list[Split]) -> tuple[dict[str, Any], str]:
    module = import_module(PARTS[part][0])
    if part in ("accuracy", "norm"):
        return getattr(module, part)(runner, splits)
    if part == "memory":
        return module.memory(splits[0], args.images)
    return getattr(module, part)(runner, splits[0], args.repeats)


def main() -> int:
    args = arguments()
    try:
        splits = [read_split(folder, args.train_limit) for folder in args.data]
    except NoescapeError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    runner = Runner(
        peer=args.peer and args.peer.absolute(),  # not resolved: a link into an environment names it by its place
        peer_sides=tuple(side for side in PEER if side.options["model"] in args.peer_models.split(",")),
        cache=args.cache_dir.absolute(),
    )
    report: dict[str, Any] = {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "command": "python " + shlex.join(sys.argv),
        "machine": machine(),
    }
    for part in args.parts:
        print(f"{part} …", file=sys.stderr, flush=True)
        report[part], text = measure(part, args, runner, splits)
        print(f"## {PARTS[part][1]}\n\n{text}", flush=True)
        if args.out:
            write_json(args.out, report)
    here = report["machine"]
    print(f"{report['date']}, {here['cpu']}, {here['cores']} cores, {here['memory_gb']} GiB: `{report['command']}`")
    return 0


if __name__ == "__main__":
    sys.exit(main())
