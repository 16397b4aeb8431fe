"""Promises of the MVTec AD reader: the whole layout, in a stable order, or all that is wrong with it at once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dataset_maker import mvtec, put, spot, texture
from noescape.datasets import categories, data_digest, read_mvtec
from noescape.records import DataError


def test_everything_in_the_layout_is_read_and_sorted_by_key(tmp_path: Path) -> None:
    root = mvtec(tmp_path / "part", train=12)
    put(root / "train" / "good" / "Z.JPG", texture(7))
    put(root / "test" / "uncertain" / "u.png", texture(8))
    put(root / "test" / "dent" / "same name.png", texture(9))
    put(root / "ground_truth" / "dent" / "same name.png", spot())
    data = read_mvtec(tmp_path, "part")
    assert [len(data.train), len(data.test), len(data.uncertain)] == [13, 5, 1]
    for side in (data.train, data.test, data.uncertain):
        assert [s.key for s in side] == sorted(s.key for s in side)
    assert {s.label for s in data.train} == {0}
    assert data.uncertain[0].label is None
    by_key = {s.key: s for s in data.test}
    assert by_key["test/dent/same name.png"].mask == root / "ground_truth" / "dent" / "same name.png"
    assert by_key["test/scratch/000.png"].mask == root / "ground_truth" / "scratch" / "000_mask.png"
    assert by_key["test/good/000.png"].mask is None
    assert by_key["test/scratch/000.png"].defect_type == "scratch"


def test_the_category_folder_itself_may_be_given(tmp_path: Path) -> None:
    mvtec(tmp_path / "part")
    assert read_mvtec(tmp_path / "part", None) == read_mvtec(tmp_path, "part") == read_mvtec(tmp_path / "part", "part")
    assert categories(tmp_path) == ["part"]


def test_groups_and_terms_come_from_the_files_beside(tmp_path: Path) -> None:
    root = mvtec(tmp_path / "part")
    (root / "groups.json").write_text(json.dumps({"train/good/000.png": "panel 7"}))
    (root / "dataset.json").write_text(json.dumps({"terms": "ask first"}))
    data = read_mvtec(root, None)
    assert data.train[0].group == "panel 7"
    assert data.train[1].group is None
    assert data.terms == "ask first"


def test_a_defect_without_a_mask_is_allowed(tmp_path: Path) -> None:
    root = mvtec(tmp_path / "part")
    put(root / "test" / "scratch" / "unmasked.png", texture(5))
    masks = {s.key: s.mask for s in read_mvtec(root, None).test}
    assert masks["test/scratch/unmasked.png"] is None
    assert masks["test/scratch/001.png"] is not None


def test_all_problems_are_named_at_once(tmp_path: Path) -> None:
    root = mvtec(tmp_path / "part")
    put(root / "ground_truth" / "scratch" / "lost_mask.png", spot())
    put(root / "train" / "scratch" / "x.png", texture(5))
    put(root / "test" / "loose.png", texture(6))
    (root / "groups.json").write_text("[1]")
    with pytest.raises(DataError) as caught:
        read_mvtec(root, None)
    for part in ("lost_mask.png", "train/ outside train/good", "test/ outside any", "groups.json", str(root)):
        assert part in str(caught.value)


@pytest.mark.parametrize("make", ["empty", "no_train", "no_images"])
def test_a_folder_that_cannot_train_says_what_to_put_where(tmp_path: Path, make: str) -> None:
    root = tmp_path / "part"
    root.mkdir()
    if make != "empty":
        put(root / "test" / "good" / "0.png", texture(1))
    if make == "no_images":
        (root / "train" / "good").mkdir(parents=True)
        (root / "train" / "good" / "notes.txt").write_text("later")
    with pytest.raises(DataError, match="train/good"):
        read_mvtec(root, None)


def test_an_unknown_category_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    mvtec(tmp_path / "bolt")
    mvtec(tmp_path / "nut")
    with pytest.raises(DataError, match="bolt, nut"):
        read_mvtec(tmp_path, "screw")
    with pytest.raises(DataError, match="no category"):
        read_mvtec(tmp_path / "nut" / "test", "../../bolt")
    with pytest.raises(DataError, match="no such folder"):
        read_mvtec(tmp_path / "nowhere", None)


def test_links_that_lead_out_are_refused(tmp_path: Path) -> None:
    root = mvtec(tmp_path / "part")
    secret = put(tmp_path / "secret.png", texture(3))
    (root / "test" / "good" / "link.png").symlink_to(secret)
    with pytest.raises(DataError, match=r"link\.png: is a link that leads out"):
        read_mvtec(root, None)


def test_a_mask_behind_a_link_that_leads_out_is_not_used(tmp_path: Path) -> None:
    root = mvtec(tmp_path / "part")
    mask = root / "ground_truth" / "scratch" / "000_mask.png"
    mask.rename(tmp_path / "outside.png")
    mask.symlink_to(tmp_path / "outside.png")
    assert {s.key: s.mask for s in read_mvtec(root, None).test}["test/scratch/000.png"] is None


def test_the_digest_names_content_and_not_the_place(tmp_path: Path) -> None:
    one, two = mvtec(tmp_path / "a"), mvtec(tmp_path / "elsewhere" / "b")
    first, second = read_mvtec(one, None), read_mvtec(two, None)
    assert data_digest(first.test) == data_digest(reversed(second.test))
    mask = two / "ground_truth" / "scratch" / "000_mask.png"
    before = mask.read_bytes()
    put(mask, 255 - spot())
    assert data_digest(first.test) != data_digest(second.test)
    mask.write_bytes(before)
    assert data_digest(first.test) == data_digest(second.test)
    (two / "test" / "dent").mkdir()
    (two / "test" / "good" / "000.png").rename(two / "test" / "dent" / "000.png")
    assert data_digest(first.test) != data_digest(read_mvtec(two, None).test)
