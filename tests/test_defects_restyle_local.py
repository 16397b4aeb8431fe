"""Local transfer: pictures get the look of the reference, and nothing in them moves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noescape.defects.restyle.config import LocalConfig, RestyleConfig
from noescape.defects.restyle.engines import LocalEngine, fit_local
from noescape.defects.restyle.geometry import compare_geometry
from noescape.defects.restyle.lightness import bands, to_lab
from noescape.defects.restyle.look import Look, measure, noise_by_lightness, tone_distance
from noescape.defects.restyle.transfer import Transfer, apply_transfer, fit_transfer, generic_transfer
from noescape.imaging import png_bytes
from noescape.records import DataError
from restyle_pictures import Rgb, photo, scene


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def sets(*, grey: bool = False) -> tuple[list[Rgb], Look]:
    """Some scenes, and the look of a camera on other scenes."""
    own = [scene(rng(i), grey=grey) for i in range(6)]
    other = [photo(scene(rng(100 + i), grey=grey), rng(i)) for i in range(6)]
    if grey:
        other = [np.repeat(p[..., :1], 3, axis=2) for p in other]
    return own, measure(other)


def restyled(own: list[Rgb], transfer: Transfer) -> list[Rgb]:
    return [apply_transfer(rgb, transfer, rng(i)) for i, rgb in enumerate(own)]


@pytest.mark.parametrize("grey", [False, True])
def test_tone_colour_softness_and_noise_move_to_the_reference(grey: bool) -> None:
    own, reference = sets(grey=grey)
    before = measure(own)
    after = measure(restyled(own, fit_transfer(own, reference, LocalConfig())))
    assert tone_distance(after, reference) < 0.15 * tone_distance(before, reference)
    assert abs(after.sharpness - reference.sharpness) < 0.5 * abs(before.sharpness - reference.sharpness)
    middle = slice(2, 6)  # steps of lightness that both sets show
    gap = [np.abs(np.log(look.noise[middle] / reference.noise[middle])).mean() for look in (before, after)]
    assert gap[1] < 0.5 * gap[0]
    assert after.grey == grey
    if not grey:
        tint = [np.abs(look.tint[16:-16] - reference.tint[16:-16]).mean() for look in (before, after)]
        assert tint[1] < 0.35 * tint[0]


def test_edges_stay_where_they_are() -> None:
    own, reference = sets()
    for rgb, out in zip(own, restyled(own, fit_transfer(own, reference, LocalConfig())), strict=True):
        found = compare_geometry(rgb, out)
        assert found.measurable and found.shift_px < 0.1 and found.edge_ncc > 0.8
        assert out.shape == rgb.shape and out.dtype == np.uint8


def test_a_defect_stays_a_defect() -> None:
    """A dark spot that only one picture has keeps its contrast to its surroundings, in steps of the camera's noise."""
    own, reference = sets(grey=True)
    spotted = own[0].copy()
    cv2.circle(spotted, (80, 64), 7, (3, 3, 3), -1)
    transfer = fit_transfer(own, reference, LocalConfig())
    with_spot, without = (apply_transfer(p, transfer, rng()).astype(int) for p in (spotted, own[0]))
    inside = np.hypot(*(np.mgrid[:128, :160] - np.array([64, 80])[:, None, None])) < 5
    assert (without - with_spot)[inside].mean() > 0.4 * (own[0].astype(int) - spotted)[inside].mean()
    far = np.hypot(*(np.mgrid[:128, :160] - np.array([64, 80])[:, None, None])) > 45
    assert np.abs(without - with_spot)[far].mean() < 1


def test_the_same_look_changes_next_to_nothing() -> None:
    own, _ = sets()
    transfer = fit_transfer(own, measure(own), replace_noise(False))
    assert transfer.blur == 0 and np.allclose(transfer.gains, 1, atol=0.05)
    for rgb, out in zip(own, restyled(own, transfer), strict=True):
        assert np.abs(out.astype(int) - rgb).mean() < 1.5


def replace_noise(noise: bool) -> LocalConfig:
    return LocalConfig(noise=noise)


def test_strength_zero_leaves_tone_and_colour() -> None:
    own, reference = sets()
    still = LocalConfig(strength=0, bands=False, blur=False, noise=False)
    for rgb, out in zip(own, restyled(own, fit_transfer(own, reference, still)), strict=True):
        assert np.abs(out.astype(int) - rgb).max() <= 1


