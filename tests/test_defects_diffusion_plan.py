"""What the diffusion tier decides without its libraries: recipes, turns, shares of the work, what is missing."""

from __future__ import annotations

import importlib.util
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import defects_maker
import diffusion_maker
from noescape.datasets.anomalygen import read_anomalygen
from noescape.defects.generators.base import generator_class
from noescape.defects.generators.diffusion import needs, schedule
from noescape.defects.generators.diffusion.examples import Cropping, TypeExamples, batch_of, read_examples
from noescape.defects.generators.diffusion.options import diffusion_options
from noescape.defects.generators.diffusion.shards import merge, shard_of
from noescape.defects.generators.diffusion.world import World, joined, world_of
from noescape.defects.generators.plan import plan
from noescape.defects.generators.recipe import EarlyStop, Recipe, checked_recipe, read_recipe
from noescape.defects.generators.run import generate
from noescape.records import DataError, UsageError


def recipe_of(**changes: Any) -> Recipe:
    return checked_recipe({"lr": 1e-3, "diffusion": {"model": "m"}, **changes})


def test_a_missing_extra_explains_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """The line to type is in the message, and nothing was imported."""
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name in needs.MODULES else real(name, *a))
    with pytest.raises(UsageError, match=r"pip install 'noescape\[diffusion\]'"):
        needs.require_extra()


RECIPES = [
    ({"diffusion": {}}, "diffusion.model: expected the folder or hub id"),
    ({"diffusion": {"model": "m", "lora_rnk": 4}}, "unknown key diffusion.lora_rnk; did you mean lora_rank"),
    ({"diffusion": {"model": "m", "tokens": -1}}, "diffusion.tokens"),
    ({"lr": 0.02}, "optimizer.lr 0.02 is meant for embeddings"),
    ({"image_size": [512, 500]}, "image_size: expected a square"),
    ({"ratio_range": [8.0, 1.5]}, "ratio_range: expected 1 <= low <= high"),
]


