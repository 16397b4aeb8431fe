"""Measure what made defect pictures are worth: a small segmenter trained with and without them, tested on other parts.

    python benchmarks/gain.py DATA [--settings pictures,parts] [--steps 450,900] [--splits 5] [--seeds 3] [--jobs 2]

DATA is the raw magnetic-tile folder (with MT_Free/Imgs …), which is imported to a temporary folder, or a folder in the
MVTec AD layout with groups.json (what is one physical part). Settings: `pictures` = 5 captures per type; `parts` = a
shot is one part with all its captures, as many per type as leave half of the parts to test, at most 5. Every finished
training is kept in --cache-dir: a killed run goes on where it was. Markdown goes to stdout, progress to stderr.
"""

import argparse
import datetime
import multiprocessing
import os
import shlex
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from noescape.datasets import import_magnetic_tile
from noescape.datasets.magnetic_tile import CATEGORY
from noescape.datasets.mvtec import read_mvtec
from noescape.defects.gain.compare import COMPARED, OURS, Protocol
from noescape.defects.gain.pictures import usable
from noescape.defects.gain.report import judged, markdown
from noescape.defects.gain.split import shots_by_type, split_by_part
from noescape.defects.gain.work import Task, count_missing, identity_of, rows_of
from noescape.files import write_json
from noescape.records import GOOD_TYPE, DataError, NoescapeError, Sample

SETTINGS = {"pictures": "5 pictures per type", "parts": "a shot is a part with all its pictures"}
MOST = 5


def arguments() -> argparse.Namespace:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("data", type=Path, help="raw magnetic-tile folder, or an MVTec folder with groups.json")
    p.add_argument("--settings", default=",".join(SETTINGS), help="comma-separated (default: %(default)s)")
    p.add_argument("--steps", default="450", help="training steps, one table each (default: %(default)s)")
    p.add_argument("--splits", default="0,1,2,3,4", help="numbers of the splits (default: %(default)s)")
    p.add_argument("--seeds", default="0,1,2", help="training seeds (default: %(default)s)")
    p.add_argument("--arms", help=f"comma-separated (default: all of {', '.join(COMPARED)})")
    p.add_argument("--cache-dir", type=Path, default=Path("build/gain"), help="keeps the rows (default: %(default)s)")
    p.add_argument("--jobs", type=int, default=1, help="processes of one thread each, a split at a time (default: 1)")
    p.add_argument("--out", type=Path, help="write rows and gates as JSON")
    args = p.parse_args()
    try:
        args.steps, args.splits, args.seeds = (
            tuple(int(v) for v in text.split(",")) for text in (args.steps, args.splits, args.seeds)
        )
    except ValueError:
        p.error("--steps, --splits and --seeds take numbers, comma-separated")
    args.settings = args.settings.split(",")
    if unknown := [s for s in args.settings if s not in SETTINGS]:
        p.error(f"--settings: unknown {', '.join(unknown)}; known: {', '.join(SETTINGS)}")
    args.arms = args.arms.split(",") if args.arms else list(COMPARED)
    if unknown := [a for a in args.arms if a not in COMPARED]:
        p.error(f"--arms: unknown {', '.join(unknown)}; known: {', '.join(COMPARED)}")
    return args


def samples_of(data: Path, scratch: Path) -> tuple[Sample, ...]:
    """All pictures with their parts."""
    if any(data.glob("MT_*/Imgs")):
        import_magnetic_tile(data, scratch)
        data = scratch / CATEGORY
    dataset = read_mvtec(data)
    samples = (*dataset.train, *dataset.test)
    if not all(s.group for s in samples):
        raise DataError(f"{data}: expected groups.json with the physical part of every picture; splits would leak")
    kept, left_out = usable(samples)
    if left_out:
        print(f"left out, next to nothing marked: {', '.join(left_out)}", file=sys.stderr)
    return kept


def one_thread() -> None:
    """In each process: torch and OpenCV share the machine with the other jobs."""
    import cv2
    import torch

    torch.set_num_threads(1)
    cv2.setNumThreads(1)