def test_the_tone_curve_never_turns_round() -> None:
    """Darker stays darker: a scratch cannot become a glint."""
    own, reference = sets(grey=True)
    transfer = replace(fit_transfer(own, reference, replace_noise(False)), blur=0.0, gains=(1.0,) * 4)
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    out = apply_transfer(np.tile(ramp, (4, 1, 1)), transfer, rng())[0, :, 0].astype(int)
    assert (np.diff(out) >= 0).all() and out[-1] - out[0] > 60


@settings(max_examples=25)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 4), st.booleans())
def test_any_picture_comes_out_in_its_own_size(height: int, width: int, kind: int, grey: bool) -> None:
    """Black, white, plain, noise, one pixel: no warning, no NaN, same size, grey stays grey under a grey reference."""
    fill = [0, 255, 97][kind] if kind < 3 else None
    rgb = (
        np.full((height, width, 3), fill, np.uint8)
        if fill is not None
        else rng(kind).integers(0, 256, (height, width, 3))
    )
    rgb = rgb.astype(np.uint8)
    rgb = np.repeat(rgb[..., :1], 3, axis=2) if grey else rgb
    _, reference = sets(grey=True)
    out = apply_transfer(rgb, fit_transfer([rgb], reference, LocalConfig()), rng())
    assert out.shape == rgb.shape and out.dtype == np.uint8
    if grey:
        assert (out[..., 0] == out[..., 1]).all() and (out[..., 0] == out[..., 2]).all()
    apply_transfer(rgb, generic_transfer(), rng())
    compare_geometry(rgb, out)


def test_bands_add_up_and_noise_is_measured_in_its_own_unit() -> None:
    plane = to_lab(scene(rng()))[..., 0]
    rest = plane - sum(bands(plane))  # type: ignore[operator]
    assert rest.std() < 0.8 * plane.std()
    for sigma in (0.5, 2.0, 5.0):
        noisy = (60 + rng(1).normal(0, sigma, (256, 256))).astype(np.float32)
        assert noise_by_lightness(noisy)[4] == pytest.approx(sigma, rel=0.08)


@pytest.mark.parametrize(("dx", "dy"), [(0.0, 0.0), (0.3, 0.0), (0.0, -0.7), (1.5, 2.5), (9.0, -6.0)])
def test_a_shift_is_seen_under_another_contrast(dx: float, dy: float) -> None:
    rgb = scene(rng(4), 160, 200)
    matrix = np.array([[1, 0, dx], [0, 1, dy]])
    out = cv2.warpAffine(255 - rgb // 2, matrix, (200, 160), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    found = compare_geometry(rgb, np.asarray(out, dtype=np.uint8))
    assert found.measurable and found.shift_px == pytest.approx(np.hypot(dx, dy), abs=0.15)


def test_a_plain_surface_says_that_it_cannot_be_measured() -> None:
    plain = np.full((64, 64, 3), 90, np.uint8)
    assert not compare_geometry(plain, plain // 2).measurable


def test_a_result_that_moved_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """By half a pixel or more; under it, it is let through."""
    rgb = scene(rng(4), 160, 200)

    def move(by: float) -> None:
        def apply(picture: Rgb, *_: object) -> Rgb:
            m = np.array([[1, 0, by], [0, 1, 0]])
            return np.asarray(cv2.warpAffine(picture, m, (200, 160), borderMode=cv2.BORDER_REFLECT), dtype=np.uint8)

        monkeypatch.setattr("noescape.defects.restyle.engines.apply_transfer", apply)

    engine = LocalEngine(RestyleConfig(), generic_transfer(), None, "")
    move(0.2)
    assert engine.restyle(rgb, rng()).facts["geometry"]["shift_px"] < 0.5
    for by in (0.8, 3.0, 12.0):
        move(by)
        with pytest.raises(DataError, match="geometry moved"):
            engine.restyle(rgb, rng())


def test_a_reference_of_which_some_cannot_be_read_still_serves(tmp_path: Path) -> None:
    good = [tmp_path / f"{i}.png" for i in range(4)]
    for i, path in enumerate(good):
        path.write_bytes(png_bytes(photo(scene(rng(i)), rng(i))) if i else b"no picture")
    assert fit_local(RestyleConfig(), good[1:], good, "d").transfer is not None
    with pytest.raises(DataError, match="no reference photo"):
        fit_local(RestyleConfig(), good[1:], good[:1], "d")