@pytest.mark.parametrize(("changes", "said"), RECIPES)
def test_recipes_that_cannot_work_are_refused_before_work_starts(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        diffusion_options(recipe_of(**changes))
    assert said in str(caught.value)


def test_the_flat_form_of_the_originals_is_understood() -> None:
    options = diffusion_options(
        recipe_of(lr=0.02, per_class_lora_rank=8, per_class_lora_alpha=16, diffusion={"model": "m", "lr": 1e-4})
    )
    assert (options.lora_rank, options.alpha, options.lr) == (8, 16, 1e-4)
    assert diffusion_options(recipe_of()).alpha == 8


def test_prompts_read_like_words() -> None:
    options = diffusion_options(recipe_of(diffusion={"model": "m", "prompts": {"Phone+oil": "an oily phone"}}))
    assert options.words("metal_surface+MT_Crack") == "a close-up photo of metal surface with MT Crack"
    assert options.words("Phone+oil") == "an oily phone"


def test_types_take_turns() -> None:
    turns = [schedule.turn_of(step, 3) for step in range(1, 10)]
    assert [t.kind for t in turns] == [0, 1, 2] * 3 and [t.turn for t in turns] == [0] * 3 + [1] * 3 + [2] * 3


def test_the_learning_rate_rises_then_falls() -> None:
    recipe = recipe_of(warm_up_steps=10, cycle_lengths=90)
    rates = [schedule.lr_at(recipe, 1.0, step) for step in range(1, 121)]
    assert (
        rates[0] == 0.1 and rates[9] == 1.0 and rates[54] == pytest.approx(0.505) and rates[119] == pytest.approx(0.01)
    )
    assert all(np.diff(rates[:10]) > 0) and all(np.diff(rates[10:]) <= 0)
    assert {schedule.lr_at(recipe_of(), 0.3, step) for step in (1, 10**6)} == {0.3}


def test_every_saved_step_is_validated_and_the_last_one_saved() -> None:
    recipe = recipe_of(save_iter=4, validation_iter=3)
    saved = [s for s in range(1, 11) if schedule.saves_at(recipe, s, 10)]
    judged = [s for s in range(1, 11) if schedule.validates_at(recipe, s, 10)]
    assert saved == [4, 8, 10] and judged == [3, 4, 6, 8, 9, 10]


def test_training_stops_when_patience_brought_nothing() -> None:
    rule = EarlyStop(enabled=True, patience=2, min_delta=0.1)
    assert not schedule.has_stalled({1: 0.5, 2: 0.5}, rule)
    assert schedule.has_stalled({1: 0.5, 2: 0.54, 3: 0.549}, rule)
    assert not schedule.has_stalled({1: 0.5, 2: 0.4, 3: 0.56}, rule)
    assert not schedule.has_stalled({1: 0.5, 2: 0.1, 3: 0.1}, EarlyStop())


@pytest.mark.parametrize("count", range(1, 41))
def test_what_is_held_out_is_not_learnt_and_small_sets_keep_all(count: int) -> None:
    train, valid = schedule.held_out(count, 0.2)
    assert sorted(train + valid) == list(range(count)) and not set(train) & set(valid)
    assert len(valid) == (count // 5 if count >= 5 else 0)


def levels(count: int) -> TypeExamples:
    """Examples that are told apart by their grey level."""
    mask = np.zeros((64, 64), np.uint8)
    mask[20:40, 20:40] = 255
    pairs = tuple((np.full((64, 64, 3), 20 * n, np.uint8), mask) for n in range(count))
    return TypeExamples(key="a+b", pairs=pairs, train=tuple(range(count)), valid=())


def test_every_example_is_seen_once_an_epoch_by_all_processes_together() -> None:
    crop = Cropping(size=32, ratio_range=(1.5, 2.0), turn_share=0.5, seed=3)
    orders = []
    for epoch in range(3):
        seen: list[int] = []
        for rank in range(2):
            for turn in (3 * epoch, 3 * epoch + 1, 3 * epoch + 2):  # six examples, two processes, one at a time
                views = batch_of(levels(6), crop, turn, 1, World(rank=rank, size=2), 0)
                seen.append(round((float(views.image.mean()) + 1) * 127.5 / 20))
        assert sorted(seen) == list(range(6))
        orders.append(tuple(seen))
    assert len(set(orders)) == 3


def test_a_batch_is_a_function_of_its_arguments_alone(tmp_path: Path) -> None:
    data = read_anomalygen(defects_maker.make_surface_set(tmp_path / "raw", examples=5))
    examples = read_examples(data.types[0], 0.2)
    crop = Cropping(size=32, ratio_range=(1.5, 4.0), turn_share=0.5, seed=3)
    first, again = (batch_of(examples, crop, 7, 4, World(), 0) for _ in range(2))
    assert (first.image == again.image).all() and (first.mask == again.mask).all()
    assert tuple(first.image.shape) == (4, 3, 32, 32) and float(first.image.abs().max()) <= 1
    assert (first.mask.sum((1, 2, 3)) > 0).all()
    for other in (
        batch_of(examples, crop, 8, 4, World(), 0),
        batch_of(examples, crop, 7, 4, World(rank=1, size=2), 0),
        batch_of(examples, crop, 7, 4, World(), 1),
        batch_of(examples, replace(crop, seed=4), 7, 4, World(), 0),
    ):
        assert (other.image != first.image).any()


def test_shares_are_a_partition() -> None:
    for size in range(1, 6):
        shares = [World(rank=r, size=size).share(range(11)) for r in range(size)]
        assert sorted(n for share in shares for n in share) == list(range(11))
        assert shares[-1] == list(range(size - 1, 11, size))


def test_what_torchrun_says_is_read_and_half_of_it_refused() -> None:
    assert world_of({}) == World() and world_of({}).leads
    assert world_of({"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1"}) == World(rank=3, size=4, local=1)
    for bad in ({"RANK": "0"}, {"RANK": "x", "WORLD_SIZE": "2"}, {"RANK": "2", "WORLD_SIZE": "2"}):
        with pytest.raises(UsageError, match="RANK"):
            world_of(bad)
    with joined(World()) as world:
        world.wait()
        assert world.leads


def _tree(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.mark.parametrize("size", [2, 3])
def test_merged_shards_are_the_generation_of_one_process_to_the_byte(
    size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the exemplar generator: sharding knows nothing of models. One row fails, and is in its place too."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1750000000")
    data = diffusion_maker.spotted_set(tmp_path / "data")
    rows = diffusion_maker.cases(tmp_path / "cases" / "testcase.jsonl", data)
    (tmp_path / "cases" / "masks" / "2.png").unlink()
    ready = generator_class("exemplar").finetune(
        read_anomalygen(data), Recipe(), tmp_path / "model", lambda done, total: None
    )
    planned = plan(ready, rows)
    generate(planned, tmp_path / "one", seed=5, workers=1)
    out = tmp_path / "many"
    shards = [shard_of(out, World(rank=r, size=size)) for r in range(size)]
    for r, shard in enumerate(shards):
        part = replace(planned, asked=tuple(World(rank=r, size=size).share(planned.asked)))
        generate(part, shard, seed=5, workers=1)
    with pytest.raises(DataError, match="expected each of 7 once"):
        merge(planned, out, shards[1:])
    merge(planned, out, shards)
    for shard in shards:
        shutil.rmtree(shard)  # the links to its pictures stay
    whole = tmp_path / "one"
    assert (out / "provenance.jsonl").read_bytes() == (whole / "provenance.jsonl").read_bytes()
    pictures = {n: d for n, d in _tree(whole).items() if n.endswith(".png")}
    assert {n: d for n, d in _tree(out).items() if n.endswith(".png")} == pictures


def test_a_recipe_file_of_the_tiny_model_is_sound(tmp_path: Path) -> None:
    made = read_recipe(diffusion_maker.recipe(tmp_path / "r.yaml", tmp_path / "model"))
    assert diffusion_options(made).model == str(tmp_path / "model")
