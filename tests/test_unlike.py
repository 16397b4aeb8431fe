"""Is an image like the training images? Judged by what is inspected: a region of interest limits that look as well."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

import room_maker
from dataset_maker import put
from noescape.anomaly.bundle import Bundle, sign
from noescape.anomaly.features_cache import FeatureCache
from noescape.anomaly.fit import fit, good_folder
from noescape.anomaly.inspect import inspect
from noescape.anomaly.tune import Tuning, tune
from noescape.anomaly.unlike import REGION, WHOLE, Seen
from noescape.datasets import read_folder
from noescape.imaging import appearance, read_picture

U8 = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    work = tmp_path_factory.mktemp("run")
    return room_maker.fitted(room_maker.parts(work / "part", train=6, good=0, blot=0), work)


@pytest.fixture(scope="module")
def made_with_region(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that inspects the middle of the left half: a tenth of the picture."""
    work = tmp_path_factory.mktemp("region")
    for i in range(6):
        put(work / "good" / f"{i}.png", room_maker.part(i))
    put(work / "roi.png", np.uint8(255) * region(64, 64).astype(np.uint8))
    config = room_maker.configured(work / "good", work, roi=str(work / "roi.png"))
    return fit(config, data=good_folder(work / "good"))


@pytest.fixture
def with_region(made_with_region: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made_with_region, tmp_path / "run"))


