"""Checkpoints on disk, alike for every generator.

<folder>/checkpoints/model/iter_%09d/      one saved step: its files, and checkpoint.json with a digest of each
<folder>/checkpoints/latest_checkpoint.txt best_checkpoint.txt      the name of a step
<folder>/valid/<step>/valid_kpi.csv        rows kpi, nn_score, …; columns the types, the last one their average
"""

from __future__ import annotations

import csv
import math
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from noescape.files import dump_json, read_json_object, safe_name, sha256_file, sha256_named, write_csv, write_text
from noescape.records import BundleError, DataError

FORMAT, VERSION = "noescape-generator", 1
MARK = "checkpoint.json"
MODEL = Path("checkpoints", "model")
KPI = "valid_kpi.csv"
DECIDING = "nn_score"
_STEP = re.compile(r"iter_(\d{9})(\.\w+)?")


@dataclass(frozen=True, kw_only=True)
class Step:
    """A saved step that was found whole. `digest` names its content."""

    path: Path
    number: int
    generator: str
    digest: str
    meta: Mapping[str, Any]


def step_name(number: int) -> str:
    """`iter_000010000`."""
    return f"iter_{number:09d}"


def save_step(
    folder: Path, number: int, generator: str, files: Mapping[str, bytes], meta: Mapping[str, Any] | None = None
) -> Path:
    """Write a step under a hidden name and rename it; then it is the latest. The same step again changes nothing.

    DataError where a step of this number with another content is there.
    """
    home = folder / MODEL
    target, part = home / step_name(number), home / f".{step_name(number)}.part"
    shutil.rmtree(part, ignore_errors=True)
    try:
        part.mkdir(parents=True)
        for name, data in files.items():
            if name != safe_name(name):
                raise ValueError(f"{name!r} is no plain file name")
            (part / name).write_bytes(data)
        digests = {name: sha256_file(part / name) for name in sorted(files)}
        mark = {"format": FORMAT, "version": VERSION, "generator": generator, "step": number, "files": digests}
        (part / MARK).write_text(dump_json({**mark, **(meta or {})}), "utf-8")
        if target.exists():
            if open_step(target).digest != _digest(part / MARK, digests):
                raise DataError(f"{target}: another checkpoint is there already; choose another folder, or remove it")
            shutil.rmtree(part)
        else:
            os.sync()
            part.rename(target)
    except OSError as error:
        raise DataError(f"{target}: cannot be written ({error.strerror or error})") from None
    finally:
        shutil.rmtree(part, ignore_errors=True)
    point(folder, "latest", number)
    return target


def point(folder: Path, which: str, number: int) -> None:
    """Let `latest` or `best` name a step."""
    write_text(folder / "checkpoints" / f"{which}_checkpoint.txt", step_name(number) + "\n")


def open_step(path: Path) -> Step:
    """Read and check one step's folder. BundleError: not one of ours, another version, a file gone or altered."""
    if not (path / MARK).is_file():
        raise BundleError(f"{path}: expected a saved step with {MARK}; `noescape defects finetune` writes one")
    mark = read_json_object(path / MARK, "a generator's checkpoint", error=BundleError)
    if mark.get("format") != FORMAT:
        raise BundleError(f"{path / MARK}: expected format {FORMAT!r}, got {mark.get('format')!r}")
    if mark.get("version") != VERSION:
        raise BundleError(
            f"{path}: is of checkpoint version {mark.get('version')!r}, this noescape reads {VERSION}: finetune again"
        )
    files = mark.get("files")
    if not isinstance(files, dict) or not isinstance(mark.get("step"), int):
        raise BundleError(f"{path / MARK}: expected 'files' with digests and a whole 'step'")
    for name, digest in files.items():
        file = path / str(name)
        if name != safe_name(name) or not file.is_file():
            raise BundleError(f"{path}: {name!r} is missing; copy the folder again, or finetune again")
        if sha256_file(file) != digest:
            raise BundleError(f"{file}: was altered (its sha256 is not the one in {MARK}); finetune again")
    digest = _digest(path / MARK, files)
    return Step(path=path, number=mark["step"], generator=str(mark.get("generator")), digest=digest, meta=mark)


def open_checkpoint(folder: Path, number: int | None = None) -> Step:
    """The step `number` of a checkpoint folder, or the best one; `folder` may also be a step's own folder."""
    if (folder / MARK).is_file() and number is None:
        return open_step(folder)
    if not folder.is_dir():
        raise BundleError(f"{folder}: no such checkpoint folder; `noescape defects finetune` writes one")
    there = steps(folder)
    if not there:
        raise BundleError(f"{folder}: no saved step (checkpoints/model/iter_…) in this folder")
    wanted = pick_step(folder) if number is None else number
    if wanted not in there:
        raise BundleError(f"{folder}: no step {wanted}; there are {', '.join(map(str, there))}")
    return open_step(_home(folder) / step_name(wanted))


def steps(folder: Path) -> list[int]:
    """The numbers of all saved steps, ascending; files `iter_%09d.pt` of other programs count."""
    home = _home(folder)
    names = [p.name for p in home.iterdir()] if home.is_dir() else []
    return sorted({int(m[1]) for name in names if (m := _STEP.fullmatch(name))})


def pick_step(folder: Path, fallback: int | None = None) -> int:
    """The best step: highest last column of row `nn_score` over `valid/<step>/valid_kpi.csv` (step 0 ignored, a saved
    step needed; ties: the earliest), else the latest saved one, else `fallback`. BundleError without any."""
    there = steps(folder)
    scores = {n: score for n in there if n and (score := _score(folder / "valid" / str(n) / KPI)) is not None}
    if scores:
        return max(sorted(scores), key=lambda n: scores[n])
    if there:
        return there[-1]
    if fallback is None:
        raise BundleError(f"{folder}: no saved step (checkpoints/model/iter_…) in this folder")
    return fallback


def write_kpi(folder: Path, number: int, types: Sequence[str], rows: Mapping[str, Mapping[str, float]]) -> None:
    """Write `valid/<number>/valid_kpi.csv`: per figure its value for each type, and their mean."""
    table = []
    for figure, values in rows.items():
        known = [values[t] for t in types if t in values]
        mean = sum(known) / len(known) if known else math.nan
        table.append([figure, *(round(values.get(t, math.nan), 6) for t in types), round(mean, 6)])
    write_csv(folder / "valid" / str(number) / KPI, ["kpi", *types, "Average"], table)


def _score(path: Path) -> float | None:
    try:
        with path.open(encoding="utf-8-sig", newline="") as f:
            for row in csv.reader(f):
                if row and row[0].strip() == DECIDING:
                    value = float(row[-1])
                    return value if math.isfinite(value) else None
    except (OSError, ValueError, csv.Error):
        return None
    return None


def _home(folder: Path) -> Path:
    return next((h for h in (folder / MODEL, folder / "model") if h.is_dir()), folder)


def _digest(mark: Path, files: Mapping[str, str]) -> str:
    return sha256_named([*files.items(), (MARK, sha256_file(mark))])
