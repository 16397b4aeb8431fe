"""The doors that generators go through when they are asked to: refine, filter, judge, and the table of a saved step."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest

from noescape.defects.generators.base import Generated
from noescape.defects.generators.checkpoints import pick_step, save_step
from noescape.defects.placement.testcase import TestCase
from noescape.defects.quality.features import Patches
from noescape.defects.quality.filter import SearchOptions, search
from noescape.defects.quality.judge import Example, Judge
from noescape.defects.quality.kpi import kpi_rows, per_sample, write_valid_kpi
from noescape.defects.quality.nearest import nearness
from noescape.defects.quality.refine import attempt_rng, refine, varied
from noescape.records import DataError, UsageError
from quality_maker import defect, plain_reader


class Draws:
    """Scores by attempt; None = this draw fails. Remembers what was drawn and scored."""

    def __init__(self, *scores: float | None) -> None:
        self.scores = scores
        self.drawn: list[int] = []
        self.scored: list[int] = []

    def draw(self, attempt: int) -> int:
        self.drawn.append(attempt)
        if self.scores[attempt] is None:
            raise DataError(f"draw {attempt}")
        return attempt

    def score(self, item: int) -> float:
        self.scored.append(item)
        value = self.scores[item]
        assert value is not None
        return value


def test_switched_off_nothing_is_scored_or_drawn_twice() -> None:
    d = Draws(0.1, 0.9)
    for found in (refine(d.draw, d.score, 0), search(d.draw, d.score, SearchOptions())):
        assert (found.item, found.score, found.source, found.passed) == (0, None, "original", True)
    assert d.drawn == [0, 0] and d.scored == []
    assert SearchOptions().off and not SearchOptions(rounds=1).off and not SearchOptions(threshold=0.4).off


@pytest.mark.parametrize(
    ("scores", "source"),
    [((0.5, 0.4, 0.3, 0.2), "original"), ((0.5, 0.6, 0.9, 0.2), "round_2"), ((0.5, 0.5, 0.5, 0.5), "original"),
     ((None, 0.1, None, 0.3), "round_3"), ((math.nan, 0.1, math.inf, 0.0), "round_1")],
)  # fmt: skip
def test_refining_keeps_the_best_and_the_earliest_of_equals(scores: tuple[float | None, ...], source: str) -> None:
    d = Draws(*scores)
    found = refine(d.draw, d.score, 3)
    assert found.source == source and d.drawn == [0, 1, 2, 3] and len(found.scores) == 4
    assert [v is None for v in found.scores] == [v is None for v in scores]


def test_where_every_draw_fails_the_first_failure_is_told() -> None:
    d = Draws(None, None, None)
    with pytest.raises(DataError, match="draw 0"):
        refine(d.draw, d.score, 2)
    with pytest.raises(DataError, match="draw 0"):
        search(d.draw, d.score, SearchOptions(threshold=0.4, tries=2))
    with pytest.raises(ValueError, match="rounds"):
        refine(d.draw, d.score, -1)
    with pytest.raises(UsageError, match="tries"):
        SearchOptions(tries=-1)


def test_the_filter_draws_again_up_to_its_tries_and_not_once_more() -> None:
    options = SearchOptions(threshold=0.4, tries=5)
    d = Draws(0.5, 0.9)
    good = search(d.draw, d.score, options)
    assert (good.source, good.passed, d.drawn) == ("original", True, [0])
    d = Draws(0.1, 0.3, 0.2, 0.4, 0.9, 0.9)
    third = search(d.draw, d.score, options)
    assert (third.source, third.score, third.passed, d.drawn) == ("regen_3", 0.4, True, [0, 1, 2, 3])
    d = Draws(0.1, 0.3, None, 0.2, 0.2, 0.2)
    never = search(d.draw, d.score, options)
    assert (never.source, never.item, never.passed, d.drawn) == ("regen_1", 1, False, [0, 1, 2, 3, 4, 5])
    assert never.scores == (0.1, 0.3, None, 0.2, 0.2, 0.2)


def test_refining_comes_before_the_filter_and_attempts_are_numbered_on() -> None:
    d = Draws(0.1, 0.2, 0.3, 0.2, 0.5)
    found = search(d.draw, d.score, SearchOptions(rounds=2, threshold=0.4, tries=5))
    assert (found.source, found.item, d.drawn) == ("regen_2", 4, [0, 1, 2, 3, 4])
    d = Draws(0.1, 0.6, 0.3)
    assert search(d.draw, d.score, SearchOptions(rounds=2, threshold=0.4)).source == "round_1" and d.drawn == [0, 1, 2]
    d = Draws(None, None, 0.5)
    assert search(d.draw, d.score, SearchOptions(rounds=1, threshold=0.4)).source == "regen_1"


def test_attempts_differ_from_each_other_and_the_first_is_the_plain_one() -> None:
    case = TestCase(image_filename="a", mask_filename="b", anomaly_type="T+x", seed=5)
    assert varied(case, 0) is case and varied(case, 1) == varied(case, 1) != varied(case, 2)
    for k in range(1, 30):
        other = varied(case, k)
        assert 1.5 <= other.guidance <= 10 and other.crop_ratio is not None and 1.5 <= other.crop_ratio <= 10
    assert varied(case.model_copy(update={"crop_ratio": None}), 1).crop_ratio is None
    first = np.random.default_rng((0, 5, 0)).random(3)
    assert np.array_equal(attempt_rng((0, 5, 0), 0).random(3), first)
    assert not np.array_equal(attempt_rng((0, 5, 0), 1).random(3), first)


def _made(seed: int, kind: str = "spot", faint: bool = False) -> Generated:
    image, mask, clean = defect(kind, seed)
    shown = clean if faint else image
    label = mask.astype(np.uint8) * 255
    return Generated(image=shown, mask=label, clean=clean, instances=(), provenance={"widening_px": 1})


def test_the_judge_prefers_what_is_there_and_looks_like_its_type() -> None:
    examples = [Example(kind="T+spot", rgb=i, mask=m) for i, m, _ in (defect("spot", s) for s in range(4))]
    for measure in ("nn", "completeness", "aq_nn"):
        judge = Judge(examples, plain_reader(), measure)
        assert judge(_made(9), "T+spot") > judge(_made(9, faint=True), "T+spot"), measure
    near = Judge(examples, plain_reader(), "nn")
    assert near(_made(9), "T+spot") > near(_made(9, "line"), "T+spot")
    both = Judge(examples, plain_reader())
    parts = Judge(examples, None, "completeness")(_made(9), "T+spot") + near(_made(9), "T+spot")
    assert both(_made(9), "T+spot") == pytest.approx(parts)
    blank = Generated(
        image=examples[0].rgb, mask=np.zeros((128, 128), np.uint8), clean=examples[0].rgb, instances=(), provenance={}
    )
    assert both(blank, "T+spot") == -math.inf
    with pytest.raises(UsageError, match=r"no example to score by; there are T\+spot"):
        both(_made(0), "T+line")
    with pytest.raises(UsageError, match="expected one of nn, completeness, aq_nn"):
        Judge(examples, None, "beauty")
    with pytest.raises(UsageError, match="needs a backbone"):
        Judge(examples, None, "nn")


def test_the_table_of_a_step_has_the_rows_that_pick_the_best_step(tmp_path: Path) -> None:
    """Written by us, read by the rule of the originals: the last column of the row nn_score decides."""
    reader = plain_reader()
    real = {k: [reader(*defect(k, s)[:2]) for s in range(4)] for k in ("spot", "line")}
    good = {k: [reader(*defect(k, s)[:2]) for s in range(20, 24)] for k in ("spot", "line")}
    swapped: dict[str, list[Patches]] = {"spot": good["line"], "line": good["spot"]}
    for step, made in ((100, swapped), (200, good), (300, swapped)):
        save_step(tmp_path, step, "exemplar", {"a.json": b"{}"})
        write_valid_kpi(tmp_path, step, ["spot", "line"], kpi_rows(real, made, "plain"))
    assert pick_step(tmp_path) == 200
    with (tmp_path / "valid/200/valid_kpi.csv").open(newline="") as f:
        rows = list(csv.reader(f))
    assert rows[0] == ["kpi", "spot", "line", "Average"]
    assert [r[0] for r in rows[1:]] == ["kid_plain", "mnn_score", "nn_score"]
    want = [
        np.mean([n.nn_score for p in good[k] if (n := nearness(p.unit, [r.unit for r in real[k]]))])
        for k in ("spot", "line")
    ]
    assert [float(v) for v in rows[3][1:]] == pytest.approx([*want, np.mean(want)], abs=1e-5)
    distance = [kpi_rows(real, made, "plain")["kid_plain"] for made in (good, swapped)]
    assert all(distance[0][k] < distance[1][k] for k in ("spot", "line"))
    alone = kpi_rows({"spot": real["spot"][:2]}, good, "plain")
    assert alone["kid_plain"] == {} and set(alone["nn_score"]) == {"spot"}
    assert per_sample("T+x", "a.png", None) == ("T+x", "a.png", "", "")
