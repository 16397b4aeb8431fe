"""Images of every kind that a factory folder may hold, good and hostile, built from seeds, with their pixels."""

from __future__ import annotations

import io
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from rawformats import (
    Samples,
    bmp,
    bmp_rows,
    jpeg_with_exif,
    png,
    png_header,
    tiff,
)

U8 = npt.NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Specimen:
    """A well-formed image file: `rgb` is what must come out, up to `tolerance` in any channel of any pixel."""

    name: str
    data: bytes
    rgb: U8
    tolerance: int = 0
    bits: int = 8


@dataclass(frozen=True, kw_only=True)
class Refused:
    """A file that must be refused with one of `codes`."""

    name: str
    data: bytes
    codes: tuple[str, ...]


def picture(seed: int, height: int = 40, width: int = 56) -> U8:
    """A smooth colour image (so that lossy formats stay close) in which no two corners are alike."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(20, 236, (3, 4, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)


def stored_for(upright: npt.NDArray[np.generic], orientation: int) -> Samples:
    """The pixels a camera stores so that EXIF `orientation` turns them back into `upright`.

    Straight from the standard's words, pixel by pixel: the stored row 0 / column 0 is the visual
    top/left, top/right, bottom/right, bottom/left, left/top, right/top, right/bottom, left/bottom.
    """
    high, wide = upright.shape[:2]
    y, x = np.mgrid[0:high, 0:wide]
    row = {1: y, 2: y, 3: high - 1 - y, 4: high - 1 - y, 5: x, 6: wide - 1 - x, 7: wide - 1 - x, 8: x}[orientation]
    col = {1: x, 2: wide - 1 - x, 3: wide - 1 - x, 4: x, 5: y, 6: y, 7: high - 1 - y, 8: high - 1 - y}[orientation]
    shape = (high, wide) if orientation < 5 else (wide, high)
    out = np.zeros(shape + upright.shape[2:], upright.dtype)
    out[row, col] = upright
    return out


def encoded(rgb: U8, form: str, mode: str = "RGB", **options: object) -> bytes:
    """`rgb` saved by Pillow."""
    out = io.BytesIO()
    Image.fromarray(rgb).convert(mode).save(out, form, **options)
    return out.getvalue()


def _grey(rgb: U8) -> U8:
    return np.ascontiguousarray(rgb[:, :, 1:2])


def _thrice(grey: npt.NDArray[np.generic]) -> U8:
    return np.repeat(grey.astype(np.uint8), 3, axis=2)


def _high(values: U8, seed: int) -> npt.NDArray[np.uint16]:
    """16-bit samples whose scaled value (x * 255 / 65535, rounded) is `values`, with busy low bytes."""
    low = np.random.default_rng(seed).integers(-100, 101, values.shape)
    return np.clip(values.astype(np.int64) * 257 + low, 0, 65535).astype(np.uint16)


def _alpha(samples: npt.NDArray[np.generic], seed: int) -> Samples:
    top = np.iinfo(samples.dtype).max
    veil = np.random.default_rng(seed).integers(0, top, (*samples.shape[:2], 1)).astype(samples.dtype)
    return np.concatenate([samples, veil], axis=2)


def well_formed(seed: int) -> list[Specimen]:
    """One file of every kind that must be read, each with its pixels."""
    return [*_png_kinds(seed), *_bmp_kinds(seed), *_tiff_kinds(seed), *_lossy_kinds(seed), *_rotated(seed)]


def _indexed(seed: int) -> tuple[U8, U8, U8]:
    rng = np.random.default_rng(seed)
    colours = rng.integers(0, 256, (200, 3), dtype=np.uint8)
    index = rng.integers(0, 200, (33, 21, 1), dtype=np.uint8)
    return index, colours, colours[index[:, :, 0]]


def _bits(seed: int) -> tuple[U8, U8]:
    ones = np.random.default_rng(seed).integers(0, 2, (19, 27, 1), dtype=np.uint8)
    return ones, _thrice(ones * 255)


def _png_kinds(seed: int) -> list[Specimen]:
    rgb = picture(seed)
    grey, deep = _grey(rgb), _high(rgb, seed)
    deep_grey = _high(grey, seed)
    index, colours, shown = _indexed(seed)
    ones, black_white = _bits(seed)
    a = Specimen
    return [
        a(name="grey8.png", data=png(grey, "grey"), rgb=_thrice(grey)),
        a(name="rgb8.png", data=png(rgb, "rgb"), rgb=rgb),
        a(name="rgba8.png", data=png(_alpha(rgb, seed), "rgba"), rgb=rgb),
        a(name="la8.png", data=png(_alpha(grey, seed), "la"), rgb=_thrice(grey)),
        a(name="palette.png", data=png(index, "palette", palette=colours.tobytes()), rgb=shown),
        a(name="bit1.png", data=png(ones, "grey", depth=1), rgb=black_white),
        a(name="grey16.png", data=png(deep_grey, "grey", depth=16), rgb=_thrice(grey), bits=16),
        a(name="rgb16.png", data=png(deep, "rgb", depth=16), rgb=rgb, bits=16),
        a(name="rgba16.png", data=png(_alpha(deep, seed), "rgba", depth=16), rgb=rgb, bits=16),
        a(name="la16.png", data=png(_alpha(deep_grey, seed), "la", depth=16), rgb=_thrice(grey), bits=16),
        a(name="interlaced.png", data=png(rgb, "rgb", interlaced=True), rgb=rgb),
        a(name="interlaced16.png", data=png(deep, "rgb", depth=16, interlaced=True), rgb=rgb, bits=16),
        a(name="one.png", data=png(rgb[:1, :1], "rgb"), rgb=rgb[:1, :1]),
        a(name="long.PNG", data=png(np.repeat(grey[:1, :1], 65500, axis=0), "grey"), rgb=_tall(grey[0, 0, 0])),
        a(name="no-suffix", data=png(rgb, "rgb"), rgb=rgb),
        a(name="naïve 名前 'q\".png", data=png(rgb, "rgb"), rgb=rgb),
    ]


def _tall(value: np.uint8) -> U8:
    return np.full((65500, 1, 3), value, np.uint8)


def _bmp_kinds(seed: int) -> list[Specimen]:
    rgb = picture(seed)[:, :-1]  # an odd width needs row padding
    high, wide = rgb.shape[:2]
    bgr = rgb[:, :, ::-1]
    index, colours, shown = _indexed(seed)
    quads = np.concatenate([colours[:, ::-1], np.zeros((200, 1), np.uint8)], axis=1).tobytes().ljust(1024, b"\0")
    bgrx = np.concatenate([bgr, np.full((high, wide, 1), 255, np.uint8)], axis=2)
    runs = b"".join(bytes(n for v in row[:, 0] for n in (1, int(v))) + b"\0\0" for row in index[::-1]) + b"\0\1"
    return [
        Specimen(name="rgb24.bmp", data=bmp(wide, high, 24, bmp_rows(bgr)), rgb=rgb),
        Specimen(name="topdown.bmp", data=bmp(wide, -high, 24, bmp_rows(bgr, bottom_up=False)), rgb=rgb),
        Specimen(name="rgb32.bmp", data=bmp(wide, high, 32, bmp_rows(bgrx)), rgb=rgb),
        Specimen(name="palette.bmp", data=bmp(21, 33, 8, bmp_rows(index), palette=quads), rgb=shown),
        Specimen(name="rle8.bmp", data=bmp(21, 33, 8, runs, palette=quads, compression=1), rgb=shown),
    ]


def _tiff_kinds(seed: int) -> list[Specimen]:
    rgb = picture(seed)
    grey, deep = _grey(rgb), _high(rgb, seed)
    deep_grey = _high(grey, seed)
    index, colours, shown = _indexed(seed)
    table = np.zeros((3, 256), np.uint16)
    table[:, :200] = colours.T.astype(np.uint16) * 257
    ones, black_white = _bits(seed)
    out = [
        Specimen(name="grey8.tif", data=tiff(grey, 1), rgb=_thrice(grey)),
        Specimen(name="white0.tif", data=tiff(255 - grey, 0), rgb=_thrice(grey)),
        Specimen(name="rgb8.tiff", data=tiff(rgb, 2), rgb=rgb),
        Specimen(name="rgba8.tiff", data=tiff(_alpha(rgb, seed), 2), rgb=rgb),
        Specimen(name="la8.tiff", data=tiff(_alpha(grey, seed), 1), rgb=_thrice(grey)),
        Specimen(name="palette.tif", data=tiff(index, 3, palette=table), rgb=shown),
        Specimen(name="bit1.tif", data=tiff(ones, 1, bits=1), rgb=black_white),
        Specimen(name="rgb8-lzw.tif", data=encoded(rgb, "TIFF", compression="tiff_lzw"), rgb=rgb),
        Specimen(name="rgb8-deflate.tif", data=encoded(rgb, "TIFF", compression="tiff_adobe_deflate"), rgb=rgb),
        Specimen(name="rgb8-packbits.tif", data=encoded(rgb, "TIFF", compression="packbits"), rgb=rgb),
    ]
    for order, word in (("<", "little"), (">", "big")):
        out += [
            Specimen(name=f"grey16-{word}.tif", data=tiff(deep_grey, 1, order=order), rgb=_thrice(grey), bits=16),
            Specimen(name=f"rgb16-{word}.tif", data=tiff(deep, 2, order=order), rgb=rgb, bits=16),
            Specimen(name=f"rgba16-{word}.tif", data=tiff(_alpha(deep, seed), 2, order=order), rgb=rgb, bits=16),
        ]
    white0 = tiff((65535 - deep_grey).astype(np.uint16), 0)
    return [*out, Specimen(name="white0-16.tif", data=white0, rgb=_thrice(grey), bits=16)]


def _lossy_kinds(seed: int) -> list[Specimen]:
    rgb = picture(seed)
    grey = _grey(rgb)
    ink = np.asarray(Image.fromarray(rgb).convert("CMYK"), dtype=np.int64)
    from_ink = ((255 - ink[:, :, :3]) * (255 - ink[:, :, 3:]) / 255).round().astype(np.uint8)
    by_opencv = cv2.imencode(".jpg", rgb[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 97])[1].tobytes()
    second = encoded(rgb[::-1], "PNG")
    pair = encoded(rgb, "MPO", quality=97, save_all=True, append_images=[Image.open(io.BytesIO(second))])
    a = Specimen
    return [
        a(name="rgb.jpg", data=by_opencv, rgb=rgb, tolerance=12),
        a(name="grey.jpeg", data=encoded(rgb[:, :, 1], "JPEG", "L", quality=97), rgb=_thrice(grey), tolerance=6),
        a(name="progressive.jpg", data=encoded(rgb, "JPEG", quality=97, progressive=True), rgb=rgb, tolerance=12),
        a(name="cmyk.jpg", data=encoded(rgb, "JPEG", "CMYK", quality=97), rgb=from_ink, tolerance=12),
        a(name="stereo.jpg", data=pair, rgb=rgb, tolerance=12),
        a(name="one.jpg", data=encoded(rgb[:1, :1], "JPEG"), rgb=rgb[:1, :1], tolerance=12),
        a(name="long.jpg", data=encoded(_tall(np.uint8(90)), "JPEG"), rgb=_tall(np.uint8(90)), tolerance=4),
        a(name="lossless.webp", data=encoded(rgb, "WEBP", lossless=True), rgb=rgb),
        a(name="lossy.webp", data=encoded(rgb, "WEBP", quality=97), rgb=rgb, tolerance=24),
    ]


def _rotated(seed: int) -> list[Specimen]:
    rgb = picture(seed)
    grey = _grey(rgb)
    out = []
    for turn in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = turn
        pixels, deep = stored_for(rgb, turn), stored_for(_high(rgb, seed), turn)
        deep_grey = stored_for(_high(grey, seed), turn)
        jpeg = jpeg_with_exif(encoded(np.asarray(pixels), "JPEG", quality=97, subsampling=0), turn)
        webp = encoded(np.asarray(pixels), "WEBP", lossless=True, exif=exif)
        out += [
            Specimen(name=f"turn{turn}.jpg", data=jpeg, rgb=rgb, tolerance=12),
            Specimen(name=f"turn{turn}.png", data=png(pixels, "rgb", exif=turn), rgb=rgb),
            Specimen(name=f"turn{turn}.webp", data=webp, rgb=rgb),
            Specimen(name=f"turn{turn}.tif", data=tiff(pixels, 2, orientation=turn), rgb=rgb),
            Specimen(name=f"turn{turn}-rgb16.png", data=png(deep, "rgb", depth=16, exif=turn), rgb=rgb, bits=16),
            Specimen(name=f"turn{turn}-rgb16.tif", data=tiff(deep, 2, orientation=turn), rgb=rgb, bits=16),
            Specimen(
                name=f"turn{turn}-grey16.tif", data=tiff(deep_grey, 1, orientation=turn), rgb=_thrice(grey), bits=16
            ),
        ]
    return out


def refused(seed: int) -> list[Refused]:
    """Files that are no usable image, with the reason each must be given."""
    rgb = picture(seed)
    frames = [Image.fromarray(picture(seed + i)) for i in range(1, 3)]
    many = {"save_all": True, "append_images": frames}
    real = np.zeros((4, 5), np.float32)
    floats = cv2.imencode(".tif", real)[1].tobytes()
    return [
        Refused(name="empty.png", data=b"", codes=("empty",)),
        Refused(name="text.png", data=b"this is a note\n", codes=("not_an_image",)),
        Refused(name="page.jpg", data=b"<html>not found</html>", codes=("not_an_image",)),
        Refused(name="zeros.bmp", data=bytes(4096), codes=("not_an_image",)),
        Refused(name="animated.png", data=encoded(rgb, "GIF", **many), codes=("not_an_image",)),
        Refused(name="really-a.jpg", data=png(rgb, "rgb"), codes=("misnamed",)),
        Refused(name="really-a.png", data=encoded(rgb, "WEBP"), codes=("misnamed",)),
        Refused(name="animated2.png", data=encoded(rgb, "PNG", **many), codes=("animated",)),
        Refused(name="animated.webp", data=encoded(rgb, "WEBP", **many), codes=("animated",)),
        Refused(name="pages.tif", data=encoded(rgb, "TIFF", **many), codes=("animated",)),
        Refused(name="floats.tif", data=floats, codes=("unsupported",)),
        Refused(name="only-magic.png", data=png_header(3, 3, 8, 2)[:8], codes=("corrupt", "truncated", "not_an_image")),
    ]
