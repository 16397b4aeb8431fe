"""Arms against each other on the same splits: what is taught differs in nothing but the made pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from noescape.defects.gain.figures import figures
from noescape.defects.gain.pictures import Pictures
from noescape.defects.gain.segmenter import Segmenter, Taught
from noescape.defects.gain.split import Split, split_by_part
from noescape.defects.generators.exemplar.grain import measure_grain
from noescape.defects.generators.exemplar.logdomain import to_rgb
from noescape.defects.generators.exemplar.mix import COPY, MIX, Arms, draw_many
from noescape.records import GOOD_TYPE

Recipe = Arms | None  # None: the real pictures alone, without jitter
Row = dict[str, Any]

# Every arm teaches with the same real pictures, the same number of made ones, the same jitter, the same steps.
PLAIN, REAL, OURS = "real only (no jitter)", "real only", "+ ours"
COMPARED: dict[str, Recipe] = {
    PLAIN: None,
    REAL: (COPY,),
    "+ classical": ("classical",),
    "+ CutPaste": ("cutpaste",),
    "+ Perlin": ("perlin",),
    OURS: MIX,
}


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """How the comparison is run. `shots` is per type, in pictures or, with `whole_parts`, in parts."""

    shots: Mapping[str, int]
    whole_parts: bool = False
    clean: int = 60
    test_clean: int = 170
    made: int = 150
    steps: int = 450


class Comparison:
    """One data set and one protocol. A training and its test cost about 11 CPU-s at 450 steps; 150 pictures 5."""

    def __init__(self, pictures: Pictures, protocol: Protocol) -> None:
        self._pictures, self._protocol = pictures, protocol
        self._split: tuple[int, Split] | None = None

    def split(self, number: int) -> Split:
        """The split with this number."""
        if self._split is None or self._split[0] != number:
            p = self._protocol
            split = split_by_part(
                self._pictures.kinds, self._pictures.groups, good=GOOD_TYPE, shots=p.shots, whole_parts=p.whole_parts,
                clean=p.clean, test_clean=p.test_clean, seed=number,
            )  # fmt: skip
            self._split = number, split
        return self._split[1]

    def rows(self, number: int, arm: str, recipe: Recipe, training_seeds: Sequence[int]) -> Iterator[Row]:
        """One row per training seed: `arm`, `split`, `training_seed`, and the figures."""
        split, take = self.split(number), self._pictures.taught
        clean = take(split.clean)
        segmenter = Segmenter(clean)
        clean, test = segmenter.normed(clean), segmenter.normed(take(split.test))
        real = [segmenter.normed(take(indices)) for indices in split.shots.values()]
        made = None if recipe is None else segmenter.normed(self._made(number, recipe))
        kinds = [self._pictures.kinds[i] for i in split.test]
        for seed in training_seeds:
            segmenter.train(clean, real, made, steps=self._protocol.steps, seed=1000 * number + seed)
            row = figures(segmenter.score(test), test.truth.numpy() > 0, kinds, GOOD_TYPE)
            yield {"arm": arm, "split": number, "training_seed": seed, **row}

    def _made(self, number: int, recipe: Arms) -> Taught:
        split, pictures = self.split(number), self._pictures
        types = {kind: [pictures.exemplar(i) for i in indices] for kind, indices in split.shots.items()}
        clean = [pictures.surface(i) for i in split.clean]
        drawn = [
            d
            for _, _, d in draw_many(recipe, types, clean, measure_grain(clean), count=self._protocol.made, seed=number)
        ]
        return pictures.extractor([to_rgb(d.log) for d in drawn], [d.mask for d in drawn])


def compare(
    comparison: Comparison,
    splits: Sequence[int],
    training_seeds: Sequence[int],
    *,
    arms: Mapping[str, Recipe] = COMPARED,
    on_row: Callable[[Row], None] = lambda row: None,
) -> list[Row]:
    """All rows, split by split, arm by arm."""
    out: list[Row] = []
    for number in splits:
        for arm, recipe in arms.items():
            for row in comparison.rows(number, arm, recipe, training_seeds):
                out.append(row)
                on_row(row)
    return out
