"""Promises of plain folders: every image once, in order, never outside, whatever the names."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

import pytest

from dataset_maker import mvtec, put, texture
from noescape.datasets import read_folder, read_labelled_folder
from noescape.records import DataError, ImageError


def test_images_are_found_at_any_depth_in_codepoint_order(tmp_path: Path) -> None:
    for name in ("b.png", "B.JPG", "deep/er/a.tif", "a.webp", "ä.bmp", "10.png", "9.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"broken")
    for name in ("notes.txt", ".hidden.png", ".cache/x.png", "png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    keys = [s.key for s in read_folder(tmp_path)]
    assert keys == ["10.png", "9.png", "B.JPG", "a.webp", "b.png", "deep/er/a.tif", "ä.bmp"]


def test_labels_are_unknown_unless_given(tmp_path: Path) -> None:
    put(tmp_path / "x.png", texture(1))
    assert read_folder(tmp_path)[0].label is None
    good = read_folder(tmp_path, label=0)[0]
    assert (good.label, good.defect_type) == (0, "good")


def test_links_out_cost_one_row_and_loops_end(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    secret = put(tmp_path / "secret" / "s.png", texture(1))
    home = tmp_path / "home"
    put(home / "sub" / "a.png", texture(2))
    (home / "out.png").symlink_to(secret)
    (home / "outdir").symlink_to(secret.parent)
    (home / "sub" / "up").symlink_to(home)
    (home / "again.png").symlink_to(home / "sub" / "a.png")
    refused: list[ImageError] = []
    keys = [s.key for s in read_folder(home, refused=refused)]
    assert keys == ["again.png", "sub/a.png"]
    assert {(r.path.name, r.code) for r in refused} == {("out.png", "outside"), ("outdir", "outside")}
    with caplog.at_level(logging.WARNING):
        read_folder(home)
    assert sum("leads out" in r.message for r in caplog.records) == 2


def test_a_pipe_named_like_an_image_is_refused_and_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    refused: list[ImageError] = []
    assert read_folder(tmp_path, refused=refused) == []
    assert [r.code for r in refused] == ["unreadable"]


def test_any_file_name_gives_a_key_that_json_can_hold(tmp_path: Path) -> None:
    names = ["with space.png", "quote'\".png", "new\nline.png", "检查.png", "<b>.png", "=cmd().png"]
    for name in names:
        put(tmp_path / name, texture(1))
    (tmp_path / os.fsdecode(b"not-\xff-utf8.png")).write_bytes(b"x")
    keys = [s.key for s in read_folder(tmp_path)]
    assert set(names) < set(keys)
    assert json.loads(json.dumps(keys, ensure_ascii=False).encode("utf-8")) == keys
    assert all(s.image.is_file() for s in read_folder(tmp_path))


def test_a_missing_folder_and_a_file_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        read_folder(tmp_path / "nowhere")
    with pytest.raises(DataError, match="is a file"):
        read_folder(put(tmp_path / "a.png", texture(1)))


def test_a_test_folder_tells_labels_types_and_masks(tmp_path: Path) -> None:
    root = mvtec(tmp_path / "part")
    put(root / "test" / "uncertain" / "u.png", texture(1))
    put(root / "test" / "loose.png", texture(2))
    got = {s.key: (s.label, s.defect_type, s.mask is not None) for s in read_labelled_folder(root / "test")}
    assert got["good/000.png"] == (0, "good", False)
    assert got["scratch/000.png"] == (1, "scratch", True)
    assert got["uncertain/u.png"] == (None, "uncertain", False)
    assert got["loose.png"] == (None, "unknown", False)


def test_without_a_good_folder_nothing_is_labelled(tmp_path: Path) -> None:
    put(tmp_path / "scratch" / "a.png", texture(1))
    assert [(s.label, s.defect_type) for s in read_labelled_folder(tmp_path)] == [(None, "unknown")]
