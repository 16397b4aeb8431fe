"""Many pictures from a few: each type gets its turn, each arm its share, each picture its own random numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from noescape.defects.generators.exemplar.arms import Drawn, classical, cutpaste, jitter, perlin, transplant
from noescape.defects.generators.exemplar.exemplars import Exemplar, traits
from noescape.defects.generators.exemplar.grain import Grain
from noescape.defects.generators.exemplar.logdomain import Float

ARMS = ("classical", "transplant", "cutpaste", "perlin")
Arms = Sequence[str] | Mapping[str, Sequence[str]]  # taken in turn; by size of the type where it is a mapping
# Random fillings, and transplants cut off, teach most about spots; areas are learnt best from the real ones, moved.
# What else was tried: docs/results.md.
MIX: Mapping[str, Sequence[str]] = {
    "small": ("classical", "transplant", "transplant", "perlin"),
    "middle": ("classical", "transplant", "transplant", "perlin"),
    "wide": ("classical", "transplant", "classical", "classical"),
}
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
    arms: Arms,
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
    turns = {k: arms[traits(e).size] if isinstance(arms, Mapping) else arms for k, e in types.items()}
    for i in range(count):
        kind = names[i % len(names)]
        arm = turns[kind][(i // len(names)) % len(turns[kind])]
        for attempt in range(TRIES):
            drawn = draw(arm, types[kind], clean, grain, np.random.default_rng((seed, i, attempt)))
            if drawn.mask.sum() > SMALLEST:
                break
        yield kind, arm, drawn
