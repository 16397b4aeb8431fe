"""Memory and throughput of the command line: `noescape fit` and `noescape inspect` on many images and on half."""

import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from jobs import PADIM, PATCHCORE, Split
from measured_process import run_measured
from noescape.imaging import png_bytes, read_picture
from noescape.records import Sample
from tables import fixed, middle, table

HELP_RUNS = 7


def memory(split: Split, images: int) -> tuple[dict[str, Any], str]:
    noescape = [sys.executable, "-m", "noescape"]
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="memory-") as name:
        scratch = Path(name)
        folders = {
            kind: (vary(samples, scratch / f"{kind}_half", images // 2), vary(samples, scratch / kind, images))
            for kind, samples in (("good", split.train), ("new", split.test))
        }
        for config in (PATCHCORE, PADIM):
            for good, new in zip(folders["good"], folders["new"]):
                model = config.partition("_")[0]
                runs = scratch / "runs"
                what = ["--config", config, "--good", str(good), "--output-dir", str(runs), "--run-id", "a"]
                found.append(_row("fit", model, good, run_measured([*noescape, "fit", *what], one_thread=False)))
                what = ["--input-dir", str(new), "--model-dir", str(runs / model / good.name / "a")]
                what += ["--output-dir", str(scratch / "out")]
                row = _row("inspect", model, new, run_measured([*noescape, "inspect", *what], one_thread=False))
                timing = json.loads((scratch / "out" / "timing.json").read_text(encoding="utf-8"))
                found.append(row | {key: timing[key] for key in ("images_per_second", "workers", "latency_ms")})
                shutil.rmtree(scratch / "out")
    helps = [run_measured([*noescape, "--help"]) for _ in range(HELP_RUNS)]
    result = {"commands": found, "help": {key: [run[key] for run in helps] for key in ("wall_s", "cpu_s")}}
    return result, _tables(found, result["help"])


def vary(samples: Sequence[Sample], folder: Path, count: int) -> Path:
    """Write `count` PNG images made from `samples` in turn: from the second turn on cropped by up to 4% a side,
    brought back to size, and brighter or darker by up to 4 grey levels."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(count):
        rgb = read_picture(samples[number % len(samples)].image).rgb
        if number >= len(samples):
            height, width = rgb.shape[:2]
            top, bottom = (int(v) for v in rng.integers(0, height // 25 + 1, 2))
            left, right = (int(v) for v in rng.integers(0, width // 25 + 1, 2))
            part = cv2.resize(rgb[top : height - bottom, left : width - right], (width, height))
            rgb = np.clip(part.astype(np.int16) + rng.integers(-4, 5), 0, 255).astype(np.uint8)
        (folder / f"{number:05d}.png").write_bytes(png_bytes(np.ascontiguousarray(rgb)))
    return folder


def _row(command: str, model: str, folder: Path, usage: dict[str, float]) -> dict[str, Any]:
    return {"command": command, "model": model, "images": sum(1 for _ in folder.iterdir()), **usage}


def _tables(found: list[dict[str, Any]], helps: dict[str, list[float]]) -> str:
    rows = [
        [
            f"{row['command']}, {row['model']}",
            row["images"],
            fixed(row["peak_mb"], 0),
            fixed(row["cpu_s"], 1),
            fixed(1e3 * row["cpu_s"] / row["images"], 1),
            fixed(row["wall_s"], 1),
            fixed(row["images"] / row["wall_s"], 1),
            fixed(row.get("images_per_second"), 1),
        ]
        for row in sorted(found, key=lambda row: (row["command"], row["model"], row["images"]))
    ]
    header = [
        "command",
        "n images",
        "peak MiB",
        "CPU s",
        "CPU ms/image",
        "wall s",
        "images/s",
        "images/s, start left out",
    ]
    seconds = ", ".join(f"{key.removesuffix('_s')} {middle(values)} s" for key, values in helps.items())
    return table(header, rows) + f"\n`noescape --help`, median of {HELP_RUNS}: {seconds}\n"
