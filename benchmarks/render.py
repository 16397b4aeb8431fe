"""CPU-seconds per frame, frames per hour and memory of `noescape board render`, by resolution and samples.

    python benchmarks/render.py BOARD.usd [--engines mitsuba,mitsuba-scalar,toy] [--cycles-python PYTHON]
        [--sizes 256,512,1024] [--samples 4,16,64] [--frames 2]

Each row is a process of its own on one board: opening it, starting the engine and the first frame (which builds the
scene) are counted apart; the figures are means of the frames after it, each in another cell under another drawn light,
masks and files included. Frames per hour are by wall clock: an otherwise idle machine is up to the caller. Cycles
(`--cycles-python`: a Python with bpy) is given the same meshes, cameras, lights, samples and bounces, and starts anew
for each frame. Prints a table in Markdown.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

HEAD = "| engine | pixels | samples | CPU-s per frame | frames per hour | first frame, CPU-s | memory, MB | n |"
VARIANTS = {"mitsuba": None, "mitsuba-scalar": "scalar_rgb"}


def main() -> None:
    """Measure every combination and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("usd", type=Path)
    parser.add_argument("--engines", default="mitsuba,mitsuba-scalar,toy")
    parser.add_argument("--cycles-python", metavar="PYTHON")
    parser.add_argument("--sizes", default="256,512,1024")
    parser.add_argument("--samples", default="4,16,64")
    parser.add_argument("--frames", type=int, default=2)
    parser.add_argument("--one", nargs=3, metavar=("ENGINE", "SIZE", "SPP"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(measure(args.usd, args.one[0], int(args.one[1]), int(args.one[2]), args.frames)))
        return
    engines = args.engines.split(",") + (["cycles"] if args.cycles_python else [])
    environ = {**os.environ, **({"BLENDER_PYTHON": args.cycles_python} if args.cycles_python else {})}
    print(
        f"{args.usd.name} on {platform.machine()}, {os.cpu_count()} cores\n\n{HEAD}\n|---|---|---|---|---|---|---|---|"
    )
    for engine in engines:
        for size in map(int, args.sizes.split(",")):
            for spp in map(int, args.samples.split(",")) if engine != "toy" else [1]:
                command = [sys.executable, __file__, str(args.usd), "--frames", str(args.frames)]
                done = subprocess.run(
                    [*command, "--one", engine, str(size), str(spp)], capture_output=True, text=True, env=environ
                )
                if done.returncode:
                    print(f"| {engine} | {size} | {spp} | failed: {done.stderr.strip().splitlines()[-1][:80]} |||||")
                    continue
                print(row(engine, size, spp, json.loads(done.stdout.splitlines()[-1])), flush=True)


def row(engine: str, size: int, spp: int, found: dict[str, Any]) -> str:
    """One line of the table."""
    name = found["variant"] if engine.startswith("mitsuba") else engine
    return (
        f"| {name} | {size} x {size} | {spp} | {found['cpu_s']:.2f} | {3600 / found['wall_s']:.0f} "
        f"| {found['first_cpu_s']:.1f} | {found['memory_mb']:.0f} | {found['frames']} |"
    )


def measure(usd: Path, engine_name: str, size: int, spp: int, frames: int) -> dict[str, Any]:
    """One combination, in this process."""
    from noescape.board.render import renderer
    from noescape.board.render.job import render_job
    from noescape.board.render.mitsuba import Mitsuba
    from noescape.board.scene.config import RenderConfig
    from noescape.board.scene.read import open_scene
    from noescape.board.scene.target import Target

    target = Target(horizontal_aperture=80.0)  # cells of 8 mm
    scene = open_scene(usd, target, ())
    engine: Any = (
        Mitsuba(VARIANTS[engine_name])
        if engine_name in VARIANTS
        else renderer("blender" if engine_name == "cycles" else engine_name)
    )
    config = RenderConfig.model_validate(
        {
            "resolution": [size, size],
            "pathtracing": {"total_spp": spp, "max_bounces": 4},
            "scan_grid": {"x_num": 3, "y_num": 3},
            "use_scene_lights": False,
            "random_seed": 1,
        }
    )
    clock: list[tuple[float, float]] = [(cpu(), time.monotonic())]
    with tempfile.TemporaryDirectory() as folder:
        tell = lambda stage, total: lambda done: clock.append((cpu(), time.monotonic()))  # noqa: E731
        capped = config.model_copy(update={"max_image_count": frames + 1})
        done = render_job(scene, target, capped, Path(folder) / "frames", engine, tell=tell)
    assert done.rendered == frames + 1, done.failed
    steps = [(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(clock)]
    own, children = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return {
        "variant": engine.variant,
        "cpu_s": sum(step[0] for step in steps[1:]) / frames,
        "wall_s": sum(step[1] for step in steps[1:]) / frames,
        "first_cpu_s": steps[0][0],
        "memory_mb": (max(own, children) if engine_name == "cycles" else own) / 1024,
        "frames": frames,
    }


def cpu() -> float:
    """CPU-seconds of this process and of those it has waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


if __name__ == "__main__":
    main()
