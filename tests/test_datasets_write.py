"""Promises of the writer: whole or not at all, bytes as they were, any name survives, its own work is recognised."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from dataset_maker import mvtec, put, spot, texture, tree
from noescape.datasets import Placement, check_dataset, read_mvtec, write_mvtec
from noescape.datasets.write import refuse_overlap
from noescape.imaging import read_picture
from noescape.records import DataError, UsageError

INFO = {"name": "toy", "terms": "none"}


def _good(path: Path, name: str | None = None, split: str = "train") -> Placement:
    return Placement(source=path, split=split, kind="good", name=name or path.name, group="g")


def _toy(tmp_path: Path, count: int = 3) -> list[Placement]:
    places = [_good(put(tmp_path / "src" / f"{i}.png", texture(i))) for i in range(count)]
    bad = put(tmp_path / "src" / "bad.jpg", texture(9))
    mask = put(tmp_path / "src" / "m.png", spot() // 255)
    return [
        *places,
        Placement(source=bad, split="test", kind="dent", name="bad.jpg", mask=mask, golden=places[0].source),
    ]


def test_images_keep_their_bytes_and_masks_become_0_and_255(tmp_path: Path) -> None:
    result = write_mvtec(tmp_path / "out", "toy", _toy(tmp_path), info=INFO)
    root = tmp_path / "out" / "toy"
    assert (root / "test" / "dent" / "bad.jpg").read_bytes() == (tmp_path / "src" / "bad.jpg").read_bytes()
    mask = read_picture(root / "ground_truth" / "dent" / "bad_mask.png").rgb[:, :, 0]
    assert np.array_equal(mask, spot())
    assert result.counts == {"test/dent": 1, "train/good": 3}
    assert (root / "pairs.csv").read_text() == "key,golden\ntest/dent/bad.jpg,train/good/0.png\n"
    data = read_mvtec(tmp_path / "out", "toy")
    assert {s.group for s in data.train} == {"g"}
    assert data.terms == "none"


def test_the_same_import_again_changes_nothing_and_another_is_refused(tmp_path: Path) -> None:
    places, out = _toy(tmp_path), tmp_path / "out"
    first = write_mvtec(out, "toy", places, info=INFO)
    before = tree(out)
    again = write_mvtec(out, "toy", places, info=INFO)
    assert again.done_before and not first.done_before
    assert (again.counts, again.groups) == (first.counts, first.groups)
    assert tree(out) == before
    with pytest.raises(DataError, match="another import is there"):
        write_mvtec(out, "toy", places, info={**INFO, "seed": 2})
    write_mvtec(tmp_path / "second", "toy", places, info=INFO)
    assert tree(tmp_path / "second") == before


def test_what_somebody_else_put_there_is_never_touched(tmp_path: Path) -> None:
    (tmp_path / "out" / "toy").mkdir(parents=True)
    (tmp_path / "out" / "toy" / "thesis.txt").write_text("mine")
    with pytest.raises(DataError, match="something else is there"):
        write_mvtec(tmp_path / "out", "toy", _toy(tmp_path), info=INFO)
    assert tree(tmp_path / "out") == {"toy/thesis.txt": b"mine"}


@pytest.mark.parametrize("stop", [KeyboardInterrupt, MemoryError, OSError(28, "No space left on device")])
def test_a_stopped_import_leaves_nothing_and_the_next_one_is_whole(tmp_path: Path, stop: BaseException) -> None:
    places, out = _toy(tmp_path), tmp_path / "out"

    def fail(done: int, _total: int) -> None:
        if done == 3:
            raise stop

    with pytest.raises((KeyboardInterrupt, MemoryError, DataError)):
        write_mvtec(out, "toy", places, info=INFO, progress=fail)
    assert tree(out) == {}
    write_mvtec(out, "toy", places, info=INFO)
    assert check_dataset(out / "toy").usable


def test_the_remains_of_a_killed_import_are_replaced(tmp_path: Path) -> None:
    put(tmp_path / "out" / ".toy.part" / "train" / "good" / "stale.png", texture(5))
    write_mvtec(tmp_path / "out", "toy", _toy(tmp_path), info=INFO)
    assert not [name for name in tree(tmp_path / "out") if "stale" in name or ".part" in name]


def test_hostile_and_equal_names_all_survive_apart(tmp_path: Path) -> None:
    names = ["a b.png", "quote\"'.png", "new\nline.png", "检查.png", "~root.png", ".hidden.png", "x" * 240 + ".png"]
    places = [_good(put(tmp_path / "src" / str(i) / "x.png", texture(i)), name) for i, name in enumerate(names)]
    places += [_good(put(tmp_path / "src" / f"twin{i}" / "t.png", texture(20 + i))) for i in range(3)]
    places.append(_good(put(tmp_path / "src" / "esc.png", texture(30)), "../../escape.png"))
    places.append(_good(put(tmp_path / "src" / os.fsdecode(b"\xff.png"), texture(31))))
    write_mvtec(tmp_path / "out", "toy", places, info=INFO)
    data = read_mvtec(tmp_path / "out", "toy")
    assert len(data.train) == len(places) == len({s.image.stem for s in data.train})
    assert {p.source.read_bytes() for p in places} == {s.image.read_bytes() for s in data.train}
    assert {s.group for s in data.train} == {"g"}
    assert [p.name for p in tmp_path.iterdir()].count("escape.png") == 0
    assert {"a b.png", "检查.png", "new\nline.png"} <= {s.image.name for s in data.train}


def test_a_mask_that_cannot_be_read_costs_one_row(tmp_path: Path) -> None:
    places = _toy(tmp_path)
    (tmp_path / "src" / "m.png").write_bytes(b"not a picture")
    result = write_mvtec(tmp_path / "out", "toy", places, info=INFO)
    assert [row.code for row in result.skipped] == ["not_an_image"]
    assert result.counts == {"train/good": 3}
    assert json.loads((tmp_path / "out" / "toy" / "dataset.json").read_text())["skipped"][0]["name"] == "m.png"


def test_an_empty_mask_is_kept_and_told(tmp_path: Path) -> None:
    places = _toy(tmp_path)
    put(tmp_path / "src" / "m.png", spot() * 0)
    assert "mark no pixel" in write_mvtec(tmp_path / "out", "toy", places, info=INFO).notes[0]


def test_nothing_good_to_train_on_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no good image"):
        write_mvtec(tmp_path / "out", "toy", _toy(tmp_path)[-1:], info=INFO)
    assert tree(tmp_path / "out") == {}


def test_source_and_result_must_not_lie_in_each_other(tmp_path: Path) -> None:
    root = mvtec(tmp_path / "src")
    for out in (root, root / "inside", tmp_path):
        with pytest.raises(UsageError, match="separate folders"):
            refuse_overlap(root, out)
    with pytest.raises(UsageError, match="plain name"):
        write_mvtec(tmp_path / "out", "../toy", _toy(tmp_path), info=INFO)
