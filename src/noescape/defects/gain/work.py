"""Rows of a comparison that survive a kill: one small file per training, found again by all that it depends on."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from noescape.datasets.dataset import data_digest
from noescape.defects.gain.compare import Comparison, Protocol, Recipe, Row
from noescape.defects.gain.pictures import Pictures
from noescape.defects.gain.segmenter import Extractor
from noescape.features.weights import find_weights
from noescape.files import dump_row, read_json_object, sha256_file, sha256_named, write_json
from noescape.records import DataError, Sample

ROOM = "noescape.defects"
CODE = (
    *(f"gain.{name}" for name in ("segmenter", "split", "figures", "pictures", "compare")),
    *(f"generators.exemplar.{n}" for n in ("arms", "mix", "geometry", "grain", "exemplars", "logdomain")),
)


@dataclass(frozen=True, kw_only=True)
class Task:
    """All arms and training seeds of one split. `identity` names the data, the code and the weights."""

    samples: tuple[Sample, ...]
    identity: str
    protocol: Protocol
    split: int
    arms: Mapping[str, Recipe]
    training_seeds: tuple[int, ...]
    folder: Path


def identity_of(samples: Sequence[Sample]) -> str:
    """A digest of data, groups, code and weights: rows of another identity are never taken for these."""
    groups = hashlib.sha256(dump_row({s.key: s.group for s in samples}).encode("utf-8")).hexdigest()
    parts = {"data": data_digest(samples), "groups": groups, "weights": sha256_file(find_weights("efficientnet_lite0"))}
    parts |= {name: sha256_file(Path(str(importlib.import_module(f"{ROOM}.{name}").__file__))) for name in CODE}
    return sha256_named(parts.items())


_opened: dict[str, Pictures] = {}  # of this process: reading and features cost more than a training


def rows_of(task: Task, on_row: Callable[[Row], None] = lambda row: None) -> list[Row]:
    """The rows of a task, those that are there already and those that were missing; runs in any process."""
    out = []
    for arm, recipe in task.arms.items():
        there = {seed: _kept(task, arm, seed) for seed in task.training_seeds}
        missing = [seed for seed, row in there.items() if row is None]
        for seed, row in _new(task, arm, recipe, missing):
            write_json(_path(task, arm, seed), row)
            there[seed] = row
            on_row(row)
        out += [row for row in there.values() if row is not None]
    return out


def count_missing(task: Task) -> int:
    """How many trainings of a task are still to be done."""
    return sum(_kept(task, arm, seed) is None for arm in task.arms for seed in task.training_seeds)


def _new(task: Task, arm: str, recipe: Recipe, seeds: Sequence[int]) -> Iterator[tuple[int, Row]]:
    if not seeds:
        return
    if task.identity not in _opened:
        _opened[task.identity] = Pictures(task.samples, Extractor())
    for row in Comparison(_opened[task.identity], task.protocol).rows(task.split, arm, recipe, seeds):
        yield row["training_seed"], row


def _kept(task: Task, arm: str, seed: int) -> Row | None:
    path = _path(task, arm, seed)
    if not path.is_file():
        return None
    try:
        return read_json_object(path, "a row of a comparison")
    except DataError:
        return None  # measured again


def _path(task: Task, arm: str, seed: int) -> Path:
    what = {"identity": task.identity, **asdict(task.protocol), "shots": dict(task.protocol.shots)}
    what |= {"split": task.split, "arm": arm, "recipe": task.arms[arm], "training_seed": seed}
    return task.folder / f"{hashlib.sha256(dump_row(what).encode('utf-8')).hexdigest()[:32]}.json"
