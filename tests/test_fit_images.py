"""Fitting: every odd folder of good images that people have, and the region of interest."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import hostile
import room_maker
from dataset_maker import put
from noescape.anomaly.bundle import Bundle
from noescape.anomaly.inspect import inspect
from noescape.datasets import read_folder
from noescape.imaging import png_bytes
from noescape.records import DataError, UsageError
from room_maker import fit_folder, some


@pytest.fixture(autouse=True)
def stopped_clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1750000000")
    yield


@pytest.mark.parametrize("name", ["patchcore", "padim"])
def test_two_good_images_are_enough_and_one_is_not(name: str, tmp_path: Path) -> None:
    """With two there is nothing to hold out: the thresholds say that they come from the training images."""
    for i in range(2):
        with pytest.raises(DataError):
            fit_folder(some(tmp_path / "good", i), tmp_path / "runs", name)
    run = fit_folder(some(tmp_path / "good", 2), tmp_path / "runs", name)
    limits = Bundle(run).thresholds
    assert limits["source"] == "train" and limits["image_threshold_heldout"] is None and limits["n_good"] == 2


def test_three_good_images_are_held_out(tmp_path: Path) -> None:
    limits = Bundle(fit_folder(some(tmp_path / "good", 3), tmp_path)).thresholds
    assert limits["source"] == "heldout" and limits["image_threshold_heldout"] == limits["image_threshold"]


def test_unreadable_good_images_cost_a_row_each(tmp_path: Path) -> None:
    good = some(tmp_path / "good", 5)
    for case in hostile.refused(1):
        (good / case.name).write_bytes(case.data)
    run = fit_folder(good, tmp_path)
    rows = room_maker.rows(run / "preds_train.jsonl")
    bad = [r for r in rows if "error" in r]
    assert len(rows) == len(read_folder(good)) and len(bad) == len(rows) - 5
    assert all(r["error"]["code"] and r["error"]["reason"] for r in bad)
    meta = Bundle(run).meta
    assert (meta["good_images"], meta["unreadable_good_images"]) == (5, len(bad))
    assert all(r["heldout_score"] is not None for r in rows if "error" not in r)


@pytest.mark.parametrize("name", ["patchcore", "padim"])
def test_good_images_that_are_all_the_same_do_no_harm(name: str, tmp_path: Path) -> None:
    """No variance anywhere; the same image again is OK, another one is NG."""
    good = tmp_path / "good"
    for i in range(4):
        put(good / f"{i}.png", room_maker.part(0))
    run = fit_folder(good, tmp_path, name)
    new = tmp_path / "new"
    put(new / "a same.png", room_maker.part(0))
    put(new / "b other.png", room_maker.defective(0)[0])
    inspect(read_folder(new), new, run, tmp_path / "out")
    assert [r["label"] for r in room_maker.rows(tmp_path / "out" / "preds.jsonl")] == ["OK", "NG"]


SIZES = {"a column": (90, 1), "a row": (1, 90), "one pixel": (1, 1), "a strip": (3, 700), "odd": (37, 53)}


@pytest.mark.parametrize("tile", [None, 32])
@pytest.mark.parametrize("what", SIZES)
def test_images_of_any_size_are_learnt(what: str, tile: int | None, tmp_path: Path) -> None:
    for i in range(3):
        put(tmp_path / "good" / f"{i}.png", room_maker.part(i, *SIZES[what]))
    run = fit_folder(tmp_path / "good", tmp_path, tile=tile, overlap=8)
    inspect(read_folder(tmp_path / "good"), tmp_path / "good", run, tmp_path / "out")
    for row in room_maker.rows(tmp_path / "out" / "preds.jsonl"):
        assert row["image_size"] == list(SIZES[what]) and row["flags"] == []


def test_every_form_of_image_is_learnt(tmp_path: Path) -> None:
    """Grey, colour, alpha, palette, 16 bits, rotated, in five formats: all in one folder."""
    good, kinds = tmp_path / "good", [s for s in hostile.well_formed(1) if s.rgb.size < 10**5]
    good.mkdir()
    for s in kinds:
        (good / s.name).write_bytes(s.data)
    meta = Bundle(fit_folder(good, tmp_path)).meta
    assert meta["good_images"] == len(read_folder(good)) > 60 and meta["training_appearance"]["bits"] == [8, 16]


@pytest.mark.parametrize(("peak", "level"), [(900, 1023), (4000, 4095), (9000, 16383), (40000, 65535)])
def test_a_camera_of_fewer_bits_is_recognised(peak: int, level: int, tmp_path: Path) -> None:
    from PIL import Image

    (tmp_path / "good").mkdir()
    for i in range(3):
        deep = (room_maker.part(i).astype(np.float64) / 255 * peak).astype(np.uint16)
        deep[0, 0] = peak
        Image.fromarray(deep).save(tmp_path / "good" / f"{i}.png")
    assert Bundle(fit_folder(tmp_path / "good", tmp_path)).meta["white_level"] == level


NAMES = [
    "with space.png", "it's \"quoted\".png", "new\nline.png", "名前 صورة 🧲.png", "-rf.png", "=1+1.png", "a;b&c|d.png",
    "%2e%2e.png", "x" * 246 + ".png", "CON.png", "{{7*7}}.png", "<script>.png", "\\back.png", "\t.png",
]  # fmt: skip


def test_hostile_names_are_learnt_and_inspected(tmp_path: Path) -> None:
    good = tmp_path / "gut & 'böse' \n"
    good.mkdir()
    names = [os.fsencode(n) for n in NAMES] + [b"not \xff\xfe utf8.png"]
    for i, name in enumerate(names):
        Path(os.fsdecode(os.fsencode(good) + b"/" + name)).write_bytes(png_bytes(room_maker.part(i)))
    run = fit_folder(good, tmp_path / "runs")
    assert Bundle(run).meta["good_images"] == len(names)
    out = tmp_path / "out"
    inspect(read_folder(good), good, run, out)
    rows = room_maker.rows(out / "preds.jsonl")
    assert len(rows) == len(names) and not any("error" in r for r in rows)
    for row in rows:
        for key in ("mask_path", "overlay_path"):
            assert (out / row[key]).is_file() and Path(row[key]).parent.name in ("masks", "overlays")
    assert "not \\xff\\xfe utf8.png" in {r["image_path"] for r in rows}


def test_a_region_of_interest_is_learnt_and_kept(tmp_path: Path) -> None:
    """Only its patches are in the bank; it travels with the bundle, and its file is no longer needed."""
    roi = np.zeros((32, 32), np.uint8)
    roi[:, :16] = 255
    put(tmp_path / "roi.png", roi)
    good = some(tmp_path / "good", 4)
    run = fit_folder(good, tmp_path, roi=str(tmp_path / "roi.png"), coreset_sampling_ratio=1.0)
    (tmp_path / "roi.png").unlink()
    bundle = Bundle(run)
    assert bundle.meta["learnt"]["bank"][0] == 4 * 32
    np.testing.assert_array_equal(bundle.view.roi, roi)


def test_nothing_outside_the_region_of_interest_is_seen(tmp_path: Path) -> None:
    """Not even beside its edge, into which the network looks from within: the scores are the same to the last bit."""
    roi = np.zeros((64, 64), np.uint8)
    roi[:, :32] = 255
    put(tmp_path / "roi.png", roi)
    run = fit_folder(some(tmp_path / "good", 4), tmp_path, roi=str(tmp_path / "roi.png"), layers=["blocks.4"])
    detector = Bundle(run).detector()
    plain = np.repeat(room_maker.part(9)[:, :, None], 3, 2)
    scores = []
    for x in (50, 34, 32, 20):
        rgb = plain.copy()
        rgb[20:32, x : x + 12] = 255
        scores.append(detector.score(rgb)[0])
    assert scores[:3] == [detector.score(plain)[0]] * 3 and scores[3] > scores[0]


def test_a_region_of_interest_must_be_there_and_not_empty(tmp_path: Path) -> None:
    good = some(tmp_path / "good", 3)
    with pytest.raises(UsageError, match="does not exist"):
        fit_folder(good, tmp_path, roi=str(tmp_path / "none.png"))
    put(tmp_path / "black.png", np.zeros((8, 8), np.uint8))
    with pytest.raises(UsageError, match="the region of interest is empty"):
        fit_folder(good, tmp_path, roi=str(tmp_path / "black.png"))


@pytest.mark.parametrize("side", [50, 33])
def test_an_image_size_that_does_not_fit_is_answered_with_one_that_does(side: int, tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=rf"height {side} must be a multiple of 32 for efficientnet_lite0; .* (32|64)$"
    ):
        fit_folder(some(tmp_path / "good", 3), tmp_path, image_size=[side, 64])


def test_the_shipped_recipe_works_on_the_smallest_input(tmp_path: Path) -> None:
    """Mirrored borders on maps of one or two patches."""
    good = some(tmp_path / "good", 3)
    for side in (32, 64):
        run = fit_folder(good, tmp_path, run_id=str(side), image_size=[side, side], border="reflect",
                         layers=["blocks.2", "blocks.4", "blocks.5"], grid=16)  # fmt: skip
        assert np.isfinite(Bundle(run).thresholds["image_threshold"])


def test_padim_with_tiles_asks_for_images_of_one_size(tmp_path: Path) -> None:
    good = some(tmp_path / "good", 3)
    put(good / "large.png", room_maker.part(9, 100, 100))
    with pytest.raises(DataError, match=r"PaDiM (with tiles needs images of one size|learnt 64 positions)"):
        fit_folder(good, tmp_path, "padim", tile=64, overlap=0)
    assert fit_folder(good, tmp_path, tile=64, overlap=0).is_dir()
