"""The comparison is fair: no part on both sides, nothing but the made pictures differs, and what helps is seen."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import noescape.defects.gain.compare as compared
from gain_maker import plates, samples
from noescape.defects.gain.compare import COMPARED, OURS, PLAIN, REAL, Comparison, Protocol
from noescape.defects.gain.pictures import Pictures, usable
from noescape.defects.gain.segmenter import GRID, SIDE, Extractor, on_grid
from noescape.defects.gain.split import shots_by_type, split_by_part
from noescape.defects.generators.exemplar.arms import Drawn
from noescape.records import GOOD_TYPE, DataError

SEEDS = range(25)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Pictures:
    """Six plates per type, read and looked at once."""
    root = plates(tmp_path_factory.mktemp("plates"))
    return Pictures(samples(root), Extractor())


def a_protocol(**other: Any) -> Protocol:
    return Protocol(**{"shots": {"band": 2, "dot": 2}, "clean": 5, "test_clean": 5, "made": 10, "steps": 15} | other)


@pytest.mark.parametrize("whole_parts", [False, True])
def test_no_part_is_on_both_sides(pictures: Pictures, whole_parts: bool) -> None:
    """Whatever the draw: no part teaches (as defect or as surface) and is tested."""
    for seed in SEEDS:
        split = split_by_part(
            pictures.kinds, pictures.groups, good=GOOD_TYPE, shots={"band": 2, "dot": 3}, whole_parts=whole_parts,
            clean=6, test_clean=6, seed=seed,
        )  # fmt: skip
        taught = {pictures.groups[i] for k in split.shots.values() for i in k} | {
            pictures.groups[i] for i in split.clean
        }
        assert not taught & {pictures.groups[i] for i in split.test}
        for kind, wanted in (("band", 2), ("dot", 3)):
            shown = split.shots[kind]
            assert split.parts[kind] == wanted if whole_parts else split.parts[kind] >= 2
            assert len(shown) == (2 * wanted if whole_parts else wanted)
            assert {pictures.kinds[i] for i in shown} == {kind}
            assert len({pictures.groups[i] for i in split.test if pictures.kinds[i] == kind}) >= 2


def test_a_type_on_too_few_parts_is_left_out_and_said_so() -> None:
    """Four parts are needed; half of them teach, at most as many as asked for; what is left out is not tested."""
    kinds = ["a"] * 9 + ["b"] * 6 + ["c"] * 4 + [GOOD_TYPE] * 8
    groups = [*"012345678", *"abcabc", *"wxyz", *(f"g{i}" for i in range(8))]
    shots, left_out = shots_by_type(kinds, groups, good=GOOD_TYPE, most=3, whole_parts=True)
    assert shots == {"a": 3, "c": 2} and left_out == {"b": 3}
    split = split_by_part(
        kinds, groups, good=GOOD_TYPE, shots=shots, whole_parts=True, clean=4, test_clean=4, seed=0
    )  # fmt: skip
    assert "b" not in {kinds[i] for i in split.test}


def test_an_impossible_split_is_refused_in_words() -> None:
    with pytest.raises(DataError, match="at least 2 parts to test on"):
        split_by_part(
            ["a"] * 3 + [GOOD_TYPE] * 4, list("0123456"), good=GOOD_TYPE, shots={"a": 2}, whole_parts=True, clean=2,
            test_clean=2, seed=0,
        )  # fmt: skip


def test_a_defect_that_marks_next_to_nothing_is_left_out(tmp_path: Path) -> None:
    root = plates(tmp_path, parts=4, shots=1, good=4)
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[3, 3] = 255
    cv2.imwrite(str(root / "ground_truth/dot/0_0_mask.png"), mask)
    cv2.imwrite(str(root / "test/dot/0_0.png"), np.full((SIDE, SIDE), 90, np.uint8))
    kept, left_out = usable(samples(root))
    assert left_out == ("test/dot/0_0.png",) and len(kept) == len(samples(root)) - 1


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    """What each training was given."""
    seen: list[dict[str, Any]] = []

    class Watched(compared.Segmenter):
        def train(self, clean: Any, real: Any, made: Any, *, steps: int, seed: int, real_share: float = 0.5) -> None:
            def bytes_of(*taught: Any) -> str:
                h = hashlib.sha256()
                for t in taught:
                    for f in (*t.features, t.truth):
                        h.update(f.numpy().tobytes())
                return h.hexdigest()

            made_count = None if made is None else len(made)
            seen.append({"clean": bytes_of(clean), "real": bytes_of(*real), "made": made_count, "steps": steps,
                         "seed": seed, "share": real_share})  # fmt: skip

        def score(self, pictures: Any) -> Any:
            rng = np.random.default_rng(len(seen))
            return rng.random((len(pictures), GRID, GRID), dtype=np.float32)

    monkeypatch.setattr(compared, "Segmenter", Watched)
    yield seen


def test_arms_differ_in_nothing_but_the_made_pictures(pictures: Pictures, watched: list[dict[str, Any]]) -> None:
    """Same good and real pictures to the byte, same count, same steps, same seed, same share in the batch."""
    comparison = Comparison(pictures, a_protocol(made=7))
    arms = [arm for arm in COMPARED if arm != PLAIN]
    for arm in arms:
        list(comparison.rows(3, arm, COMPARED[arm], [1]))
    assert len(watched) == len(arms) and {row["made"] for row in watched} == {7}
    assert all(row == watched[0] for row in watched)
    list(comparison.rows(3, PLAIN, COMPARED[PLAIN], [1]))
    assert watched[-1] == watched[0] | {"made": None}


def test_the_same_comparison_gives_the_same_rows(pictures: Pictures) -> None:
    """Made anew, in another order, and whatever was run before it."""
    first = list(Comparison(pictures, a_protocol()).rows(1, OURS, COMPARED[OURS], [0, 1]))
    other = Comparison(pictures, a_protocol())
    list(other.rows(0, REAL, COMPARED[REAL], [5]))
    assert list(other.rows(1, OURS, COMPARED[OURS], [1])) == first[1:]
    assert first[0] != first[1] | {"training_seed": 0}  # another seed is another training


def test_an_arm_that_paints_what_is_tested_wins(
    pictures: Pictures, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    """A cheat that teaches with the test's own pictures must be far ahead of one whose masks are wrong."""
    protocol = a_protocol(steps=60, made=16)
    comparison = Comparison(pictures, protocol)
    test = [i for i in comparison.split(0).test if pictures.kinds[i] != GOOD_TYPE]

    def painter(lie: bool) -> Any:
        def draw_many(arms: Any, types: Any, clean: Any, grain: Any, *, count: int, seed: int) -> Iterator[Any]:
            for number in range(count):
                i = test[number % len(test)]
                mask = pictures.masks[i]
                yield "", "", Drawn(log=pictures.surface(i), mask=np.roll(mask, (90, 120), (0, 1)) if lie else mask)

        return draw_many

    ap = {}
    for lie in (False, True):
        monkeypatch.setattr(compared, "draw_many", painter(lie))
        ap[lie] = next(comparison.rows(0, "planted", ("planted",), [0]))["pixel_ap"]
    assert ap[False] > ap[True] + 0.2


def test_a_tiny_defect_keeps_its_best_cells() -> None:
    """Else the smallest defects would be taught, and tested, as good surface."""
    mask = np.zeros((2, SIDE, SIDE), np.bool_)
    mask[0, 9:10, 17:18] = True
    cells = on_grid(list(mask))
    assert cells[0].sum() == 1 and bool(cells[0, 2, 4]) and cells[1].sum() == 0
