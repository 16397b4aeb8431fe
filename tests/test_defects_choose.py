"""Choosing an arm on one's own pictures: the winner where n can carry it, the mix and honest words where it cannot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gain_maker import plates, samples
from noescape.cli.main import main
from noescape.defects.gain import choose as choosing
from noescape.defects.gain.choose import ARMS, ChooseOptions, choose, plan, read_samples
from noescape.defects.gain.compare import OURS, REAL, Row
from noescape.defects.gain.report import FIGURES, GATES, judged, markdown, paired, summary
from noescape.defects.generators.choice import with_choice
from noescape.defects.generators.recipe import Recipe, checked_recipe
from noescape.records import DataError, UsageError


def rows(levels: dict[str, float], *, splits: int = 4, seeds: int = 2, noise: float = 0.01) -> list[Row]:
    """Rows whose figures are the arm's level, plus what the split does to all arms alike, plus noise."""
    rng = np.random.default_rng(7)
    shift = rng.normal(0, 0.1, splits)
    return [
        {"arm": arm, "split": k, "training_seed": s, "ap_dot": 0.5, "recall_dot": 0.5}
        | {f: level + shift[k] + noise * rng.standard_normal() for f in FIGURES}
        for arm, level in levels.items()
        for k in range(splits)
        for s in range(seeds)
    ]


def test_differences_are_paired() -> None:
    """What a split does to all arms alike is no part of a difference: its sd is that of the noise."""
    found = rows({OURS: 0.6, REAL: 0.5}, splits=6, noise=0.001)
    assert summary(found)[OURS]["pixel_ap"][1] > 0.03
    d = paired(found, OURS, REAL)["pixel_ap"]
    assert d.mean == pytest.approx(0.1, abs=0.003) and d.sd < 0.005 and (d.wins, d.n) == (12, 12)
    assert (d.split_wins, d.splits) == (6, 6)
    with pytest.raises(ValueError, match="no training in common"):
        paired(found, OURS, "another")


def test_gates_are_met_at_their_margin_and_not_below() -> None:
    """On the mean, and written as MET or NOT MET."""
    levels = {OURS: 0.6, REAL: 0.551, "+ classical": 0.565, "+ CutPaste": 0.605}
    verdicts = {(g.figure, g.other): met for g, _, met in judged(rows(levels, noise=0.0), OURS)}
    assert verdicts == {
        ("pixel_ap", REAL): False, ("pixel_ap", "+ classical"): True, ("pixel_ap", "+ CutPaste"): False,
        ("image_auroc", REAL): True, ("image_auroc", "+ classical"): True, ("image_auroc", "+ CutPaste"): True,
    }  # fmt: skip
    text = markdown(rows(levels, noise=0.0), OURS)
    assert text.count("| MET |") == 4 and text.count("| NOT MET |") == 2 and len(GATES) == 6


def test_the_clear_winner_is_taken() -> None:
    choice = choose(rows({REAL: 0.4, "+ CutPaste": 0.6, OURS: 0.5}), "pixel_ap", grouped=True)
    assert choice["chosen"] == "+ CutPaste" and choice["sure"] and choice["arms"] == {"*": {"cutpaste": 1.0}}
    assert choice["differences"][OURS]["pixel_ap"]["n"] == 4


@pytest.mark.parametrize(
    "found",
    [
        pytest.param(rows({REAL: 0.4, "+ CutPaste": 0.502, OURS: 0.5}, noise=0.05), id="lost in noise"),
        pytest.param(rows({REAL: 0.4, "+ CutPaste": 0.6, OURS: 0.5}, splits=2), id="two splits"),
    ],
)
def test_a_lead_that_n_cannot_carry_changes_nothing(found: list[Row]) -> None:
    """The mix is kept, and the words say why."""
    choice = choose(found, "pixel_ap", grouped=True)
    assert choice["chosen"] == OURS and choice["arms"] == {} and not choice["sure"]
    assert any("too little" in line for line in choice["words"]) or choice["best"] == OURS


def test_that_nothing_helps_is_said() -> None:
    choice = choose(rows({REAL: 0.6, "+ CutPaste": 0.5, OURS: 0.5}), "pixel_ap", grouped=True)
    assert choice["chosen"] == REAL and choice["arms"] == {} and "Nothing made helps" in " ".join(choice["words"])


