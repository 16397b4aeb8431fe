"""Checkpoints are whole or refused, the best step is picked as the originals do, and recipes are read strictly."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save as to_safetensors

from generator_maker import metal_set, tree_bytes, write
from noescape.datasets.anomalygen import read_anomalygen
from noescape.defects.generators.base import GENERATORS, generator_class
from noescape.defects.generators.checkpoints import (
    MODEL,
    open_checkpoint,
    open_step,
    pick_step,
    save_step,
    step_name,
    steps,
    write_kpi,
)
from noescape.defects.generators.exemplar.bank import read_bank
from noescape.defects.generators.exemplar.generator import ExemplarGenerator
from noescape.defects.generators.recipe import ExemplarOptions, Recipe, checked_recipe, read_recipe
from noescape.records import BundleError, DataError, UsageError


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return metal_set(tmp_path_factory.mktemp("raw"))


def fit(raw: Path, out: Path, recipe: Recipe | None = None) -> Path:
    return ExemplarGenerator.finetune(read_anomalygen(raw), recipe or Recipe(), out, lambda done, total: None)


def test_same_data_and_recipe_give_the_same_bytes_and_are_read_back(raw: Path, tmp_path: Path) -> None:
    step = fit(raw, tmp_path / "a")
    fit(raw, tmp_path / "b")
    fit(raw, tmp_path / "b")  # again: nothing changes
    assert tree_bytes(tmp_path / "a") == tree_bytes(tmp_path / "b") and step.name == step_name(15000)
    bank = read_bank(step)
    assert list(bank.types) == ["metal+dark spot", "metal+scratch"]
    kind = bank.types["metal+dark spot"]
    assert kind.traits.small and len(kind.pieces) == 3 and abs(sum(kind.arms.values()) - 1) < 1e-5
    assert bank.surfaces["metal"].grain.axis == "y" and bank.surfaces["metal"].statistics["images"] == 3
    inside = kind.pieces[0].residual[kind.pieces[0].mask > 0].astype(np.float32)
    assert inside.mean() < -0.3  # a dark spot takes light away


def test_the_recipe_chooses_types_arms_and_the_number_of_the_step(raw: Path, tmp_path: Path) -> None:
    recipe = checked_recipe(
        {"trainer": {"max_iter": 10000}, "dataloader_train": {"dataset": {"anomaly_types": [["metal", "scratch"]]}},
         "exemplar": {"arms": {"*": {"transplant": 3, "perlin": 1}}}}
    )  # fmt: skip
    step = fit(raw, tmp_path, recipe)
    assert step.name == "iter_000010000" and open_step(step).meta["anomaly_types"] == ["metal+scratch"]
    assert dict(read_bank(step).types["metal+scratch"].arms) == {"transplant": 0.75, "perlin": 0.25}
    assert (tmp_path / "checkpoints" / "latest_checkpoint.txt").read_text() == "iter_000010000\n"
    with pytest.raises(UsageError, match=r"metal\+rust; the data set has metal\+dark spot"):
        fit(raw, tmp_path / "no", checked_recipe({"anomaly_types": [["metal", "rust"]]}))
    with pytest.raises(UsageError, match=r"expected weights of transplant.*got \{'poisson': 1"):
        fit(raw, tmp_path / "no", Recipe(exemplar=ExemplarOptions(arms={"*": {"poisson": 1}})))
    assert not (tmp_path / "no").exists()


def test_another_checkpoint_is_never_replaced(raw: Path, tmp_path: Path) -> None:
    fit(raw, tmp_path)
    with pytest.raises(DataError, match="another checkpoint is there"):
        fit(raw, tmp_path, Recipe(exemplar=ExemplarOptions(jitter=True)))
    assert not read_bank(tmp_path / MODEL / step_name(15000)).options["jitter"]


def test_what_is_altered_gone_or_of_another_version_is_refused(raw: Path, tmp_path: Path) -> None:
    step = fit(raw, tmp_path)
    mark, tensors = step / "checkpoint.json", step / "bank.safetensors"
    data, head = tensors.read_bytes(), mark.read_text()
    tensors.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(BundleError, match="was altered"):
        open_checkpoint(tmp_path)
    tensors.unlink()
    with pytest.raises(BundleError, match=r"'bank.safetensors' is missing"):
        open_checkpoint(tmp_path)
    tensors.write_bytes(data)
    mark.write_text(json.dumps(json.loads(head) | {"version": 2}))
    with pytest.raises(BundleError, match="version 2, this noescape reads 1"):
        open_checkpoint(tmp_path)
    mark.write_text("{")
    with pytest.raises(BundleError, match="cannot be read as JSON"):
        open_checkpoint(tmp_path)
    mark.write_text(json.dumps(json.loads(head) | {"files": {"../../secret": "0"}}))
    with pytest.raises(BundleError, match="is missing"):
        open_checkpoint(tmp_path)
    with pytest.raises(BundleError, match="no such checkpoint folder"):
        open_checkpoint(tmp_path / "nowhere")


def test_a_bank_that_does_not_fit_together_is_one_clear_error(raw: Path, tmp_path: Path) -> None:
    """Also when its digests are right: a program of somebody else may have written it."""
    step = fit(raw, tmp_path / "a")
    table = (step / "bank.json").read_bytes()
    files = {"bank.json": table, "bank.safetensors": to_safetensors({"type0.0.rgb": np.zeros((2, 2, 3), np.uint8)})}
    other = save_step(tmp_path / "b", 1, "exemplar", files)
    with pytest.raises(BundleError, match="does not fit together"):
        ExemplarGenerator.load(other)
    with pytest.raises(BundleError, match="of the diffusion generator, not of exemplar"):
        ExemplarGenerator.load(save_step(tmp_path / "c", 1, "diffusion", files))


def test_examples_that_cannot_be_used_are_all_named(tmp_path: Path) -> None:
    raw = metal_set(tmp_path / "raw")
    dataset = read_anomalygen(raw)
    for k in range(2):
        write(raw / "metal" / "mask" / "scratch" / f"{k}_mask.png", np.zeros((96, 128), np.uint8))
    with pytest.raises(DataError, match=r"(?s)nothing was learnt.*0_mask\.png.*1_mask\.png"):
        ExemplarGenerator.finetune(dataset, Recipe(), tmp_path / "out", lambda done, total: None)
    assert not (tmp_path / "out").exists()


def save(folder: Path, *numbers: int) -> None:
    for number in numbers:
        save_step(folder, number, "exemplar", {"a.txt": b"%d" % number})


def test_the_best_step_is_the_one_with_the_highest_nn_score_that_was_saved(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no saved step"):
        pick_step(tmp_path)
    assert pick_step(tmp_path, fallback=14000) == 14000
    save(tmp_path, 0, 2000, 4000)
    assert pick_step(tmp_path) == 4000  # no figures: the latest
    for number, value in ((0, 0.99), (2000, 0.5), (4000, 0.4), (6000, 0.9)):
        write_kpi(tmp_path, number, ["a", "b"], {"mnn_score": {"a": 1 - value}, "nn_score": {"a": value, "b": value}})
    assert pick_step(tmp_path) == 2000  # step 0 is ignored, step 6000 was never saved
    assert open_checkpoint(tmp_path).number == 2000 and open_checkpoint(tmp_path, 4000).number == 4000
    with pytest.raises(BundleError, match="no step 6000; there are 0, 2000, 4000"):
        open_checkpoint(tmp_path, 6000)
    (tmp_path / "valid" / "2000" / "valid_kpi.csv").write_text("kpi,a,Average\nnn_score,x,nan\n")
    assert pick_step(tmp_path) == 4000  # figures that are none do not count


def test_steps_of_the_originals_are_seen_too(tmp_path: Path) -> None:
    (tmp_path / MODEL).mkdir(parents=True)
    for name in ("iter_000002000.pt", "iter_000010000.pt", "iter_12.pt", "notes.txt"):
        (tmp_path / MODEL / name).write_bytes(b"")
    assert steps(tmp_path) == [2000, 10000] and pick_step(tmp_path) == 10000
    with pytest.raises(BundleError, match="expected a saved step"):
        open_checkpoint(tmp_path)


NESTED = """
job: {project: anomaly_gen, group: UC2, name: run}
optimizer: {lr: 0.02}
checkpoint: {save_iter: 2000}
trainer: {max_iter: 75000, validation_iter: 2000, run_validation: True, early_stop: {enabled: true, metric: nn}}
dataloader_train:
  batch_size: 2
  dataset:
    dataset_dir: datasets/metal
    image_size: [512, 512]
    anomaly_types: [[metal_surface, MT_Blowhole], [metal_surface, MT_Break]]
    aug_type: random_ratio_crop
    ratio_range: [1.5, 8.0]
