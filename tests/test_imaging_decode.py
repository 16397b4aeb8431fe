"""What comes through the one door for images: right pixels, or one ImageError with a stable code."""

from __future__ import annotations

import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import hostile
from noescape.imaging import is_image_name, read_picture
from noescape.records import ImageError

SPECIMENS = hostile.well_formed(7)
REFUSED = hostile.refused(7)


@pytest.mark.parametrize("case", SPECIMENS, ids=lambda s: s.name)
def test_every_kind_comes_out_with_its_pixels(case: hostile.Specimen, tmp_path: Path) -> None:
    """A well-formed file of any supported kind gives the pixels it was built from, upright, in RGB."""
    path = tmp_path / case.name
    path.write_bytes(case.data)
    got = read_picture(path)
    assert got.rgb.dtype == np.uint8 and got.rgb.shape == case.rgb.shape
    assert (got.height, got.width) == case.rgb.shape[:2] and got.bits == case.bits
    assert np.abs(got.rgb.astype(int) - case.rgb.astype(int)).max() <= case.tolerance


@pytest.mark.parametrize("case", REFUSED, ids=lambda s: s.name)
def test_what_is_no_usable_image_is_refused_with_its_code(case: hostile.Refused, tmp_path: Path) -> None:
    path = tmp_path / case.name
    path.write_bytes(case.data)
    with pytest.raises(ImageError) as caught:
        read_picture(path)
    assert caught.value.code in case.codes and caught.value.path == path
    assert str(path) in str(caught.value) and caught.value.reason


@pytest.mark.parametrize("case", SPECIMENS, ids=lambda s: s.name)
def test_a_file_cut_anywhere_is_refused_or_whole(case: hostile.Specimen, tmp_path: Path) -> None:
    """At every sixteenth, a cut file is an ImageError; only what lies behind the last pixel may be missing."""
    path = tmp_path / case.name
    refusals = 0
    for sixteenth in range(16):
        path.write_bytes(case.data[: len(case.data) * sixteenth // 16])
        try:
            got = read_picture(path)
        except ImageError:
            refusals += 1
        else:
            assert got.rgb.shape == case.rgb.shape
            assert np.abs(got.rgb.astype(int) - case.rgb.astype(int)).max() <= case.tolerance
    assert refusals >= 8  # a stereo pair is whole with its first picture


def test_12_bit_values_are_scaled_by_the_white_level(tmp_path: Path) -> None:
    """`white_level` 4095 makes 4095 white; values over it are clipped; `peak` tells the largest raw value."""
    raw = np.array([[[0], [2048], [4095], [5000]]], np.uint16)
    path = tmp_path / "camera.png"
    path.write_bytes(hostile.png(raw, "grey", depth=16))
    got = read_picture(path, white_level=4095)
    assert got.rgb[0, :, 0].tolist() == [0, 128, 255, 255] and got.peak == 5000


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("kind", ["rgb", "rgba", "la", "grey"])
def test_all_16_bits_count_in_colour(kind: str, interlaced: bool, tmp_path: Path) -> None:
    """Colour keeps its low bytes until it is scaled, in every layout of 16-bit PNG."""
    channels = {"rgb": 3, "rgba": 4, "la": 2, "grey": 1}[kind]
    raw = np.random.default_rng(3).integers(0, 4096, (13, 11, channels), dtype=np.uint16)
    path = tmp_path / "deep.png"
    path.write_bytes(hostile.png(raw, kind, depth=16, interlaced=interlaced))
    colour = raw[:, :, :3] if channels > 2 else np.repeat(raw[:, :, :1], 3, axis=2)
    got = read_picture(path, white_level=4095)
    assert np.array_equal(got.rgb, np.floor(colour.astype(float) * 255 / 4095 + 0.5).astype(np.uint8))
    assert got.peak == colour.max()


def test_several_threads_read_without_touching_each_other(tmp_path: Path) -> None:
    """Readers on threads give the same pixels; warnings and Pillow's own limit are as before afterwards."""
    files = []
    for case in SPECIMENS:
        (tmp_path / case.name).write_bytes(case.data)
        files.append(tmp_path / case.name)
    limit, filters = Image.MAX_IMAGE_PIXELS, list(warnings.filters)
    alone = [read_picture(path).rgb for path in files]
    with ThreadPoolExecutor(4) as pool:
        together = [picture.rgb for picture in pool.map(read_picture, files * 3)]
    assert all(np.array_equal(a, b) for a, b in zip(alone * 3, together, strict=True))
    assert limit == Image.MAX_IMAGE_PIXELS and warnings.filters == filters


def test_the_pixel_limit_is_exact_and_settable(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(hostile.png(hostile.picture(1, 10, 10), "rgb"))
    assert read_picture(path, max_pixels=100).width == 10
    with pytest.raises(ImageError, match="limit is 99") as caught:
        read_picture(path, max_pixels=99)
    assert caught.value.code == "too_large"


@pytest.mark.parametrize("name", ["missing.png", "folder.png", "nul\0.png", "n" * 300 + ".png"])
def test_a_path_that_cannot_be_read_costs_one_row(name: str, tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(ImageError) as caught:
        read_picture(tmp_path / name)
    assert caught.value.code == "unreadable"


def test_pipes_and_devices_do_not_hang(tmp_path: Path) -> None:
    """A named pipe without a writer, or an endless device behind a link, is refused at once."""
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "zero.png").symlink_to("/dev/zero")
    for name in ("pipe.png", "zero.png"):
        with pytest.raises(ImageError):
            read_picture(tmp_path / name)


def test_endless_scans_are_refused(tmp_path: Path) -> None:
    """A progressive JPEG of thousands of empty scans would take minutes of decoding for a small file."""
    data = hostile.encoded(hostile.picture(3), "JPEG", progressive=True)
    at = data.rindex(b"\xff\xda")
    path = tmp_path / "scans.jpg"
    path.write_bytes(data[:at] + data[at:-2] * 2000 + data[-2:])
    with pytest.raises(ImageError, match="scans"):
        read_picture(path)


def test_the_same_file_gives_the_same_pixels(tmp_path: Path) -> None:
    for case in SPECIMENS[:8]:
        path = tmp_path / case.name
        path.write_bytes(case.data)
        assert np.array_equal(read_picture(path).rgb, read_picture(path).rgb)


def test_names_that_count_as_images() -> None:
    """Known suffixes in any case; hidden files (also the `._` twins of some systems) are not images."""
    assert all(is_image_name(n) for n in ("a.png", "B.JPG", "x.y.TIFF", "名.webp", "a b.bmp", "a.jpeg", "a.tif"))
    assert not any(is_image_name(n) for n in (".a.png", "._a.png", "a.gif", "png", "a.png.txt", "", "a.svg"))