def test_unknown_parts_are_warned_of() -> None:
    choice = choose(rows({REAL: 0.4, OURS: 0.5}), "pixel_ap", grouped=False)
    assert "groups.json" in " ".join(choice["words"])


def test_a_choice_goes_into_a_recipe(tmp_path: Path) -> None:
    """An empty choice means the default mix; two answers, or a file that is no choice, are refused."""
    path = tmp_path / "choice.json"
    path.write_text(json.dumps({"arms": {"*": {"cutpaste": 1.0}}}), "utf-8")
    assert with_choice(Recipe(), path).exemplar.arms == {"*": {"cutpaste": 1.0}}
    other = checked_recipe({"exemplar": {"arms": {"*": {"perlin": 1.0}}, "strength": [0.5, 2.0]}})
    with pytest.raises(UsageError, match="leave one out"):
        with_choice(other, path)
    for text in ("{}", '{"arms": {"*": {"cutpaste": -1}}}'):
        path.write_text(text, "utf-8")
        with pytest.raises(UsageError):
            with_choice(Recipe(), path)


def test_every_choice_names_arms_that_finetune_knows() -> None:
    for drawn in choosing.DRAWN_WITH.values():
        checked_recipe({"exemplar": {"arms": {"*": drawn} if drawn else {}}})
        assert set(drawn) <= {"transplant", "cutpaste", "perlin", "missing"}
    assert set(choosing.DRAWN_WITH) <= set(ARMS)


def test_too_little_data_is_refused_before_any_work(tmp_path: Path) -> None:
    root = plates(tmp_path / "few", parts=3, shots=2, good=6)
    with pytest.raises(DataError, match="at least 4 parts"):
        plan(samples(root), ChooseOptions(), tmp_path / "rows")
    root = plates(tmp_path / "bare", parts=4, shots=1, good=3)
    with pytest.raises(DataError, match="at least 4 good pictures"):
        plan(samples(root), ChooseOptions(), tmp_path / "rows")
    with pytest.raises(UsageError, match="--figure"):
        ChooseOptions(figure="accuracy")
    with pytest.raises(UsageError, match="--splits"):
        ChooseOptions(splits=0)


def test_groups_from_a_file_replace_those_of_the_folder(tmp_path: Path) -> None:
    root = plates(tmp_path / "data", parts=4, shots=1, good=4)
    path = tmp_path / "groups.json"
    path.write_text(json.dumps({s.key: "one" for s in samples(root)}), "utf-8")
    assert {s.group for s in read_samples(root, None, path)} == {"one"}
    path.write_text("{}", "utf-8")
    with pytest.raises(DataError, match="first train/good/0"):
        read_samples(root, None, path)


@pytest.fixture
def two_arms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choosing, "ARMS", {arm: ARMS[arm] for arm in (REAL, OURS)})


@pytest.mark.usefixtures("two_arms")
def test_a_stopped_comparison_goes_on_and_ends_with_the_same_bytes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rows that are there are not measured again; one that is lost is measured to the same row."""
    root, out = plates(tmp_path / "data", parts=4, shots=1, good=6), tmp_path / "out"
    small = ["--splits", "1", "--steps", "10", "--made", "4"]
    command: list[Any] = ["defects", "choose", str(root), "--output-dir", str(out), *small]
    assert main([*command, "--dry-run"]) == 0
    assert "2 trainings" in capsys.readouterr().err and not out.exists()
    assert main(command) == 0
    assert "choice.json" in capsys.readouterr().out
    first = {p.relative_to(out): p.read_bytes() for p in out.rglob("*") if p.is_file()}
    lost = sorted((out / "rows").iterdir())
    assert len(lost) == 2
    lost[0].unlink()
    (out / "choice.json").unlink()
    assert main([*command, "--json"]) == 0
    said = capsys.readouterr()
    assert "1 trainings" in said.err and json.loads(said.out)["n"] == {"splits": 1, "training_seeds": 1}
    assert {p.relative_to(out): p.read_bytes() for p in out.rglob("*") if p.is_file()} == first
