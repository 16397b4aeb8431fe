"""Which arm helps on somebody's own pictures: the comparison in small, a choice, and how sure it is."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from noescape.datasets import category_folder, read_mvtec
from noescape.datasets.anomalygen import read_anomalygen
from noescape.defects.gain.compare import COMPARED, OURS, REAL, Protocol, Row
from noescape.defects.gain.pictures import usable
from noescape.defects.gain.report import FIGURES, Difference, paired, summary
from noescape.defects.gain.split import shots_by_type
from noescape.defects.gain.work import Task, count_missing, identity_of, rows_of
from noescape.files import read_json_object
from noescape.records import GOOD_TYPE, DataError, Sample, UsageError

# What `defects finetune` draws with for an arm; none of its own where copies of the real pictures do as well.
DRAWN_WITH: dict[str, dict[str, float]] = {
    OURS: {},
    "+ transplant": {"transplant": 1.0},
    "+ CutPaste": {"cutpaste": 1.0},
    "+ Perlin": {"perlin": 1.0},
}
ARMS = {REAL: COMPARED[REAL], "+ classical": COMPARED["+ classical"], "+ CutPaste": COMPARED["+ CutPaste"],
        "+ Perlin": COMPARED["+ Perlin"], "+ transplant": ("transplant",), OURS: COMPARED[OURS]}  # fmt: skip
LEAST_SPLITS = 3  # fewer say nothing of how a difference varies from part to part
SURE = 2.0  # standard errors over splits that a difference must have
STEP_S, PICTURE_S, TEST_S = 0.022, 0.05, 0.004  # CPU seconds, for the estimate


@dataclass(frozen=True, kw_only=True)
class ChooseOptions:
    """`figure` is what counts; `budget_min` (None: no limit) stops after the split that reaches it."""

    figure: str = "pixel_ap"
    splits: int = 4
    seeds: int = 1
    steps: int = 300
    made: int = 100
    most_parts: int = 5
    budget_min: float | None = None

    def __post_init__(self) -> None:
        if self.figure not in FIGURES:
            raise UsageError(f"--figure: expected one of {', '.join(FIGURES)}, got {self.figure!r}")
        limits = {"splits": 1, "seeds": 1, "steps": 10, "made": 1, "most_parts": 1}
        for name, least in limits.items():
            if getattr(self, name) < least:
                raise UsageError(f"--{name.replace('_', '-')}: expected {least} or more, got {getattr(self, name)}")
        if self.budget_min is not None and not self.budget_min > 0:
            raise UsageError(f"--budget-minutes: expected more than 0, got {self.budget_min}")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What would be done, before it is: shots (parts) per type, types left out with their parts, CPU minutes."""

    tasks: tuple[Task, ...]
    left_out: Mapping[str, int]
    dropped: tuple[str, ...]
    grouped: bool
    minutes: float

    @property
    def trainings(self) -> int:
        """How many are still to be done."""
        return sum(count_missing(task) for task in self.tasks)


def read_samples(root: Path, category: str | None = None, groups: Path | None = None) -> tuple[Sample, ...]:
    """All pictures of an AnomalyGen or MVTec AD data set; `groups` is a JSON object of keys and physical parts.

    Keys are paths relative to the data set's folder. DataError where it cannot be used.
    """
    if any(root.glob("*/anomaly_image")):
        samples = _anomalygen(root)
    else:
        dataset = read_mvtec(category_folder(root, category))
        samples = (*dataset.train, *dataset.test)
    if groups is None:
        return samples
    known = read_json_object(groups, "the physical part of each picture")
    lacking = [s.key for s in samples if not isinstance(known.get(s.key), str)]
    if lacking:
        raise DataError(f"{groups}: expected the part of every picture; {len(lacking)} are missing, first {lacking[0]}")
    return tuple(
        Sample(key=s.key, image=s.image, label=s.label, defect_type=s.defect_type, mask=s.mask, group=known[s.key])
        for s in samples
    )


def _anomalygen(root: Path) -> tuple[Sample, ...]:
    dataset = read_anomalygen(root).require_usable()
    bad = [
        Sample(key=image.relative_to(root).as_posix(), image=image, mask=mask, label=1, defect_type=kind.key)
        for kind in dataset.types
        for image, mask in kind.pairs
    ]
    good = [
        Sample(key=path.relative_to(root).as_posix(), image=path, label=0, defect_type=GOOD_TYPE)
        for paths in dataset.clean.values()
        for path in paths
    ]
    return (*bad, *good)