def region(height: int, width: int) -> Mask:
    inside = np.zeros((height, width), np.bool_)
    inside[height // 4 : 3 * height // 4, : width // 4] = True
    return inside


def look(folder: Path, run: Path, out: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Flags by image name, and the drift of the whole folder."""
    report = inspect(read_folder(folder), folder, run, out)
    return {r["image_path"]: r["flags"] for r in room_maker.rows(out / "preds.jsonl")}, report["drift"]


def test_images_unlike_the_training_images_are_flagged(run: Path, tmp_path: Path) -> None:
    usual = room_maker.part(1)
    put(tmp_path / "in" / "a usual.png", usual)
    put(tmp_path / "in" / "b large.png", room_maker.part(1, 128, 128))
    put(tmp_path / "in" / "c dark.png", usual // 4)
    Image.fromarray(usual.astype(np.uint16) * 257).save(tmp_path / "in" / "d deep.png")
    put(tmp_path / "in" / "e blurred.png", cv2.GaussianBlur(usual, (0, 0), 6))
    rows = {name[0]: flags for name, flags in look(tmp_path / "in", run, tmp_path / "out")[0].items()}
    assert rows["a"] == [] and rows["b"][0] == "size" and "brightness" in rows["c"]
    assert rows["d"] == ["depth"] and "sharpness" in rows["e"]
    report = json.loads((tmp_path / "out" / "report.json").read_text("utf-8"))
    assert report["num_flagged"] == 4 and report["flags"]["depth"] == 1


def test_drift_says_how_far_a_run_lies_from_training(run: Path, tmp_path: Path) -> None:
    for i in range(4):
        put(tmp_path / "same" / f"{i}.png", room_maker.part(600 + i))
        put(tmp_path / "dark" / f"{i}.png", room_maker.part(600 + i) // 2)
    drift = {name: look(tmp_path / name, run, tmp_path / f"o-{name}")[1] for name in ("same", "dark")}
    assert drift["dark"]["verdict"] == "drifted" and drift["same"]["verdict"] != "drifted"
    assert drift["dark"]["score"] > 5 * max(drift["same"]["score"], 0.5)


def test_what_happens_outside_the_region_of_interest_raises_no_flag_and_no_drift(
    with_region: Path, tmp_path: Path
) -> None:
    """A dark or blurred surrounding is not inspected; size and depth are those of the camera, so they still count."""
    usual, inside = room_maker.part(1), region(64, 64)
    put(tmp_path / "in" / "dark around.png", np.where(inside, usual, usual // 8))
    put(tmp_path / "in" / "flat around.png", np.where(inside, usual, np.uint8(99)))
    put(tmp_path / "in" / "usual.png", usual)
    flags, drift = look(tmp_path / "in", with_region, tmp_path / "out")
    assert set(map(tuple, flags.values())) == {()} and len(flags) == 3
    put(tmp_path / "one" / "usual.png", usual)
    assert look(tmp_path / "one", with_region, tmp_path / "other")[1]["per_measure"] == drift["per_measure"]
    put(tmp_path / "large" / "large.png", room_maker.part(1, 128, 128))
    assert look(tmp_path / "large", with_region, tmp_path / "o-large")[0]["large.png"][0] == "size"


def test_what_happens_inside_a_small_region_is_flagged(with_region: Path, run: Path, tmp_path: Path) -> None:
    """Although the picture as a whole looks as usual: the same images are like the training of the run without it."""
    usual, inside = room_maker.part(1), region(64, 64)
    mean = np.uint8(usual[inside].mean())
    put(tmp_path / "in" / "dark.png", np.where(inside, usual - np.minimum(usual, 25), usual))
    put(tmp_path / "in" / "flat.png", np.where(inside, mean, usual))
    flags, drift = look(tmp_path / "in", with_region, tmp_path / "out")
    assert "brightness" in flags["dark.png"] and {"contrast", "sharpness"} <= set(flags["flat.png"])
    assert drift["verdict"] == "drifted"
    assert look(tmp_path / "in", run, tmp_path / "whole")[0] == {"dark.png": [], "flat.png": []}


def test_the_bundle_says_what_was_measured(with_region: Path, run: Path) -> None:
    assert Bundle(with_region).meta["training_appearance"]["of"] == REGION
    assert Bundle(run).meta["training_appearance"]["of"] == WHOLE


def test_a_bundle_that_says_nothing_measured_whole_images_and_is_compared_with_such(
    with_region: Path, tmp_path: Path
) -> None:
    """As bundles of before that was stated: they load, and both sides of the comparison stay of one kind."""
    picture = read_picture(put(tmp_path / "a.png", room_maker.part(1)))
    new = Bundle(with_region)
    assert new.look(picture) == Seen.of(picture, new.view) != Seen.of(picture, None)
    meta = json.loads((with_region / "meta.json").read_text("utf-8"))
    del meta["training_appearance"]["of"]
    (with_region / "meta.json").write_text(json.dumps(meta), "utf-8")
    sign(with_region)
    assert Bundle(with_region).look(picture) == Seen.of(picture, None)


def test_learning_more_keeps_what_is_measured(with_region: Path, tmp_path: Path) -> None:
    before = Bundle(with_region).meta["training_appearance"]
    for i in range(3):
        put(tmp_path / "new" / f"{i}.png", np.where(region(64, 64), room_maker.part(50 + i), np.uint8(0)))
    tune(with_region, Tuning(good=tmp_path / "new", learn=True, force=True))
    after = Bundle(with_region).meta["training_appearance"]
    assert after["of"] == REGION
    assert after["measures"]["brightness"]["mean"] == pytest.approx(before["measures"]["brightness"]["mean"], abs=2)


def test_features_measured_by_an_older_rule_are_measured_again(tmp_path: Path) -> None:
    """An unfinished fit of an older version: its rows may have looked at whole images."""
    folder = tmp_path / "features"
    FeatureCache(folder, "this fit")
    (folder / "00000.json").write_text("[]")
    FeatureCache(folder, "this fit")
    assert (folder / "00000.json").is_file(), "of the same format: kept"
    (folder / "identity.json").write_text('"this fit"')
    FeatureCache(folder, "this fit")
    assert not (folder / "00000.json").exists()


def masks() -> dict[str, Mask]:
    """Parts of a picture of 300 x 700 of many shapes, also such as are finer than the copy that is measured."""
    out = {name: np.zeros((300, 700), np.bool_) for name in ("box", "pixel", "line", "corners")}
    out["box"][20:200, 33:95] = True
    out["pixel"][150, 333] = True
    out["line"][np.arange(300), np.arange(300) * 2] = True
    out["corners"][0, 0] = out["corners"][-1, -1] = True
    y, x = np.mgrid[:300, :700]
    return out | {"ring": abs(np.hypot(y - 150, x - 350) - 120) < 2.5, "all but one": ~out["pixel"]}


@pytest.mark.parametrize("kind", masks())
def test_no_pixel_outside_the_part_counts(kind: str) -> None:
    inside, rng = masks()[kind], np.random.default_rng(3)
    rgb = np.repeat(room_maker.part(5, 300, 700)[:, :, None], 3, 2)
    want = appearance(rgb, inside)
    for filling in (0, 255, rng.integers(0, 256, rgb.shape, np.uint8)):
        assert appearance(np.where(inside[:, :, None], rgb, np.uint8(filling)), inside) == want
    darker = appearance((rgb // 2).astype(np.uint8), inside)
    assert want.brightness / 3 < darker.brightness < want.brightness / 1.5, "and those inside do"


def test_a_box_is_measured_as_if_it_had_been_cut_out() -> None:
    inside = masks()["box"]
    rgb = np.random.default_rng(1).integers(0, 256, (300, 700, 3), dtype=np.uint8)
    part, cut = appearance(rgb, inside), appearance(np.ascontiguousarray(rgb[20:200, 33:95]))
    assert part.brightness == pytest.approx(cut.brightness, abs=1) and part.contrast == pytest.approx(
        cut.contrast, abs=1
    )
    assert part.sharpness == pytest.approx(cut.sharpness, abs=0.1)


def test_the_whole_as_a_part_and_an_empty_part_are_the_whole() -> None:
    rgb = np.random.default_rng(1).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    for inside in (np.ones((40, 50), np.bool_), np.zeros((40, 50), np.bool_)):
        assert appearance(rgb, inside) == appearance(rgb)