dataloader_val: {batch_size: 32, dataset: {input_data_path: val/testcase.jsonl}}
model: {config: {ag_config: {ad_precision: float32, mask_encoder: {encoder_config: {init_cfg: {checkpoint: a.ckpt}}}}}}
"""
FLAT = """
task_type: texture_ft
job_name: run
anomaly_types: [[metal_surface, MT_Blowhole], [metal_surface, MT_Break]]
dataset_path: datasets/metal
testcase_jsonl: val/testcase.jsonl
per_class_lora_rank: 8
max_iter: 75000
validation_iter: 2000
save_iter: 2000
lr: 0.02
batch_size: 2
early_stop_enabled: true
"""


def test_both_forms_of_a_recipe_say_the_same(tmp_path: Path) -> None:
    read = []
    for name, text in (("nested", NESTED), ("flat", FLAT)):
        (tmp_path / f"{name}.yaml").write_text(text)
        read.append(read_recipe(tmp_path / f"{name}.yaml"))
    for recipe in read:
        assert recipe.anomaly_types == ("metal_surface+MT_Blowhole", "metal_surface+MT_Break")
        assert (recipe.trainer.max_iter, recipe.checkpoint.save_iter, recipe.optimizer.lr) == (75000, 2000, 0.02)
        assert recipe.trainer.early_stop.enabled and recipe.dataloader_train.batch_size == 2
        assert recipe.dataloader_val.dataset.input_data_path == "val/testcase.jsonl"
    assert read[1].diffusion == {"lora_rank": 8}


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"trainer": {"max_itre": 5}}, r"unknown key trainer\.max_itre; did you mean max_iter\?"),
        ({"max_itr": 5}, r"unknown key max_itr; did you mean max_iter\?"),
        ({"exemplar": {"jiter": True}}, r"exemplar\.jiter; did you mean jitter\?"),
        ({"zzzzz": 1}, r"unknown key zzzzz; known: job, "),
        ({"trainer": {"max_iter": 0}}, r"trainer\.max_iter: .*got 0"),
        ({"trainer": 5}, r"trainer: .*got 5"),
        ({"max_iter": 5, "trainer": {"max_iter": 6}}, "say different things"),
        ({"anomaly_types": ["metal"]}, r"anomaly_types"),
        ({"max_iter": 10**9}, r"trainer\.max_iter: .*got 1000000000"),
        ({"exemplar": {"strength": [1.3, 0.7]}}, "the smaller number first"),
    ],
)
def test_wrong_recipes_name_key_and_remedy(data: dict[str, object], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        checked_recipe(data)


def test_unknown_and_absent_generators_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="expected one of exemplar, diffusion"):
        generator_class("gan")
    monkeypatch.setitem(GENERATORS, "diffusion", ("noescape.defects.generators.nowhere", "None", "diffusion"))
    with pytest.raises(UsageError, match=r"install noescape\[diffusion\]"):
        generator_class("diffusion")
