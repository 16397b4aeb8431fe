"""What happens at which step: whose turn it is, which examples, how fast, when to save, when to stop.

Everything follows from the number of the step and the seed alone, so a resumed run needs no memory of what was drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from noescape.defects.generators.recipe import EarlyStop, Recipe

# What a random number is for: streams with different purposes never meet.
CROPS, NOISE, WEIGHTS, VALIDATION, DRAWN = 1, 2, 3, 4, 5


@dataclass(frozen=True, kw_only=True)
class Turn:
    """Step `step` (from 1) trains type number `kind`, which then has had `turn` steps (from 0) before."""

    step: int
    kind: int
    turn: int


def turn_of(step: int, kinds: int) -> Turn:
    """Types take turns, one a step."""
    return Turn(step=step, kind=(step - 1) % kinds, turn=(step - 1) // kinds)


def stream(*numbers: int) -> np.random.Generator:
    """The random stream of these numbers: seed, purpose (CROPS, NOISE, …), and what tells it from its siblings."""
    return np.random.default_rng(numbers)


def torch_seed(*numbers: int) -> int:
    """A seed for torch, 63 bits, that only these numbers give."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))


def lr_at(recipe: Recipe, lr: float, step: int) -> float:
    """Rises evenly over `warm_up_steps`; falls to a hundredth over `cycle_lengths`, where the recipe says so."""
    trainer = recipe.trainer
    if step <= trainer.warm_up_steps:
        return lr * step / trainer.warm_up_steps
    if not trainer.cycle_lengths:
        return lr
    done = min(1.0, (step - trainer.warm_up_steps) / trainer.cycle_lengths)
    return lr * (1 - 0.99 * done)


def saves_at(recipe: Recipe, step: int, last: int) -> bool:
    """Each `save_iter` steps and at the end."""
    return step == last or step % recipe.checkpoint.save_iter == 0


def validates_at(recipe: Recipe, step: int, last: int) -> bool:
    """Each `validation_iter` steps, and whenever a step is saved: no saved step is without its figures."""
    trainer = recipe.trainer
    return trainer.run_validation and (saves_at(recipe, step, last) or step % trainer.validation_iter == 0)


def has_stalled(scores: Mapping[int, float], rule: EarlyStop) -> bool:
    """Whether the last `patience` of these scores (by step, higher is better) brought nothing over the best before."""
    values = [scores[step] for step in sorted(scores)]
    if not rule.enabled or len(values) <= rule.patience:
        return False
    before, since = max(values[: -rule.patience]), max(values[-rule.patience :])
    least = rule.min_delta * (abs(before) if rule.min_delta_mode == "rel" else 1.0)
    return since <= before + least


def held_out(count: int, share: float) -> tuple[list[int], list[int]]:
    """Of `count` images, which are learnt from and which only validate: every so-maniest, none of fewer than five."""
    keep = int(count * share) if count >= 5 else 0
    if not keep:
        return list(range(count)), []
    apart = sorted({int((i + 0.5) * count / keep) for i in range(keep)})
    return [i for i in range(count) if i not in apart], apart


def epoch_places(first: int, batch: int, per_epoch: int) -> Sequence[tuple[int, int]]:
    """(epoch, place in it) of examples number `first` … `first + batch - 1` of an endless row of epochs."""
    return [divmod(n, per_epoch) for n in range(first, first + batch)]
