"""Promises of the Python door and of the estimate."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from noescape import PaDiM, PatchCore
from noescape.anomaly.api import Inspector
from noescape.anomaly.estimate import estimate
from noescape.records import ImageError, UsageError
from small_runs import config, defective_part, good_part, plates

QUICK = {"layers": ("blocks.2",), "grid": 8, "map_sigma": 4.0, "image_size": (96, 96), "num_workers": 1}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return plates(tmp_path_factory.mktemp("api") / "plate")


@pytest.fixture(scope="module")
def core(folder: Path) -> PatchCore:
    return PatchCore(coreset_sampling_ratio=0.05, **QUICK).fit(folder / "train" / "good")


def as_rgb(grey: np.ndarray) -> np.ndarray:
    return np.repeat(grey[:, :, None], 3, axis=2)


def test_a_file_its_array_and_its_grey_array_get_the_same_verdict(core: PatchCore, folder: Path) -> None:
    path = folder / "test" / "pit" / "005.png"
    grey = defective_part(2005, 12)[0]
    by_path, by_rgb, by_grey = core.predict(path), core.predict(as_rgb(grey)), core.predict(grey)
    assert by_path.score == by_rgb.score == by_grey.score
    assert np.array_equal(by_path.anomaly_map, by_grey.anomaly_map)


def test_a_large_defect_is_ng_and_found_where_it_is_and_a_good_part_is_ok(core: PatchCore) -> None:
    pixels, mask = defective_part(77, 14)
    bad, good = core.predict(pixels), core.predict(good_part(4321))
    assert (bad.label, good.label) == ("NG", "OK")
    assert bad.score > bad.threshold >= good.score
    x0, y0, x1, y1 = bad.defects[0].bbox
    ys, xs = np.nonzero(mask)
    assert x0 <= xs.mean() < x1 and y0 <= ys.mean() < y1
    assert bad.anomaly_map.shape == mask.shape


def test_a_saved_bundle_loads_as_the_same_kind_and_gives_the_same_scores(core: PatchCore, tmp_path: Path) -> None:
    loaded = Inspector.load(core.save(tmp_path / "kept"))
    assert isinstance(loaded, PatchCore)
    grey = good_part(5)
    assert loaded.predict(grey).score == core.predict(grey).score
    with pytest.raises(UsageError, match="not empty"):
        core.save(tmp_path / "kept")


def test_padim_has_the_same_door_and_many_images_come_lazily(folder: Path) -> None:
    model = PaDiM(**QUICK).fit(folder / "train" / "good")
    verdicts = model.predict_many(sorted((folder / "test" / "pit").iterdir()))
    assert next(verdicts).threshold == model.predict(good_part(1)).threshold


@pytest.mark.parametrize(
    "image", [np.zeros((8, 8, 4), np.uint8), np.zeros((8, 8), np.float32), np.zeros(8, np.uint8)], ids=str
)
def test_arrays_that_are_no_8_bit_images_are_refused_by_shape_and_type(core: PatchCore, image: np.ndarray) -> None:
    with pytest.raises(UsageError, match="expected uint8"):
        core.predict(image)


def test_what_cannot_work_says_so(core: PatchCore, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not learnt"):
        PatchCore().predict(good_part(0))
    with pytest.raises(UsageError, match="unknown option 'ratio'"):
        PatchCore(ratio=1)
    (tmp_path / "broken.png").write_bytes(b"\x89PNG")
    with pytest.raises(ImageError):
        core.predict(tmp_path / "broken.png")


def test_an_estimate_counts_right_and_writes_nothing(folder: Path, tmp_path: Path) -> None:
    plan = estimate(config(folder, tmp_path / "runs", "patchcore"))
    assert (plan["good_images"], plan["test_images"], plan["patches_per_image"]) == (16, 24, 64)
    assert plan["estimated_seconds"] > 0
    assert not list(tmp_path.iterdir())
