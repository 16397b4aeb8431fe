"""From patches to a map and a score: tiles, regions of interest, and the mean of the highest values."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from noescape.anomaly.detector import (
    Detector,
    PadimScorer,
    PatchCoreScorer,
    View,
    judge_features,
    top_mean,
)
from noescape.anomaly.padim import fit_padim
from noescape.anomaly.patchcore import fit_patchcore
from noescape.records import DataError

GRID, SIDE = (4, 4), 32


def view(**changes: Any) -> View:
    base: dict[str, Any] = {"image_size": (SIDE, SIDE), "grid": GRID, "tile": None, "overlap": 8, "sigma": 0.0}
    return View(**{**base, "score_share": None, **changes})


class Brightness:
    """A toy embedder with real behaviour: the mean colour of each of 4 x 4 cells, as a feature of 3 numbers."""

    precision = "f32"

    def __call__(self, rgb: Any) -> Any:
        return cv2.resize(rgb.astype(np.float32), GRID, interpolation=cv2.INTER_AREA).reshape(-1, 3)


def grey(height: int, width: int, seed: int = 0) -> Any:
    noise = np.random.default_rng(seed).integers(90, 110, (height, width, 1), dtype=np.uint8)
    return np.repeat(noise, 3, axis=2)


def detector(height: int = SIDE, width: int = SIDE, *, kind: str = "patchcore", **changes: Any) -> Detector:
    """Learnt on eight grey images of one size."""
    v, embedder = view(**changes), Brightness()
    features = [np.concatenate([embedder(p) for p in v.inputs(grey(height, width, s))]) for s in range(8)]
    model: Any
    if kind == "padim":
        model = PadimScorer(padim=fit_padim(iter([np.stack(features)]), np.arange(3), 0.01))
    else:
        core = fit_patchcore(
            iter(features), total=sum(map(len, features)), ratio=1.0, num_neighbors=3, memory_budget_mb=16
        )
        model = PatchCoreScorer(core=core)
    return Detector(view=v, embedder=embedder, model=model)


def with_defect(rgb: Any, y: int, x: int, size: int = 8) -> Any:
    out = rgb.copy()
    out[y : y + size, x : x + size] = 255
    return out


@given(
    height=st.integers(1, 40), width=st.integers(1, 40), share=st.floats(1e-4, 1), seed=st.integers(0, 1000)
)  # fmt: skip
def test_top_mean_is_the_mean_of_the_highest(height: int, width: int, share: float, seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=(height, width)).astype(np.float32)
    picked = sorted((float(values[y, x]) for y in range(0, height, 2) for x in range(0, width, 2)), reverse=True)
    count = max(1, int(len(picked) * share))
    assert top_mean(values, share) == pytest.approx(np.mean(picked[:count]), rel=1e-4, abs=1e-6)


@given(share=st.floats(1e-3, 1), seed=st.integers(0, 1000))
def test_top_mean_looks_inside_only(share: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    values, inside = rng.normal(size=(13, 17)).astype(np.float32), rng.random((13, 17)) < 0.2
    picked = sorted((float(v) for v in values[::2, ::2][inside[::2, ::2]]), reverse=True)
    want = np.mean(picked[: max(1, int(len(picked) * share))]) if picked else 0.0
    assert top_mean(values, share, inside) == pytest.approx(want, rel=1e-4, abs=1e-6)
    wild = np.where(inside, values, np.float32(1e9))
    assert top_mean(wild, share, inside) == top_mean(values, share, inside)


def test_top_mean_of_everything_is_the_maximum_for_a_tiny_share() -> None:
    values = np.zeros((20, 20), np.float32)
    values[4, 6] = 7
    assert top_mean(values, 1e-9) == 7


@pytest.mark.parametrize("share", [None, 0.1])
@pytest.mark.parametrize("kind", ["patchcore", "padim"])
def test_one_tile_over_the_whole_image_changes_nothing(kind: str, share: float | None) -> None:
    plain = detector(kind=kind, score_share=share)
    tiled = detector(kind=kind, score_share=share, tile=SIDE)
    for rgb in (grey(SIDE, SIDE, 50), with_defect(grey(SIDE, SIDE, 51), 5, 9)):
        score, finished = plain.score(rgb)
        tiled_score, tiled_map = tiled.score(rgb)
        assert tiled_score == pytest.approx(score, rel=1e-6)
        np.testing.assert_allclose(tiled_map, finished, rtol=1e-6)


@pytest.mark.parametrize("size", [(64, 64), (70, 45), (33, 100), (20, 90)])
def test_where_tiles_overlap_the_higher_value_counts(size: tuple[int, int]) -> None:
    """Every pixel of the stitched map is the maximum over the tiles that hold it, each mapped on its own."""
    d = detector(*size, tile=SIDE, overlap=8, sigma=1.0)
    rgb = with_defect(grey(*size, 60), size[0] // 2, size[1] // 2)
    _, finished = d.score(rgb)
    assert finished.shape == size
    want = np.full(size, -np.inf)
    boxes = d.view.boxes(*size)
    assert len(boxes) > 1
    for x0, y0, x1, y1 in boxes:
        alone = Detector(view=view(sigma=1.0), embedder=d.embedder, model=d.model)
        _, one = alone.score(np.ascontiguousarray(rgb[y0:y1, x0:x1]))
        grown = cv2.resize(one, (x1 - x0, y1 - y0), interpolation=cv2.INTER_LINEAR)
        want[y0:y1, x0:x1] = np.maximum(want[y0:y1, x0:x1], grown)
    np.testing.assert_allclose(finished, want, rtol=1e-5)


def test_the_worst_tile_gives_the_score() -> None:
    d = detector(64, 64, tile=SIDE, overlap=0, score_share=0.05)
    clean, _ = d.score(grey(64, 64, 70))
    one, finished = d.score(with_defect(grey(64, 64, 70), 40, 40))
    alone = Detector(view=view(score_share=0.05), embedder=d.embedder, model=d.model)
    tile = np.ascontiguousarray(with_defect(grey(64, 64, 70), 40, 40)[32:, 32:])
    assert one == pytest.approx(alone.score(tile)[0], rel=1e-6) and one > 5 * clean
    y, x = np.unravel_index(finished.argmax(), finished.shape)
    assert 36 <= y < 52 and 36 <= x < 52


def left_half() -> Any:
    roi = np.zeros((16, 16), np.uint8)
    roi[:, :8] = 255
    return roi


@pytest.mark.parametrize("tile", [None, 32])
@pytest.mark.parametrize("share", [None, 0.05])
@pytest.mark.parametrize("kind", ["patchcore", "padim"])
def test_what_lies_outside_the_region_of_interest_never_counts(
    kind: str, share: float | None, tile: int | None
) -> None:
    """A defect outside changes neither score nor map; the same one inside does; the map outside is 0."""
    d = detector(64, 64, kind=kind, roi=left_half(), score_share=share, tile=tile, overlap=0, sigma=1.0)
    rgb = grey(64, 64, 80)
    score, finished = d.score(rgb)
    outside, outside_map = d.score(with_defect(rgb, 20, 44))
    inside, inside_map = d.score(with_defect(rgb, 20, 10))
    assert outside == score and inside > 2 * score
    np.testing.assert_array_equal(outside_map, finished)
    whole = d.view.source_roi(*finished.shape)
    assert (inside_map[~whole] == 0).all() and inside_map[whole].max() > 0


def test_kept_patches_are_those_that_touch_the_region() -> None:
    roi = np.zeros((40, 40), np.uint8)
    roi[12, 31] = 1  # one pixel, in row 1 and column 3 of the 4 x 4 cells of 10 pixels
    kept = view(roi=roi).kept_patches(40, 40)
    assert kept is not None and np.flatnonzero(kept).tolist() == [1 * 4 + 3]
    assert view().kept_patches(40, 40) is None
    everything = view(roi=np.ones((3, 3), np.uint8)).kept_patches(40, 40)
    assert everything is not None and everything.all()


def test_kept_patches_of_tiles_come_one_tile_after_the_other() -> None:
    kept = view(roi=left_half(), tile=32, overlap=0).kept_patches(64, 64)
    assert kept is not None and kept.reshape(4, 16).all(1).tolist() == [True, False, True, False]
    assert not kept.reshape(4, 16)[1].any()


def test_scores_in_the_region_are_found_by_a_map_of_any_size() -> None:
    """The region is given in its own size, and holds for images of other sizes."""
    d = detector(90, 60, roi=left_half(), score_share=0.05)
    rgb = grey(90, 60, 81)
    assert d.score(with_defect(rgb, 30, 45))[0] == d.score(rgb)[0] < d.score(with_defect(rgb, 30, 5))[0]


@pytest.mark.parametrize("sigma", [0.0, 1.0, 3.0, 30.0])
def test_the_map_is_grown_and_blurred_as_opencv_does_it(sigma: float) -> None:
    v = view(sigma=sigma)
    patches = np.random.default_rng(3).random(16).astype(np.float32)
    finished, score = v.assemble(patches, SIDE, SIDE)
    grown = cv2.resize(patches.reshape(GRID), (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
    if sigma:
        size = 2 * int(4 * sigma + 0.5) + 1
        grown = cv2.GaussianBlur(grown, (size, size), sigma, borderType=cv2.BORDER_REFLECT)
    np.testing.assert_allclose(finished, grown, rtol=1e-4, atol=1e-5)
    assert score == finished.max()


def test_rows_and_columns_are_not_mixed_up() -> None:
    """A grid that is not square, on an input that is not square."""
    v = view(image_size=(32, 96), grid=(2, 6))
    patches = np.zeros(12, np.float32)
    patches[1 * 6 + 4] = 1
    finished, _ = v.assemble(patches, 50, 50)
    y, x = np.unravel_index(finished.argmax(), finished.shape)
    assert finished.shape == (32, 96) and 16 <= y < 32 and 64 <= x < 80


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1), (2, 3)])
@pytest.mark.parametrize("tile", [None, 32])
def test_the_smallest_images_have_a_map_and_a_score(size: tuple[int, int], tile: int | None) -> None:
    score, finished = detector(*size, tile=tile, score_share=0.01).score(grey(*size))
    assert np.isfinite(score) and np.isfinite(finished).all()
    assert finished.shape == ((SIDE, SIDE) if tile is None else size)


def test_padim_with_tiles_says_why_another_size_cannot_be_judged() -> None:
    d = detector(64, 64, kind="padim", tile=32, overlap=0)
    with pytest.raises(DataError, match="PaDiM learnt 64 positions and this image has 32"):
        d.score(grey(64, 32))


def test_features_from_a_cache_are_judged_like_the_image_itself() -> None:
    d = detector(score_share=0.1)
    rgb = with_defect(grey(SIDE, SIDE, 4), 8, 8)
    score, finished = d.score(rgb)
    again, again_map = judge_features(d.view, d.model, Brightness()(rgb), SIDE, SIDE)
    assert again == score
    np.testing.assert_array_equal(again_map, finished)
