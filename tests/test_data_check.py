"""Promises of `check_dataset`: what would falsify figures is found, what only looks alike is not, one row per file."""

from __future__ import annotations

import io
import itertools
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from dataset_maker import U8, mvtec, put, spot, texture
from noescape.datasets import check_dataset, preview_png, scan_mvtec
from noescape.datasets.check import CheckReport
from noescape.datasets.duplicates import MAX_BITS, MIN_CORRELATION, Fingerprint, fingerprint, same_bytes, same_picture
from noescape.imaging import hamming, jpeg_bytes


def _across(report: CheckReport) -> list[tuple[str, tuple[str, ...]]]:
    return [(d.kind, d.keys) for d in report.duplicates if d.across]


def test_a_clean_set_has_no_findings(tmp_path: Path) -> None:
    report = check_dataset(mvtec(tmp_path / "part"))
    assert report.findings == 0
    assert report.usable
    assert report.counts == {"test/good": 2, "test/scratch": 2, "train/good": 4}
    assert report.masked == {"scratch": 2}
    assert report.sizes == {"64x48": 8}
    assert report.modes == {"L 8-bit": 8}


def test_the_same_bytes_under_two_names_are_found_first_when_they_train_and_test(tmp_path: Path) -> None:
    root = mvtec(tmp_path / "part")
    (root / "test" / "good" / "copy.png").write_bytes((root / "train" / "good" / "001.png").read_bytes())
    (root / "test" / "good" / "again.png").write_bytes((root / "test" / "good" / "000.png").read_bytes())
    report = check_dataset(root)
    assert [d.across for d in report.duplicates] == [True, False]
    assert _across(report) == [("bytes", ("test/good/copy.png", "train/good/001.png"))]


@pytest.mark.parametrize("how", ["jpeg", "half", "gamma", "brighter"])
def test_the_same_picture_saved_otherwise_is_found(tmp_path: Path, how: str) -> None:
    root = mvtec(tmp_path / "part", train=10)
    pixels = texture(3, 240, 320, sigma=4)
    put(root / "train" / "good" / "original.png", pixels)
    name = "copy.jpg" if how == "jpeg" else "copy.png"
    put(root / "test" / "scratch" / name, _changed(pixels, how))
    assert _across(check_dataset(root)) == [("picture", (f"test/scratch/{name}", "train/good/original.png"))]
    assert check_dataset(root).duplicates[0].contradiction


def _changed(pixels: U8, how: str) -> U8:
    if how == "jpeg":
        with Image.open(io.BytesIO(jpeg_bytes(pixels, quality=60))) as image:
            return np.asarray(image)
    if how == "half":
        return np.asarray(cv2.resize(pixels, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))
    if how == "gamma":
        return np.asarray(255 * (pixels / 255.0) ** 0.8, dtype=np.uint8)
    return np.asarray(np.clip(pixels * 1.1 + 4, 0, 255), dtype=np.uint8)


def test_parts_of_one_kind_are_not_taken_for_copies() -> None:
    """Forty photographs of one fixture: same frame and bars, same light, own grain."""
    frame = np.full((200, 200), 120.0)
    frame[:20] = frame[:, :20] = 30
    frame[90:95] = frame[140:145] = 60
    prints = []
    for i in range(40):
        grain = (texture(i, 200, 200, sigma=3).astype(float) - 128) / 30
        rgb = np.repeat(np.clip(frame + grain, 0, 255).astype(np.uint8)[:, :, None], 3, axis=2)
        prints.append(fingerprint(str(i), rgb))
    alike = [hamming(a.bits, b.bits) for a, b in itertools.combinations(prints, 2)]
    assert sum(bits <= MAX_BITS for bits in alike) > 20, "the coarse bits alone would call these copies"
    assert same_picture(prints) == []


def test_blank_images_of_different_files_are_not_called_alike() -> None:
    blank = [fingerprint(str(i), np.full((64, 64, 3), 90 + i, np.uint8)) for i in range(20)]
    assert same_picture(blank) == []


def test_the_fast_search_agrees_with_comparing_all_pairs() -> None:
    rng = np.random.default_rng(2)
    base = [(int(rng.integers(0, 2**63)), rng.normal(size=1024)) for _ in range(40)]
    prints = []
    for k in range(2300):
        bits, detail = base[k % 40] if k < 200 else (int(rng.integers(0, 2**63)), rng.normal(size=1024))
        for flip in rng.integers(0, 63, rng.integers(0, 9)):
            bits ^= 1 << int(flip)
        noisy = detail + rng.normal(size=1024) * rng.uniform(0, 0.3)
        noisy -= noisy.mean()
        vector = np.asarray(noisy / np.linalg.norm(noisy), dtype=np.float32)
        prints.append(Fingerprint(sha256=str(k), bits=bits, detail=vector))
    detail = np.stack([p.detail for p in prints])
    detail = detail - detail.mean(axis=0)
    detail /= np.linalg.norm(detail, axis=1, keepdims=True)
    groups = {i: {i} for i in range(len(prints))}
    for i in range(200):
        for j in range(i):
            if hamming(prints[i].bits, prints[j].bits) <= MAX_BITS and detail[i] @ detail[j] > MIN_CORRELATION:
                merged = groups[i] | groups[j]
                for member in merged:
                    groups[member] = merged
    want = sorted({tuple(sorted(g)) for g in groups.values() if len(g) > 1})
    assert sorted(map(tuple, same_picture(prints))) == want
    assert len(want) > 10


