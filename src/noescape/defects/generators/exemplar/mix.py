"""Many pictures from a few: each type gets its turn, each arm its share, each picture its own random numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from noescape.defects.generators.exemplar.arms import Drawn, classical, cutpaste, jitter, perlin, transplant
from noescape.defects.generators.exemplar.exemplars import Exemplar, traits
from noescape.defects.generators.exemplar.grain import Grain
from noescape.defects.generators.exemplar.logdomain import Float

ARMS = ("classical", "transplant", "cutpaste", "perlin")
MIX = ("classical", "transplant", "transplant", "perlin")  # in turn; see docs/results.md for what else was tried
COPY = "copy"  # the real pictures themselves, only jittered: the fair comparison for every arm
SMALLEST = 8  # pixels; what the border of the picture cut smaller is drawn again
TRIES = 6


def draw(
    arm: str, exemplars: Sequence[Exemplar], clean: Sequence[Float], grain: Grain, rng: np.random.Generator
) -> Drawn:
    """One jittered picture of a type by one arm."""
    kind = traits(exemplars)
    e = exemplars[int(rng.integers(len(exemplars)))]
    surface = clean[int(rng.integers(len(clean)))]
    if arm == "classical":
        drawn = classical(e, rng)
    elif arm == "transplant":
        drawn = transplant(exemplars, kind, surface, grain, rng)
    elif arm == "cutpaste":
        drawn = cutpaste(e, kind, surface, rng)
    elif arm == "perlin":
        drawn = perlin(surface, clean, rng)
    elif arm == COPY:
        drawn = Drawn(log=e.log, mask=e.mask, exemplars=(e.name,))
    else:
        raise ValueError(f"unknown arm {arm!r}; there are {', '.join((*ARMS, COPY))}")
    return jitter(drawn, rng)


def draw_many(
    arms: Sequence[str],
    types: Mapping[str, Sequence[Exemplar]],
    clean: Sequence[Float],
    grain: Grain,
    *,
    count: int,
    seed: int,
) -> Iterator[tuple[str, str, Drawn]]:
    """`count` pictures as (type, arm, picture): types take turns, and within a type the arms.

    Picture number i depends on `seed` and i alone, so that any part of the work can be done again by itself.
    """
    names = list(types)
    for i in range(count):
        kind, arm = names[i % len(names)], arms[(i // len(names)) % len(arms)]
        for attempt in range(TRIES):
            drawn = draw(arm, types[kind], clean, grain, np.random.default_rng((seed, i, attempt)))
            if drawn.mask.sum() > SMALLEST:
                break
        yield kind, arm, drawn
