"""The spec: keys and defaults of the public schema, all mistakes at once, and nothing that changes what others read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from noescape.changenet.spec import Spec
from noescape.changenet.spec_file import deft_spec, load_spec, parse_spec, spec_text
from noescape.files import parse_yaml
from noescape.records import UsageError

# (key, default of the schema, value of the loop's baseline)
TABLE = [
    ("task", "classify", "classify"),
    ("train.classify.loss", "contrastive", "ce"),
    ("train.classify.cls_weight", [1, 10], [1.0, 10.0]),
    ("train.optim.lr", 1e-4, 1e-5),
    ("train.optim.optim", "adamw", "adamw"),
    ("train.optim.policy", "linear", "linear"),
    ("train.optim.momentum", 0.9, 0.9),
    ("train.optim.weight_decay", 0.01, 0.01),
    ("train.optim.monitor", "val_loss", "val_loss"),
    ("train.num_epochs", 10, 10),
    ("train.checkpoint_interval", 1, 5),
    ("train.validation_interval", 1, 10),
    ("train.seed", 1234, 1234),
    ("model.backbone.type", "efficientnet_lite0", "c_radio_v2_vit_base_patch16_224"),
    ("model.backbone.freeze_backbone", False, False),
    ("model.classify.train_margin_euclid", 2.0, 2.0),
    ("model.classify.eval_margin", 2.0, 0.3),
    ("model.classify.embedding_vectors", 5, 5),
    ("model.classify.embed_dec", 5, 30),
    ("model.classify.difference_module", "euclidean", "learnable"),
    ("model.classify.learnable_difference_modules", 4, 4),
    ("model.decode_head.feature_strides", [4, 8, 16, 16], [4, 8, 16, 32]),
    ("model.decode_head.use_summary_token", False, True),
    ("model.decode_head.decoder_params.embed_dim", 256, 256),
    ("dataset.classify.batch_size", 8, 16),
    ("dataset.classify.workers", 8, 2),
    ("dataset.classify.fpratio_sampling", 0.1, 0.2),
    ("dataset.classify.num_input", 8, 1),
    ("dataset.classify.input_map", None, {"SolderLight": 0}),
    ("dataset.classify.concat_type", None, "linear"),
    ("dataset.classify.grid_map", None, {"x": 2, "y": 2}),
    ("dataset.classify.image_ext", None, ".jpg"),
    ("dataset.classify.image_width", 224, 224),
    ("dataset.classify.image_height", 224, 224),
    ("dataset.classify.num_classes", 2, 2),
    ("dataset.classify.num_golden", 1, 1),
    ("dataset.classify.augmentation_config.augment", False, True),
    ("dataset.classify.augmentation_config.random_flip.vflip_probability", 0.5, 0.5),
    ("dataset.classify.augmentation_config.random_rotate.angle_list", [90, 180, 270], [90, 180, 270]),
    ("dataset.classify.augmentation_config.random_color.hue", 0.3, 0.3),
]


def _at(spec: Spec, key: str) -> Any:
    value: Any = spec.model_dump(mode="json")
    for step in key.split("."):
        value = value[step]
    return value


@pytest.mark.parametrize(("key", "schema", "loop"), TABLE, ids=[row[0] for row in TABLE])
def test_defaults_are_those_of_the_schema_and_of_the_loop(key: str, schema: Any, loop: Any) -> None:
    assert _at(Spec(), key) == schema
    assert _at(deft_spec(), key) == loop


def test_every_mistake_is_named_at_once_with_the_nearest_key() -> None:
    value = {
        "trian": {},
        "train": {"num_epoch": 3, "optim": {"lr": -1, "optim": "adagrad"}},
        "dataset": {"classify": {"train_dataset": {"csv_pth": "a"}, "augmentation_config": {"random_flip": {"v": 1}}}},
        "noescape": {"trainer": "magic"},
    }
    with pytest.raises(UsageError) as caught:
        parse_spec(value, "x.yaml")
    text = str(caught.value)
    for wanted in (
        "x.yaml", "'trian', did you mean 'train'", "'train.num_epoch', did you mean 'train.num_epochs'",
        "train.optim.lr", "train.optim.optim", "'dataset.classify.train_dataset.csv_pth', did you mean",
        "'dataset.classify.augmentation_config.random_flip.v'", "noescape.trainer",
    ):  # fmt: skip
        assert wanted in text


@pytest.mark.parametrize(
    ("loss", "module", "fits"),
    [
        ("ce", "learnable", True), ("contrastive", "euclidean", True),
        ("ce", "euclidean", False), ("contrastive", "learnable", False),
    ],
)  # fmt: skip
def test_loss_and_difference_go_together(loss: str, module: str, fits: bool) -> None:
    value = {"train": {"classify": {"loss": loss}}, "model": {"classify": {"difference_module": module}}}
    if fits:
        assert parse_spec(value, "x").train.classify.loss == loss
        return
    with pytest.raises(UsageError, match=f"{loss} goes with .*, got {module}"):
        parse_spec(value, "x")


@pytest.mark.parametrize("given", ["off", "on", True, False, None])
def test_automl_is_accepted_and_always_off(given: object) -> None:
    assert parse_spec({"automl_policy": given}, "x").automl_policy == "off"


def test_automl_that_is_neither_is_refused() -> None:
    with pytest.raises(UsageError, match="automl_policy"):
        parse_spec({"automl_policy": "sometimes"}, "x")


def test_sections_of_other_readers_are_left_alone() -> None:
    """Segmentation, engines and cluster settings in a file do not make it unreadable."""
    value = {
        "encryption_key": "tlt_encode",
        "train": {"segment": {"loss": "ce"}, "cudnn": {"benchmark": False}, "num_nodes": 1},
        "dataset": {"segment": {"dataset": "CNDataset"}},
        "gen_trt_engine": {"tensorrt": {"data_type": "fp32"}},
        "wandb": {"enable": False},
    }
    assert parse_spec(value, "x").gen_trt_engine == value["gen_trt_engine"]


def test_a_spec_written_out_reads_back_to_the_same(tmp_path: Path) -> None:
    for spec in (deft_spec(), parse_spec({}, "x")):
        path = tmp_path / "spec.yaml"
        path.write_text(spec_text(spec))
        assert load_spec(path) == spec


def test_overrides_are_yaml_and_checked_like_the_file(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text("train: {num_epochs: 7}\n")
    spec = load_spec(path, ["train.num_epochs=3", "train.classify.cls_weight=[1, 4]", "inference.checkpoint=a=b.pth"])
    assert spec.train.num_epochs == 3 and spec.train.classify.cls_weight == (1, 4)
    assert spec.inference.checkpoint == "a=b.pth"
    for wrong, said in (
        ("train.num_epoch=3", "did you mean 'train.num_epochs'"),
        ("train.num_epochs", "expected KEY=VALUE"),
        ("train.num_epochs.x=1", "is a value, not a section"),
        ("train.num_epochs=0", "greater than or equal to 1"),
    ):
        with pytest.raises(UsageError, match=said):
            load_spec(path, [wrong])


def test_lights_decide_the_size_of_the_input() -> None:
    four = {"A": 0, "B": 1, "C": 2, "D": 3}
    base = {"num_input": 4, "input_map": four, "image_width": 32, "image_height": 64}
    linear = parse_spec({"dataset": {"classify": {**base, "concat_type": "linear"}}}, "x").dataset.classify
    grid = parse_spec({"dataset": {"classify": {**base, "concat_type": "grid"}}}, "x").dataset.classify
    assert linear.size == (256, 32) and grid.size == (128, 64)
    assert linear.lights == ("A", "B", "C", "D")
    assert parse_spec({}, "x").dataset.classify.lights == (None,)


@pytest.mark.parametrize(
    "classify",
    [
        {"num_input": 3, "input_map": {"A": 0, "B": 1}},
        {"num_input": 2, "input_map": {"A": 0, "B": 2}},
        {"num_input": 2, "input_map": {"A": 0, "B": 1}, "concat_type": "grid", "grid_map": {"x": 2, "y": 2}},
        {"augmentation_config": {"random_rotate": {"angle_list": [45]}}},
    ],
)
def test_lights_and_angles_that_do_not_fit_are_refused(classify: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        parse_spec({"dataset": {"classify": classify}}, "x")


def test_the_trainer_follows_from_the_spec() -> None:
    ce = parse_yaml("{train: {classify: {loss: ce}}, model: {classify: {difference_module: learnable}}}")
    assert parse_spec(ce, "x").trainer == "cached"
    assert parse_spec({}, "x").trainer == "finetune"
    assert parse_spec({**ce, "noescape": {"boxes": "b.csv"}}, "x").trainer == "mapnet"
    assert parse_spec({**ce, "noescape": {"trainer": "finetune"}}, "x").trainer == "finetune"
    replaced = deft_spec()
    assert replaced.backbone == "efficientnet_lite0" and replaced.weights is None
