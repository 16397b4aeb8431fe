"""Which arm draws: the mix that teaches most, what `choose` found, what a recipe says; and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from generator_maker import board_set, cases, metal_set
from noescape.cli.main import main
from noescape.defects.gain.choose import DRAWN_WITH
from noescape.defects.generators.checkpoints import open_checkpoint
from noescape.defects.generators.exemplar.bank import read_bank
from noescape.defects.generators.exemplar.draw import DRAWERS
from noescape.defects.generators.exemplar.fit import ARMS, arms_of, mix_into
from noescape.defects.generators.exemplar.mix import MIX
from noescape.defects.generators.recipe import checked_recipe


@pytest.mark.parametrize("size", MIX)
def test_the_mix_into_given_masks_is_the_measured_one_without_whole_pictures(size: str) -> None:
    """Every arm of the mix but `classical`, in its shares; nothing that the mix does not hold."""
    shares, drawn = mix_into(size), [arm for arm in MIX[size] if arm != "classical"]
    assert set(shares) == set(drawn) <= set(DRAWERS) and sum(shares.values()) == pytest.approx(1)
    assert all(shares[arm] == pytest.approx(drawn.count(arm) / len(drawn), abs=1e-6) for arm in shares)
    assert set(DRAWERS) | {"missing"} == set(ARMS)


def test_a_type_gets_the_mix_of_its_size(tmp_path: Path) -> None:
    fit = ["defects", "finetune", "--dataset-dir", str(metal_set(tmp_path / "raw")), "--no-validation"]
    assert main([*fit, "--output-dir", str(tmp_path / "ck")]) == 0
    for kind in read_bank(open_checkpoint(tmp_path / "ck").path).types.values():
        assert dict(kind.arms) == mix_into(kind.traits.size)


@pytest.mark.parametrize("chosen", [c for c, drawn in DRAWN_WITH.items() if drawn])
def test_what_choose_found_is_what_is_drawn_with(chosen: str, tmp_path: Path) -> None:
    """From choice.json through the checkpoint into every row of the provenance."""
    raw, arms = metal_set(tmp_path / "raw"), DRAWN_WITH[chosen]
    (tmp_path / "choice.json").write_text(json.dumps({"arms": {"*": arms}, "chosen": chosen}))
    fit = ["defects", "finetune", "--dataset-dir", str(raw), "--no-validation"]
    assert main([*fit, "--output-dir", str(tmp_path / "ck"), "--choice", str(tmp_path / "choice.json")]) == 0
    for kind in read_bank(open_checkpoint(tmp_path / "ck").path).types.values():
        assert dict(kind.arms) == arms
    jsonl = cases(raw, tmp_path, count=10)
    assert main(["defects", "generate", "--checkpoint-dir", str(tmp_path / "ck"), "--input-jsonl", str(jsonl),
                 "--output-dir", str(tmp_path / "out")]) == 0  # fmt: skip
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["arms"] == {next(iter(arms)): 10}
    (tmp_path / "ag_config.yaml").write_text(json.dumps({"exemplar": {"arms": {"*": arms}}}))
    assert main([*fit, "--output-dir", str(tmp_path / "ck2"), "--config", str(tmp_path / "ag_config.yaml")]) == 0
    assert open_checkpoint(tmp_path / "ck2").digest == open_checkpoint(tmp_path / "ck").digest


def test_a_missing_component_is_drawn_as_missing_unless_it_is_asked_for_by_name(tmp_path: Path) -> None:
    """What `choose` found for all types is no answer for one that no other arm can draw."""
    asked = checked_recipe({"exemplar": {"arms": {"*": {"cutpaste": 1}}}}).exemplar.arms
    known = {"board+missing", "board+spot"}
    assert arms_of("board+missing", asked, known) == {"missing": 1.0}
    assert arms_of("board+spot", asked, known) == {"cutpaste": 1.0}
    assert arms_of("board+missing", {"board+missing": {"perlin": 1}}, known) == {"perlin": 1.0}
    (tmp_path / "choice.json").write_text('{"arms": {"*": {"cutpaste": 1}}}')
    fit = ["defects", "finetune", "--dataset-dir", str(board_set(tmp_path / "raw")), "--no-validation"]
    assert main([*fit, "--output-dir", str(tmp_path / "ck"), "--choice", str(tmp_path / "choice.json")]) == 0
    assert dict(read_bank(open_checkpoint(tmp_path / "ck").path).types["board+missing"].arms) == {"missing": 1.0}
