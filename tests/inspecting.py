"""Folders of parts to inspect, and the two ways to inspect them: from Python and as a command."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import room_maker
from dataset_maker import put
from noescape.anomaly.bundle import change
from noescape.anomaly.inspect import Options, inspect
from noescape.cli.main import main
from noescape.datasets import read_folder
from noescape.files import dump_json


def images_of(folder: Path, good: int = 3, blot: int = 3) -> Path:
    """Unlabelled images: good ones first."""
    for i in range(good):
        put(folder / f"good{i}.png", room_maker.part(300 + i))
    for i in range(blot):
        put(folder / f"ng{i}.png", room_maker.defective(300 + i)[0])
    return folder


def look(folder: Path, run: Path, out: Path, **options: Any) -> list[dict[str, Any]]:
    """Inspect a folder; its rows."""
    inspect(read_folder(folder), folder, run, out, Options(**options))
    return room_maker.rows(out / "preds.jsonl")


def call(*arguments: object) -> int:
    return main([str(a) for a in arguments])


def command(images: Path, run: Path, out: Path, *more: str) -> int:
    return call("inspect", "--input-dir", images, "--model-dir", run, "--output-dir", out, *more)


def with_thresholds(run: Path, to: Path, **values: Any) -> Path:
    """A copy of a run with other thresholds, properly signed."""
    copy = Path(shutil.copytree(run, to))
    limits = json.loads((copy / "thresholds.json").read_text("utf-8")) | values
    change(copy, {"thresholds.json": dump_json(limits).encode()})
    return copy