def plan(samples: Sequence[Sample], options: ChooseOptions, folder: Path) -> Plan:
    """Check that a comparison is possible and lay it out; rows of finished trainings are looked for in `folder`."""
    kept, dropped = usable(samples)
    kinds, groups = [s.defect_type for s in kept], [s.group or s.key for s in kept]
    shots, left_out = shots_by_type(kinds, groups, good=GOOD_TYPE, most=options.most_parts, whole_parts=True)
    if not shots:
        raise DataError(
            "expected defects of one type on at least 4 parts (2 to teach with, 2 to test on) with masks; there are "
            + (", ".join(f"{kind} on {n}" for kind, n in left_out.items()) or "none")
        )
    if kinds.count(GOOD_TYPE) < 4:
        raise DataError(f"expected at least 4 good pictures to teach and test with, got {kinds.count(GOOD_TYPE)}")
    protocol = Protocol(shots=shots, whole_parts=True, made=options.made, steps=options.steps)
    identity, seeds = identity_of(kept), tuple(range(options.seeds))
    tasks = tuple(
        Task(
            samples=kept, identity=identity, protocol=protocol, split=k, arms=ARMS, training_seeds=seeds, folder=folder
        )
        for k in range(options.splits)
    )
    training = options.steps * STEP_S + len(kept) * TEST_S + options.made * PICTURE_S / options.seeds
    minutes = (sum(count_missing(t) for t in tasks) * training + len(kept) * PICTURE_S) / 60
    return Plan(tasks=tasks, left_out=left_out, dropped=dropped, grouped=all(s.group for s in kept), minutes=minutes)


def measure(plan: Plan, budget_min: float | None, on_row: Callable[[Row], None]) -> list[Row]:
    """The rows of all splits, or of those that the budget allows: whole splits, at least one."""
    start, rows = time.monotonic(), list[Row]()
    for number, task in enumerate(plan.tasks):
        spent = (time.monotonic() - start) / 60
        if budget_min is not None and number and count_missing(task) and spent * (number + 1) / number > budget_min:
            break
        rows += rows_of(task, on_row)
    return rows


def choose(rows: Sequence[Row], figure: str, *, grouped: bool) -> dict[str, Any]:
    """The choice: the best arm where it is surely better than ours, else ours; and whether generating helps at all."""
    means = {arm: found[figure][0] for arm, found in summary(rows).items()}
    best = max(means, key=lambda arm: (means[arm], arm == OURS))
    over_ours = None if best == OURS else paired(rows, best, OURS)[figure]
    sure = over_ours is not None and surely(over_ours)
    chosen = best if sure else OURS
    over_real = None if chosen == REAL else paired(rows, chosen, REAL)[figure]
    splits = len({r["split"] for r in rows})
    words = _words(figure, best, chosen, over_ours, over_real, splits)
    if not grouped:
        words.append(
            "Nobody said which pictures show the same part (groups.json): they may stand on both sides of a split, "
            "which flatters every arm."
        )
    return {
        "arms": {"*": drawn} if (drawn := DRAWN_WITH.get(chosen, {})) else {},
        "chosen": chosen,
        "best": best,
        "sure": sure or (best == OURS and all(surely(paired(rows, OURS, a)[figure]) for a in means if a != OURS)),
        "figure": figure,
        "means": {arm: round(mean, 4) for arm, mean in means.items()},
        "n": {"splits": splits, "training_seeds": len({r["training_seed"] for r in rows})},
        "differences": {
            arm: {f: _plain(d) for f, d in paired(rows, chosen, arm).items()} for arm in means if arm != chosen
        },
        "words": words,
    }


def surely(difference: Difference) -> bool:
    """Over the splits: above 0 in all of them, enough of them, and by SURE standard errors."""
    d = difference
    enough = d.splits >= LEAST_SPLITS and d.split_wins == d.splits
    return enough and d.mean >= SURE * d.split_sd / math.sqrt(d.splits)


def _words(
    figure: str, best: str, chosen: str, over_ours: Difference | None, over_real: Difference | None, splits: int
) -> list[str]:
    name = FIGURES[figure]
    words = []
    if over_ours is None:
        words.append(f"The mix has the best {name} here.")
    elif chosen == best:
        words.append(f"{best} has the best {name} here, {over_ours} over the mix: taken.")
    else:
        words.append(
            f"{best} has the best {name} here, but {over_ours} over the mix is too little for {splits} split(s) to "
            "carry: the mix is kept. More splits or more parts could tell."
        )
    if over_real is None:
        words.append("Nothing made helps here: teach with the real pictures, lit differently and flipped.")
    elif surely(over_real):
        words.append(f"It helps: {name} {over_real} over the real pictures alone.")
    else:
        words.append(f"Whether it helps is not shown: {name} {over_real} over the real pictures alone.")
    if chosen == "+ classical":
        words.append("Turning, scaling and flipping the real pictures while training does it; nothing need be drawn.")
    if splits < LEAST_SPLITS:
        words.append(f"{splits} split(s) say nothing of how a difference varies from part to part: at least 3 do.")
    return words


def _plain(d: Difference) -> dict[str, Any]:
    return {
        "mean": round(d.mean, 4), "sd_of_splits": None if math.isnan(d.split_sd) else round(d.split_sd, 4),
        "wins": d.split_wins, "n": d.splits,
    }  # fmt: skip