def run_tasks(tasks: list[Task], jobs: int) -> list[dict[str, Any]]:
    total, done, start = sum(count_missing(t) for t in tasks), 0, time.monotonic()

    def tell(count: int) -> None:
        nonlocal done
        done += count
        left = (time.monotonic() - start) / max(done, 1) * (total - done)
        print(f"  {done} of {total} trainings, about {left / 60:.0f} min left", file=sys.stderr, flush=True)

    if jobs <= 1:
        one_thread()
        return [row for task in tasks for row in rows_of(task, lambda _: tell(1))]
    missing = {t.split: count_missing(t) for t in tasks}
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), initializer=one_thread) as pool:
        running = {pool.submit(rows_of, task): task for task in tasks}
        for future in as_completed(running):
            future.result()
            tell(missing[running[future].split])
        return [row for future in running for row in future.result()]


def describe(samples: tuple[Sample, ...], tasks: list[Task], left_out: dict[str, int]) -> str:
    p = tasks[0].protocol
    kinds, groups = [s.defect_type for s in samples], [s.group or s.key for s in samples]
    lines = [
        f"{p.steps} steps; {p.made} made pictures in every arm; {p.clean} good pictures to teach, {p.test_clean} to "
        f"test; {len(tasks)} splits x {len(tasks[0].training_seeds)} training seeds.",
        "Types left out, with their parts: " + (", ".join(f"{k} ({n})" for k, n in left_out.items()) or "none") + ".",
        "",
    ]
    for task in tasks:
        split = split_by_part(
            kinds, groups, good=GOOD_TYPE, shots=p.shots, whole_parts=p.whole_parts, clean=p.clean,
            test_clean=p.test_clean, seed=task.split,
        )  # fmt: skip
        taught = ", ".join(f"{k} {len(split.shots[k])} of {split.parts[k]}" for k in split.shots)
        test = {k: [groups[i] for i in split.test if kinds[i] == k] for k in split.shots}
        tested = ", ".join(f"{k} {len(g)} of {len(set(g))}" for k, g in test.items())
        lines.append(f"- split {task.split}: taught (pictures of parts) {taught}; tested {tested}")
    return "\n".join(lines)


def main() -> int:
    args = arguments()
    report: dict[str, Any] = {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "command": "python " + shlex.join(sys.argv),
        "cores": os.cpu_count(),
        "settings": [],
    }
    try:
        with tempfile.TemporaryDirectory() as scratch:
            samples = samples_of(args.data, Path(scratch))
            measure(args, samples, report)
    except NoescapeError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(f"{report['date']}, {report['cores']} cores: `{report['command']}`")
    return 0


def measure(args: argparse.Namespace, samples: tuple[Sample, ...], report: dict[str, Any]) -> None:
    identity = identity_of(samples)
    kinds, groups = [s.defect_type for s in samples], [s.group or s.key for s in samples]
    arms = {name: COMPARED[name] for name in args.arms}
    for steps in args.steps:
        for setting in args.settings:
            whole = setting == "parts"
            shots, left_out = shots_by_type(kinds, groups, good=GOOD_TYPE, most=MOST, whole_parts=whole)
            protocol = Protocol(shots=shots, whole_parts=whole, steps=steps)
            tasks = [
                Task(samples=samples, identity=identity, protocol=protocol, split=k, arms=arms,
                     training_seeds=args.seeds, folder=args.cache_dir)
                for k in args.splits
            ]  # fmt: skip
            print(f"{SETTINGS[setting]}, {steps} steps …", file=sys.stderr, flush=True)
            rows = run_tasks(tasks, args.jobs)
            print(f"### {SETTINGS[setting]}, {steps} steps\n\n{describe(samples, tasks, left_out)}\n")
            print(markdown(rows, OURS), flush=True)
            gates = [{"figure": g.figure, "other": g.other, "margin": g.margin, "mean": d.mean, "met": met}
                     for g, d, met in judged(rows, OURS)]  # fmt: skip
            report["settings"].append({"setting": setting, "steps": steps, "gates": gates, "rows": rows})
            if args.out:
                write_json(args.out, report)


if __name__ == "__main__":
    sys.exit(main())