def test_identical_files_are_one_picture_to_the_second_search() -> None:
    one = fingerprint("a", np.repeat(texture(1)[:, :, None], 3, axis=2))
    assert same_bytes([one, one, one]) == [[0, 1, 2]]
    assert same_picture([one, one, one]) == []


def test_groups_on_both_sides_are_leaks(tmp_path: Path) -> None:
    root = mvtec(tmp_path / "part")
    keys = {
        "train/good/000.png": "p1",
        "train/good/001.png": "p2",
        "test/good/000.png": "p1",
        "test/scratch/000.png": "p3",
    }
    (root / "groups.json").write_text(json.dumps(keys))
    report = check_dataset(root)
    assert [(leak.group, leak.train, leak.test) for leak in report.leaks] == [("p1", 1, 1)]
    assert report.groups == {"train": 2, "test": 2}


def test_each_broken_file_is_one_row_and_the_rest_is_checked(tmp_path: Path) -> None:
    root = mvtec(tmp_path / "part")
    whole = (root / "train" / "good" / "000.png").read_bytes()
    (root / "train" / "good" / "torn.png").write_bytes(whole[: len(whole) // 2])
    (root / "train" / "good" / "empty.png").write_bytes(b"")
    (root / "test" / "good" / "text.png").write_bytes(b"<html>")
    put(root / "test" / "good" / "big.png", texture(1, 300, 300))
    (root / "test" / "good" / "out.png").symlink_to(put(tmp_path / "x.png", texture(2)))
    report = check_dataset(root, max_pixels=64 * 48)
    codes = {f.key: f.code for f in report.unreadable}
    assert codes == {
        "test/good/out.png": "outside",
        "train/good/empty.png": "empty",
        "train/good/torn.png": "truncated",
        "test/good/big.png": "too_large",
        "test/good/text.png": "not_an_image",
    }
    assert report.usable


def test_masks_that_do_not_fit_are_named(tmp_path: Path) -> None:
    root = mvtec(tmp_path / "part", scratch=5)
    truth = root / "ground_truth" / "scratch"
    put(truth / "000_mask.png", spot() * 0)
    put(truth / "001_mask.png", spot(96, 128))
    (truth / "002_mask.png").write_bytes(b"")
    put(root / "test" / "scratch" / "003.jpg", texture(77))
    put(truth / "lost_mask.png", spot())
    report = check_dataset(root)
    assert {(f.key, f.code) for f in report.masks} == {
        ("test/scratch/000.png", "mask_blank"),
        ("test/scratch/001.png", "mask_size"),
        ("test/scratch/002.png", "mask_empty"),
        ("test/scratch/003.png", "mask_shared"),
    }
    assert report.problems == ("ground_truth/scratch/lost_mask.png: a mask without an image in test/",)


def test_a_set_without_a_readable_good_image_is_not_usable(tmp_path: Path) -> None:
    root = mvtec(tmp_path / "part", train=1)
    (root / "train" / "good" / "000.png").write_bytes(b"")
    assert not check_dataset(root).usable


def test_the_report_is_json_whatever_the_names(tmp_path: Path) -> None:
    root = mvtec(tmp_path / "part\n'\"<b>")
    put(root / "test" / "检 \n查" / "\t.png", texture(999))
    report = check_dataset(root)
    value = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert value["counts"]["test/检 \n查"] == 1
    assert value["findings"] == 0


def test_the_preview_shows_every_type_and_repeats_to_the_byte(tmp_path: Path) -> None:
    root = mvtec(tmp_path / "part", train=20, good=3, scratch=3)
    (root / "test" / "good" / "torn.png").write_bytes(b"no picture")
    one = preview_png([scan_mvtec(root)])
    assert one == preview_png([scan_mvtec(root)])
    with Image.open(io.BytesIO(one)) as image:
        pixels = np.asarray(image)
    cyan = (pixels == (0, 229, 255)).all(axis=2)
    assert cyan.any()
    with Image.open(io.BytesIO(preview_png([scan_mvtec(root)] * 2))) as image:
        assert image.height == 2 * pixels.shape[0]
    put(root / "test" / "dent" / "0.png", texture(5))
    with Image.open(io.BytesIO(preview_png([scan_mvtec(root)]))) as image:
        assert image.height > pixels.shape[0]


@pytest.mark.parametrize(("share", "copies"), [(0.90, False), (0.99, True)])
def test_grain_that_is_partly_shared_is_no_copy(share: float, copies: bool) -> None:
    """Captures of one part moments apart share most of their grain; a copy shares all of it but its coding."""
    rng = np.random.default_rng(4)
    grain = [rng.normal(size=1024) for _ in range(12)]
    grain.append(share * grain[0] + (1 - share**2) ** 0.5 * rng.normal(size=1024))
    vectors = [np.asarray(g / np.linalg.norm(g), dtype=np.float32) for g in grain]
    prints = [Fingerprint(sha256=str(i), bits=5, detail=v) for i, v in enumerate(vectors)]
    assert same_picture(prints) == ([[0, 12]] if copies else [])
