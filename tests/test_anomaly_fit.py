"""Fitting: the same bytes every time, and honest thresholds."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import room_maker
from dataset_maker import put, tree
from noescape.anomaly.bundle import Bundle
from noescape.anomaly.fit import fit
from noescape.datasets import read_folder
from noescape.records import Sample, UsageError
from room_maker import fit_folder, some


@pytest.fixture(autouse=True)
def stopped_clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1750000000")
    yield


def where_only(old: bytes, new: bytes) -> set[str]:
    """The keys in which two configurations differ."""
    a, b = (yaml.safe_load(v) for v in (old, new))
    parts = {k for k in a if a[k] != b[k] and not isinstance(a[k], dict)}
    return parts | {k for p in a if isinstance(a[p], dict) for k in a[p] if a[p][k] != b[p][k]}


@pytest.mark.parametrize("name", ["patchcore", "padim"])
def test_a_fit_has_the_same_bytes_wherever_and_however_often(name: str, tmp_path: Path) -> None:
    """One thread or three, the data here or there: all that differs are the paths and numbers that were given."""
    root = room_maker.parts(tmp_path / "part")
    moved = Path(shutil.copytree(root, tmp_path / "elsewhere" / "part"))
    first = room_maker.fitted(root, tmp_path / "a", name)
    others = [
        room_maker.fitted(root, tmp_path / "b", name),
        room_maker.fitted(root, tmp_path / "c", name, num_workers=3),
        room_maker.fitted(moved, tmp_path / "d", name),
    ]
    given = ("config.yaml", "manifest.json")
    want = room_maker.solid(tree(first), *given)
    assert len(want) == 8, sorted(want)
    for other in others:
        got = room_maker.solid(tree(other), *given)
        assert got.keys() == want.keys() and [k for k in want if want[k] != got[k]] == []
        differs = where_only((first / "config.yaml").read_bytes(), (other / "config.yaml").read_bytes())
        assert differs <= {"output_dir", "num_workers", "root"}


def test_a_finished_run_is_returned_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = room_maker.parts(tmp_path / "part", train=3, good=1, blot=1)
    run = room_maker.fitted(root, tmp_path)
    before = {p: p.stat().st_mtime_ns for p in run.rglob("*")}
    monkeypatch.setattr("noescape.anomaly.fit._fit", lambda *_: pytest.fail("it worked again"))
    assert room_maker.fitted(root, tmp_path) == run
    assert {p: p.stat().st_mtime_ns for p in run.rglob("*")} == before


@pytest.mark.parametrize("change", [{"seed": 1}, {"map_sigma": 3.0}, {"image_percentile": 90}, {"grid": 4}])
def test_another_configuration_under_the_same_name_is_refused(change: dict[str, Any], tmp_path: Path) -> None:
    root = room_maker.parts(tmp_path / "part", train=3, good=0, blot=0)
    run = room_maker.fitted(root, tmp_path)
    before = tree(run)
    with pytest.raises(UsageError, match="holds a run with another configuration or data: choose another --run-id"):
        room_maker.fitted(root, tmp_path, **change)
    assert tree(run) == before


def test_other_good_images_under_the_same_name_are_refused(tmp_path: Path) -> None:
    root = room_maker.parts(tmp_path / "part", train=3, good=0, blot=0)
    room_maker.fitted(root, tmp_path)
    put(root / "train" / "good" / "001.png", room_maker.part(77))
    with pytest.raises(UsageError, match="another configuration or data"):
        room_maker.fitted(root, tmp_path)


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    root = room_maker.parts(tmp_path / "part", train=3, good=0, blot=0)
    mine = tmp_path / "patchcore" / "part" / "run" / "notes.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    with pytest.raises(UsageError, match="is no run of noescape"):
        room_maker.fitted(root, tmp_path)
    assert tree(mine.parent) == {"notes.txt": b"mine"}


@pytest.mark.parametrize("run_id", ["../x", "a/b", "..", ".hidden", "", "a b", "x" * 101, "ü", "a\n"])
def test_a_run_id_stays_one_plain_folder(run_id: str, tmp_path: Path) -> None:
    root = room_maker.parts(tmp_path / "part", train=2, good=0, blot=0)
    if run_id == "":
        assert room_maker.fitted(root, tmp_path, run_id=run_id).name == "20250615T150640Z"  # none given: the time
        return
    with pytest.raises(UsageError, match="run id"):
        room_maker.fitted(root, tmp_path, run_id=run_id)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["part"]


def test_the_good_image_that_looks_wrong_is_named(tmp_path: Path) -> None:
    """Also where unreadable images stand before it in the list."""
    good = some(tmp_path / "good", 10)
    put(good / "7.png", room_maker.defective(7)[0])
    for name in ("0.png", "3.png"):
        (good / name).write_bytes(b"")
    run = fit_folder(good, tmp_path)
    limits, rows = Bundle(run).thresholds, room_maker.rows(run / "preds_train.jsonl")
    assert [one["image_path"] for one in limits["unusual_good"]] == ["7.png"]
    worst = max((r for r in rows if "error" not in r), key=lambda r: r["heldout_score"])
    assert worst["image_path"] == "7.png" and worst["heldout_score"] == limits["unusual_good"][0]["score"]


def test_held_out_scores_are_higher_than_scores_of_what_was_learnt(tmp_path: Path) -> None:
    """Why thresholds are held out: a training image is near to itself."""
    run = fit_folder(some(tmp_path / "good", 9), tmp_path, coreset_sampling_ratio=1.0)
    rows = room_maker.rows(run / "preds_train.jsonl")
    assert np.mean([r["heldout_score"] for r in rows]) > np.mean([r["pred_score"] for r in rows])
    limits = Bundle(run).thresholds
    assert limits["image_threshold_heldout"] > limits["image_threshold_train"]
    train = fit_folder(tmp_path / "good", tmp_path / "t", coreset_sampling_ratio=1.0, source="train")
    other = Bundle(train).thresholds
    assert other["source"] == "train" and other["image_threshold"] == limits["image_threshold_train"]
    assert other["image_threshold_heldout"] == limits["image_threshold_heldout"], "shown beside it all the same"


def test_a_run_folder_holds_what_it_says(tmp_path: Path) -> None:
    """The files that the documentation names, and nothing left of the work."""
    run = room_maker.fitted(room_maker.parts(tmp_path / "part"), tmp_path)
    assert sorted(tree(run)) == [
        "config.yaml", "logs/events.jsonl", "manifest.json", "meta.json", "metrics.json", "preds_test.jsonl",
        "preds_train.jsonl", "thresholds.json", "timing.json", "weights/embedding.bin", "weights/embedding.xml",
        "weights/model.safetensors",
    ]  # fmt: skip
    metrics = json.loads((run / "metrics.json").read_text("utf-8"))
    assert metrics["n"]["good"] == 3 and metrics["image_auroc"] == 1.0, "the blots of these parts are easy"


def test_groups_are_never_split_between_folds() -> None:
    from noescape.anomaly.thresholds import fold_of

    rng = np.random.default_rng(1)
    groups = [f"panel {int(g)}" for g in rng.integers(0, 13, 200)]
    samples = [
        Sample(key=f"{i}.png", image=Path(f"{i}.png"), label=0, defect_type="good", group=g)
        for i, g in enumerate(groups)
    ]
    for folds in (2, 3, 5):
        fold = fold_of(samples, folds, seed=3)
        homes = {g: {int(f) for f, other in zip(fold, groups, strict=True) if other == g} for g in set(groups)}
        assert all(len(home) == 1 for home in homes.values())
        counts = np.bincount(fold, minlength=folds)
        assert counts.min() > 0.5 * len(samples) / folds
        assert fold.tolist() == fold_of(samples, folds, seed=3).tolist()


def test_images_without_groups_are_dealt_evenly() -> None:
    from noescape.anomaly.thresholds import fold_of

    samples = [Sample(key=f"{i}.png", image=Path("x"), label=0, defect_type="good") for i in range(23)]
    assert sorted(np.bincount(fold_of(samples, 5, 42)).tolist()) == [4, 4, 5, 5, 5]
    assert fold_of(samples, 5, 42).tolist() != fold_of(samples, 5, 43).tolist()


def test_one_large_group_beside_one_image_is_not_held_out(tmp_path: Path) -> None:
    """Learning from the single image alone would say nothing."""
    from noescape.datasets import Dataset

    good = some(tmp_path / "good", 5)
    samples = tuple(
        Sample(key=s.key, image=s.image, label=0, defect_type="good", group="a" if i else "b")
        for i, s in enumerate(read_folder(good))
    )
    data = Dataset(root=good, category="good", train=samples, test=(), uncertain=(), terms=None)
    run = fit(room_maker.configured(good, tmp_path), data=data)
    assert Bundle(run).thresholds["source"] == "train"
