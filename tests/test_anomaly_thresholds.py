"""Configurations and thresholds: what is refused, what is explained, and percentiles that are numpy's."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import room_maker
from noescape.anomaly.config import InspectorConfig, ThresholdConfig, load_config, parse_config
from noescape.anomaly.thresholds import PIXELS_PER_IMAGE, GoodScores, sample_pixels, thresholds
from noescape.records import Sample, UsageError


def samples(n: int = 200) -> list[Sample]:
    return [Sample(key=f"{i}.png", image=Path(f"{i}.png"), label=0, defect_type="good") for i in range(n)]


def scores(seed: int, n: int = 200) -> GoodScores:
    rng = np.random.default_rng(seed)
    return GoodScores(image=rng.gamma(5, 1, n), pixels=rng.gamma(3, 1, 5000).astype(np.float32))


@pytest.mark.parametrize("source", ["heldout", "train"])
def test_thresholds_are_percentiles_of_the_chosen_scores(source: str) -> None:
    train, heldout = scores(1), scores(2)
    got = thresholds(train, heldout, ThresholdConfig(source=source), samples())
    chosen = {"train": train, "heldout": heldout}[source]
    assert got["image_threshold"] == pytest.approx(np.percentile(chosen.image, 99.5))
    assert got["pixel_threshold"] == pytest.approx(np.percentile(chosen.pixels, 99.9), rel=1e-6)
    for name, one in (("train", train), ("heldout", heldout)):
        assert got[f"image_threshold_{name}"] == pytest.approx(np.percentile(one.image, 99.5))
    low, high = got["map_scale"]
    assert np.median(chosen.pixels) < low < got["pixel_threshold"] < high
    assert got["good_scores"] == sorted(chosen.image.tolist()) and got["n_good"] == 200


def test_the_review_band_is_two_percentiles_in_order() -> None:
    got = thresholds(scores(1), None, ThresholdConfig(review_band=(99, 80)), samples())
    want = [float(np.percentile(scores(1).image, p)) for p in (80, 99)]
    assert got["review_band"] == pytest.approx(want) and got["source"] == "train"


@pytest.mark.parametrize("shape", [(1, 1), (64, 64), (65, 64), (256, 256), (3, 5000), (1000, 1000)])
def test_few_pixels_stand_for_a_map(shape: tuple[int, int]) -> None:
    values = np.arange(shape[0] * shape[1], dtype=np.float32).reshape(shape)
    picked = sample_pixels(values)
    assert 1 <= len(picked) <= PIXELS_PER_IMAGE and set(picked) <= set(values.ravel())


SHIPPED = sorted(p.name for p in (resources.files("noescape.assets") / "inspector").iterdir() if p.name[-5:] == ".yaml")


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_configurations_load_by_name_and_go_there_and_back(name: str) -> None:
    config = load_config(name)
    assert load_config(name.removesuffix(".yaml")) == config
    assert parse_config(yaml.safe_load(config.to_yaml()), "again") == config
    assert (config.data.image_size, config.seed, config.data.num_workers) == ((256, 256), 42, 0)
    assert config.model.coreset_sampling_ratio == 0.01


def test_an_unknown_configuration_is_answered_with_the_shipped_ones() -> None:
    with pytest.raises(UsageError, match=r"'patchcore_mvtek\.yaml' is no file and no shipped config.*patchcore_mvtec"):
        load_config("patchcore_mvtek.yaml")


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"model": {"coreset_samplingratio": 0.1}}, "did you mean 'coreset_sampling_ratio'"),
    ({"modell": {}}, "unknown key 'modell', did you mean 'model'"),
    ({"model": {"name": "patchcor"}}, "model.name"),
    ({"model": {"coreset_sampling_ratio": 0}}, "model.coreset_sampling_ratio: .*got 0"),
    ({"model": {"coreset_sampling_ratio": 1.5}}, "model.coreset_sampling_ratio"),
    ({"data": {"image_size": [256]}}, "data.image_size"),
    ({"data": {"image_size": [16, 16]}}, "data.image_size"),
    ({"data": {"tile": 64, "overlap": 64}}, "overlap 64 must be smaller than tile 64"),
    ({"thresholds": {"image_percentile": 100}}, "thresholds.image_percentile"),
    ({"thresholds": {"source": "test"}}, "thresholds.source"),
    ({"seed": "many"}, "seed"),
    ({"model": None}, "model"),
]


@pytest.mark.parametrize(("values", "said"), WRONG, ids=[s for _, s in WRONG])
def test_wrong_values_are_refused_and_named(values: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse_config(values, "here.yaml")


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        parse_config({"modell": 1, "seed": "x", "data": {"tile": 1}}, "here.yaml")
    assert all(word in str(caught.value) for word in ("here.yaml", "modell", "seed", "data.tile"))


@pytest.mark.parametrize("value", [None, [], "text", 3])
def test_a_configuration_is_a_mapping(value: Any) -> None:
    with pytest.raises(UsageError, match="expected a mapping"):
        parse_config(value, "here.yaml")


def test_where_is_no_part_of_the_identity(tmp_path: Path) -> None:
    base = room_maker.configured(tmp_path / "a", tmp_path)
    assert room_maker.configured(tmp_path / "b", tmp_path / "c").identity() == base.identity()
    for name, value in {"num_workers": 5, "run_id": "x", "device": "cpu"}.items():
        assert room_maker.configured(tmp_path / "a", tmp_path, **{name: value}).identity() == base.identity(), name
    for name, value in {"seed": 1, "image_size": [96, 96], "tile": 96, "folds": 4, "precision": "auto"}.items():
        assert room_maker.configured(tmp_path / "a", tmp_path, **{name: value}).identity() != base.identity(), name


def test_the_default_is_held_out_thresholds_at_the_seeds_percentiles() -> None:
    limits = InspectorConfig().thresholds
    assert (limits.source, limits.image_percentile, limits.pixel_percentile) == ("heldout", 99.5, 99.9)
